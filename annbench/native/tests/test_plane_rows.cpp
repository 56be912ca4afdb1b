#include "codecs/plane_rows.hpp"

#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "codecs/reconstruction.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

constexpr UniformFit fits[] = {UniformFit::min_max, UniformFit::rabitq, UniformFit::rabitq_fast, UniformFit::osq};

// What the codes of a vector stand for, by the book.
struct Coded {
  std::vector<std::uint8_t> codes;
  std::vector<double> values;
  double lower_size = 0, step = 1;  // of a grid of the vector's own
  double rescale = 1;
  Rest rest;
};

// A codec, and what its rows are made of.
struct Case {
  std::string name;
  const PlaneRows& codec;
  std::vector<std::uint8_t> bits;  // of each dimension
  Vector scales;                   // of each dimension, for fixed grids
  std::function<Coded(const float*)> coded_of;
  float weight;
  PlaneRows::Options options;
  std::size_t count;

  bool fixed() const { return !scales.empty(); }
  // As a fixed grid has it.
  float step(std::size_t j) const { return bits[j] == 0 ? 0 : static_cast<float>(scales[j] * gaussian_step(bits[j])); }
  std::size_t plane_bytes() const {
    std::size_t words = 0;
    for (int p = 0; p < 8; ++p) {
      const auto has = [p](std::uint8_t b) { return b > p; };
      words += plane_words(static_cast<std::size_t>(std::count_if(bits.begin(), bits.end(), has)));
    }
    return 8 * words;
  }
};

Coded on_own_grid(const UniformQuantizer& quantizer, const float* v) {
  Coded found;
  found.codes.resize(quantizer.dim());
  const UniformGrid grid = quantizer.encode(v, found.codes.data());
  // A grid about 0 keeps its step alone.
  const bool about_0 = quantizer.fit() == UniformFit::rabitq || quantizer.fit() == UniformFit::rabitq_fast;
  const double lower = about_0 ? -0.5 * quantizer.max_code() * grid.step : static_cast<double>(grid.lower);
  for (const std::uint8_t code : found.codes) found.values.push_back(lower + static_cast<double>(grid.step) * code);
  found.lower_size = std::fabs(grid.lower);
  found.step = grid.step;
  return found;
}

Coded on_fixed_grid(const std::vector<std::uint8_t>& bits, const Vector& scales, const float* v) {
  Coded found;
  for (std::size_t j = 0; j < bits.size(); ++j) {
    const int top = (1 << bits[j]) - 1;
    const double step = bits[j] == 0 ? 0 : static_cast<float>(scales[j] * gaussian_step(bits[j]));
    int best = 0;  // the nearest, the upper of two
    for (int code = 0; code <= top; ++code)
      if (std::fabs(v[j] - step * (code - 0.5 * top)) <= std::fabs(v[j] - step * (best - 0.5 * top))) best = code;
    found.codes.push_back(static_cast<std::uint8_t>(best));
    found.values.push_back(step * (best - 0.5 * top));
  }
  return found;
}

// The query that the kernels see, by dimension: they have it sorted by falling bits, and multiplied by the fixed steps.
std::vector<double> rounded_query(const Case& c, const PlaneRows::Query& query) {
  std::vector<std::size_t> order(c.bits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return c.bits[a] > c.bits[b]; });
  std::vector<double> values(c.bits.size(), 0.0);
  for (std::size_t i = 0; i < query.codes.size(); ++i) {
    const double value = query.grid.lower + static_cast<double>(query.grid.step) * query.codes[i];
    values[order[i]] = c.fixed() ? value / c.step(order[i]) : value;
  }
  return values;
}

// The rescale factor as a row keeps it: with Σ codes in its last bits it is not quite the exact one.
double kept_rescale(const Case& c, const std::vector<std::uint8_t>& row, const Coded& coded, double exact) {
  if (row.size() == c.plane_bytes() + 16) return exact;
  check(row.size() == c.plane_bytes() + 8, c.name + ": a row is its planes and its factors");
  std::uint32_t largest = 0, sum = 0, both;
  for (const std::uint8_t b : c.bits) largest += (1u << b) - 1;
  for (const std::uint8_t code : coded.codes) sum += code;
  std::memcpy(&both, row.data() + row.size() - 4, 4);
  const int width = std::bit_width(largest);
  check((both & ((1u << width) - 1)) == sum, c.name + ": the last bits of the factor are the sum of the codes");
  if (coded.step == 0) return exact;
  const double kept = std::bit_cast<float>(both >> width << width) / (c.weight * coded.step);
  check(std::fabs(kept - exact) <= (std::ldexp(1.0, width - 24) + 2 * unit) * exact,
        c.name + ": the factor loses no more than those bits");
  return kept;
}

std::vector<Coded> check_codes(const Case& c, const CodeMemory& list, const Vector& vectors, const float* anchor) {
  const std::size_t dim = c.codec.dim();
  Vector decoded(c.count * dim);
  c.codec.decode(list.view(), 0, c.count, decoded.data());
  std::vector<Coded> all;
  for (std::size_t i = 0; i < c.count; ++i) {
    const float* v = vectors.data() + i * dim;
    Coded coded = c.coded_of(v);
    const double exact = c.options.rescale ? rescale_of(v, coded.values.data(), dim) : 1.0;
    coded.rescale = kept_rescale(c, list.row(0, i, c.count), coded, exact);
    coded.rest = rest_of(v, coded.values.data(), coded.rescale, anchor, dim);
    for (std::size_t j = 0; j < dim; ++j) {
      const double parts = 2 * coded.lower_size + std::fabs(coded.values[j]);  // what the value is the sum of, in size
      check(std::fabs(decoded[i * dim + j] - coded.rescale * coded.values[j]) <= 8 * unit * coded.rescale * parts,
            c.name + ": decoded values");
    }
    all.push_back(std::move(coded));
  }
  return all;
}

// The score of one vector in double, against the rounded query; how far one in float may be from it, a rounding for
// each of its few operations; and ⟨q̂ − q, w⟩.
struct Expected {
  double score, slack, rounding;
};

Expected expected_of(const Case& c, const Coded& coded, const PlaneRows::Query& query,
                     const std::vector<double>& rounded, const Vector& q, double outside) {
  Expected expected{outside + c.weight * coded.rest.correction, 0, 0};
  double sizes = 1 + std::fabs(expected.score), codes = 0;
  for (std::size_t j = 0; j < q.size(); ++j) {
    const double w = coded.rescale * coded.values[j];
    expected.score += c.weight * rounded[j] * w;
    expected.rounding += c.weight * (rounded[j] - q[j]) * w;
    sizes += c.weight * std::fabs(rounded[j]) * coded.rescale * (2 * coded.lower_size + 2 * std::fabs(coded.values[j]));
    codes += coded.codes[j];
  }
  // The lower end of the query's grid meets the codes by their sum.
  sizes += c.weight * coded.rescale * coded.step * std::fabs(query.grid.lower) * codes;
  expected.slack = 8 * unit * sizes;
  return expected;
}

void check_rounding(const Case& c, const PlaneRows::Query& query, const std::vector<double>& rounded, const Vector& q) {
  if (c.options.query_fit != UniformFit::min_max) return;
  for (std::size_t j = 0; j < q.size(); ++j) {
    if (c.bits[j] == 0) continue;
    const double step = c.fixed() ? c.step(j) : 1, size = std::fabs(query.grid.lower) + std::fabs(q[j] * step);
    check(std::fabs(rounded[j] - q[j]) * step <= 0.5 * query.grid.step + 256 * unit * size,
          c.name + ": the query is rounded to the nearest");
  }
}

// Scores on every instruction set against ⟨q̂, w⟩; at the anchor, against the exact score less the rounding of the
// query.
void check_scores(const Case& c, std::mt19937& random) {
  const std::size_t dim = c.codec.dim();
  Vector vectors = normal_values(c.count * dim, random, c.fixed() ? 0.0f : 0.2f);
  for (std::size_t i = 0; i < vectors.size() && c.fixed(); ++i) vectors[i] *= c.scales[i % dim];
  const Vector bias = normal_values(c.count, random), anchor = normal_values(dim, random);
  const Vector q = normal_values(dim, random, 0.5f);
  const Probe probe{.offset = -0.5f};
  for (const float* near : {static_cast<const float*>(nullptr), anchor.data()}) {
    CodeMemory list(c.codec, c.count);
    c.codec.encode(vectors.data(), bias.data(), near, c.count, list.codes(), 0);
    const std::vector<Coded> coded = check_codes(c, list, vectors, near);
    for (const Vector& against : {q, anchor}) {
      PlaneRows::Query query;
      c.codec.prepare(active_kernels(), against.data(), query);
      const std::vector<double> rounded = rounded_query(c, query);
      check_rounding(c, query, rounded, against);
      Vector scores(c.count), first;
      for (const KernelTable* kernels : available_kernels()) {
        c.codec.score(*kernels, query, probe, list.view(), 0, c.count, scores.data());
        if (first.empty()) first = scores;
        check(scores == first, c.name + ": every instruction set gives the same");
      }
      for (std::size_t i = 0; i < c.count; ++i) {
        const Expected expected = expected_of(c, coded[i], query, rounded, against, probe.offset + bias[i]);
        check(std::fabs(scores[i] - expected.score) <= expected.slack, c.name + ": score " + std::to_string(scores[i]));
        if (near == nullptr || against != anchor) continue;
        const double exact = probe.offset + bias[i] + c.weight * dot(near, vectors.data() + i * dim, dim);
        check(std::fabs(scores[i] - expected.rounding - exact) <= expected.slack + 8 * unit * std::fabs(exact),
              c.name + ": exact at the anchor but for the rounding of the query");
      }
    }
  }
}

void check_uniform(std::size_t dim, std::size_t count, std::size_t turn, std::mt19937& random) {
  const int bits = 1 + static_cast<int>(turn % 8), query_bits = 1 + static_cast<int>(turn / 32 % 8);
  const UniformFit fit = fits[turn / 8 % 4];
  const PlaneRows::Options options{.query_bits = query_bits,
                                   .query_fit = turn % 3 == 0 ? UniformFit::osq : UniformFit::min_max,
                                   .rescale = turn % 5 != 0};
  const float weight = turn % 2 == 0 ? 2.0f : 1.0f;
  const PlaneRows codec(dim, bits, fit, weight, options);
  const UniformQuantizer quantizer(dim, bits, fit);
  const std::string name = "plane rows, dim " + std::to_string(dim) + " bits " + std::to_string(bits) + " × " +
                           std::to_string(query_bits) + " fit " + std::to_string(static_cast<int>(fit));
  check_scores({name,
                codec,
                std::vector<std::uint8_t>(dim, static_cast<std::uint8_t>(bits)),
                {},
                [&](const float* v) { return on_own_grid(quantizer, v); },
                weight,
                options,
                count},
               random);
  check_list_rules(codec, name, random);
}

void check_fixed(const std::vector<std::uint8_t>& bits, std::size_t count, const PlaneRows::Options& options,
                 std::mt19937& random) {
  Vector scales(bits.size());
  for (float& scale : scales) scale = 0.1f + static_cast<float>(random() % 100) / 30;
  const PlaneRows codec(bits, scales, 2, options);
  const std::string name = "plane rows, bits per dimension, dim " + std::to_string(bits.size());
  check_scores(
      {name, codec, bits, scales, [&](const float* v) { return on_fixed_grid(bits, scales, v); }, 2, options, count},
      random);
  check_list_rules(codec, name, random);
}

std::vector<std::uint8_t> any_bits(std::size_t dim, std::mt19937& random) {
  std::vector<std::uint8_t> bits(dim);
  for (std::uint8_t& b : bits) b = static_cast<std::uint8_t>(random() % 9);
  bits[random() % dim] = 8;
  return bits;
}

void check_row_bytes() {
  const auto bytes = [](std::size_t dim, int bits, UniformFit fit) { return PlaneRows(dim, bits, fit, 1).row_bytes(); };
  check(bytes(100, 1, UniformFit::rabitq) == 24 && bytes(768, 1, UniformFit::rabitq) == 104 &&
            bytes(768, 2, UniformFit::rabitq) == 200 && bytes(100, 4, UniformFit::rabitq) == 72,
        "factors of grids about 0 take 8 bytes where the sum of the codes fits in");
  check(bytes(100, 1, UniformFit::osq) == 32 && bytes(768, 4, UniformFit::rabitq) == 400 &&
            bytes(100, 8, UniformFit::rabitq) == 144 && bytes(65536, 1, UniformFit::rabitq) == 8208,
        "elsewhere 16");
  const std::vector<std::uint8_t> bits = {0, 3, 1, 0, 2};
  check(PlaneRows(bits, Vector(5, 1.0f), 1).row_bytes() == 3 * 8 + 8, "planes hold the dimensions that have them");
}

void check_gaussian_steps() {
  // Max, 1960, table II; OSQ's half-widths g of ALGORITHMS are the same grids from end to end.
  constexpr double steps[] = {1.596, 0.9957, 0.5860, 0.3352, 0.1881};
  constexpr double half_widths[] = {0.798, 1.493, 2.051, 2.514, 2.916, 3.278, 3.611, 3.922};
  for (int bits = 1; bits <= 8; ++bits) {
    const double step = gaussian_step(bits);
    if (bits <= 5)
      check(std::fabs(step - steps[bits - 1]) < 1e-4 * (bits == 1 ? 5 : 1), "Max's step, " + std::to_string(step));
    check(std::fabs(step * ((1 << bits) - 1) / 2 - half_widths[bits - 1]) < 1.2e-3,
          "OSQ's half-width, " + std::to_string(step * ((1 << bits) - 1) / 2));
  }
}

void check_allocation(std::mt19937& random) {
  check(PlaneRows::allocate_bits(Vector{16, 1, 4}, 4) == std::vector<std::uint8_t>{3, 0, 1},
        "by hand: 16, 4, 4, 1 get a bit");
  check(PlaneRows::allocate_bits(Vector{1, 1, 1}, 4) == std::vector<std::uint8_t>{2, 1, 1}, "the first of equals");
  check(PlaneRows::allocate_bits(Vector{1e9f, 1, 0}, 5, 2) == std::vector<std::uint8_t>{2, 2, 1},
        "no more than max_bits");
  for (std::size_t dim = 1; dim <= 40; dim += 3)
    for (const int most : {1, 3, 8}) {
      Vector variances = normal_values(dim, random);
      for (float& variance : variances) variance *= variance;
      for (std::size_t total = 0; total <= dim * static_cast<std::size_t>(most); ++total) {
        const auto bits = PlaneRows::allocate_bits(variances, total, most);
        std::size_t spent = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          spent += bits[j];
          for (std::size_t other = 0; other < dim; ++other)  // a bit moved elsewhere would have gone to less energy
            if (bits[j] > 0 && bits[other] < most)
              check(variances[other] / std::pow(4.0, bits[other]) <= 4 * variances[j] / std::pow(4.0, bits[j]),
                    "the largest energy");
        }
        check(spent == total && *std::max_element(bits.begin(), bits.end()) <= most, "the budget is spent exactly");
      }
    }
  check(refuses([] { PlaneRows::allocate_bits(Vector{1, 2}, 17); }) &&
            refuses([] { PlaneRows::allocate_bits(Vector{-1}, 1); }) &&
            refuses([] { PlaneRows::allocate_bits(Vector{NAN}, 1); }) &&
            refuses([] { PlaneRows::allocate_bits(Vector{1}, 1, 9); }),
        "budgets and variances that make no sense are refused");
}

void check_refusals() {
  using Bits = std::vector<std::uint8_t>;
  const auto uniform = [](std::size_t dim, int bits, int query_bits) {
    return [=] { PlaneRows(dim, bits, UniformFit::min_max, 1, {.query_bits = query_bits}); };
  };
  check(refuses(uniform(0, 1, 8)) && refuses(uniform(4, 0, 8)) && refuses(uniform(4, 9, 8)) &&
            refuses(uniform(4, 1, 0)) && refuses(uniform(4, 1, 9)) && refuses(uniform(65537, 1, 8)),
        "shapes that there are none of");
  check(!refuses(uniform(65536, 1, 1)), "the longest row");
  check(refuses([] { PlaneRows(Bits{9}, Vector{1}, 1); }) && refuses([] { PlaneRows(Bits{0, 0}, Vector{1, 1}, 1); }) &&
            refuses([] { PlaneRows(Bits{}, Vector{}, 1); }) && refuses([] { PlaneRows(Bits{1, 1}, Vector{1}, 1); }) &&
            refuses([] { PlaneRows(Bits{1}, Vector{-1}, 1); }) && refuses([] { PlaneRows(Bits{1}, Vector{NAN}, 1); }),
        "bits per dimension that make no sense");
}

// The largest sums there are must not leave their integers.
void check_extremes() {
  for (const std::size_t dim : {63, 4096, 65536}) {
    const PlaneRows codec(dim, 8, UniformFit::min_max, 1, {.query_bits = 8});
    Vector v(dim, 1.0f), q(dim, 1.0f);
    v[0] = q[0] = 0;  // every other code is 255
    const Vector bias = {0};
    CodeMemory list(codec, 1);
    codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
    PlaneRows::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    float score = 0;
    for (const KernelTable* kernels : available_kernels()) {
      codec.score(*kernels, query, {}, list.view(), 0, 1, &score);
      check(std::fabs(score - static_cast<float>(dim - 1)) < 1e-6 * static_cast<double>(dim),
            "all codes at their largest");
    }
  }
}

void check_degenerate(std::mt19937& random) {
  const KernelTable& kernels = *available_kernels().back();
  for (const UniformFit fit : fits)
    for (const int bits : {1, 4, 8})
      for (std::size_t dim = 1; dim <= 7; ++dim) {
        const PlaneRows codec(dim, bits, fit, 2);
        const Vector zeros(dim, 0.0f), ones(dim, 1.0f), bias = {3}, q = normal_values(dim, random);
        CodeMemory list(codec, 1);
        PlaneRows::Query query;
        float score = 0;
        codec.encode(zeros.data(), bias.data(), nullptr, 1, list.codes(), 0);
        codec.prepare(active_kernels(), q.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        check(score == 3, "a zero vector's score is its own term");
        codec.encode(ones.data(), bias.data(), nullptr, 1, list.codes(), 0);
        codec.prepare(active_kernels(), zeros.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        check(score == 3, "and so is every score of a zero query");
        codec.prepare(active_kernels(), ones.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        // As far as the factor is, whose last bits the sum of the codes may take.
        const double size = 3 + 2.0 * static_cast<double>(dim);
        const int spent = static_cast<int>(std::bit_width(dim * ((1u << bits) - 1)));
        check(std::fabs(score - size) <= size * (std::ldexp(1.0, spent - 24) + 4 * unit), "a constant vector is exact");
      }
  // A dimension without deviation or without bits says nothing, and breaks nothing.
  const PlaneRows codec(std::vector<std::uint8_t>{2, 2, 0}, Vector{1, 0, 1}, 1);
  const Vector v = {0.5f, 3, 4}, q = {1, 1, 1}, bias = {0};
  CodeMemory list(codec, 1);
  codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
  Vector decoded(3);
  codec.decode(list.view(), 0, 1, decoded.data());
  check(decoded[1] == 0 && decoded[2] == 0 && std::isfinite(decoded[0]) && decoded[0] > 0,
        "a dimension without deviation");
}

}  // namespace

void test_plane_rows() {
  std::mt19937 random(20240521);
  constexpr std::size_t counts[] = {1, 2, 3, 5, 8, 13};
  for (std::size_t dim = 1; dim <= 130; ++dim) check_uniform(dim, counts[dim % 6], random() % 3840, random);
  for (std::size_t turn = 0; turn < 256; ++turn) check_uniform(11 + turn % 7, 3, turn, random);
  for (const std::size_t dim : {257, 521, 1031}) check_uniform(dim, 300, dim, random);
  for (std::size_t dim = 1; dim <= 130; ++dim)
    check_fixed(any_bits(dim, random), counts[dim % 6],
                {.query_bits = 1 + static_cast<int>(dim % 8), .rescale = dim % 3 != 0}, random);
  for (const std::size_t dim : {257, 521}) check_fixed(any_bits(dim, random), 140, {}, random);
  // The same for all dimensions: planes of one length, which one call reads.
  check_fixed(std::vector<std::uint8_t>(100, 3), 21, {}, random);
  check_row_bytes();
  check_gaussian_steps();
  check_allocation(random);
  check_refusals();
  check_extremes();
  check_degenerate(random);
}

}  // namespace annbench::tests
