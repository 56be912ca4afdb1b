#include "codecs/plane_rows.hpp"

#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "codecs/reconstruction.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

constexpr UniformFit fits[] = {UniformFit::min_max, UniformFit::rabitq, UniformFit::rabitq_fast, UniformFit::osq};

bool is_symmetric(UniformFit fit) { return fit == UniformFit::rabitq || fit == UniformFit::rabitq_fast; }

// What the codes of a vector stand for, from the quantizer itself.
struct Expected {
  std::vector<double> reconstruction;
  double lower_size = 0, step = 0;  // of the grid
  std::vector<std::uint8_t> codes;
};

Expected uniform_expected(const UniformQuantizer& quantizer, const float* v) {
  Expected found;
  found.codes.resize(quantizer.dim());
  const UniformGrid grid = quantizer.encode(v, found.codes.data());
  for (const std::uint8_t code : found.codes)
    found.reconstruction.push_back(grid.lower + static_cast<double>(grid.step) * code);
  found.lower_size = std::fabs(grid.lower);
  found.step = grid.step;
  return found;
}

Expected fixed_expected(const std::vector<std::uint8_t>& bits, const Vector& scales, const float* v) {
  Expected found;
  for (std::size_t j = 0; j < bits.size(); ++j) {
    const int top = (1 << bits[j]) - 1;
    const double step = bits[j] == 0 ? 0 : static_cast<float>(scales[j] * gaussian_step(bits[j]));
    double best = 0, least = INFINITY;
    for (int code = 0; code <= top; ++code) {  // the nearest value, the upper of two
      const double value = step * (code - 0.5 * top), error = std::fabs(v[j] - value);
      if (error <= least)
        least = error, best = value, found.codes.resize(j + 1), found.codes[j] = static_cast<std::uint8_t>(code);
    }
    found.reconstruction.push_back(best);
  }
  return found;
}

// The query that the kernels see, by dimension.
std::vector<double> rounded_query(const PlaneRows::Query& query, const std::vector<std::uint8_t>& bits,
                                  const Vector& scales) {
  std::vector<double> values;
  const auto value = [&](std::size_t i) {
    return query.grid.lower + static_cast<double>(query.grid.step) * query.codes[i];
  };
  if (bits.empty()) {
    for (std::size_t i = 0; i < query.codes.size(); ++i) values.push_back(value(i));
    return values;
  }
  std::vector<std::size_t> order(bits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return bits[a] > bits[b]; });
  values.assign(bits.size(), 0.0);
  for (std::size_t i = 0; i < query.codes.size(); ++i) {
    const std::size_t j = order[i];
    values[j] = value(i) / static_cast<float>(scales[j] * gaussian_step(bits[j]));
  }
  return values;
}

// Scores on every instruction set against ⟨q̂, w⟩ in double, q̂ the query as it was rounded and w what the codes stand
// for; q̂ against q; at the anchor, against the exact score. `slack` of a sum is a rounding for each of its few float
// operations.
void check_scores(const PlaneRows& codec, const std::function<Expected(const float*)>& expected_of, bool rescaled,
                  const std::vector<std::uint8_t>& bits, const Vector& scales, float weight, bool nearest_query,
                  std::size_t count, const std::string& name, std::mt19937& random) {
  const std::size_t dim = codec.dim();
  Vector vectors = normal_values(count * dim, random, bits.empty() ? 0.2f : 0.0f);
  for (std::size_t i = 0; i < vectors.size() && !bits.empty(); ++i) vectors[i] *= scales[i % dim];
  const Vector bias = normal_values(count, random), anchor = normal_values(dim, random),
               q = normal_values(dim, random, 0.5f);
  for (const float* near : {static_cast<const float*>(nullptr), anchor.data()}) {
    CodeMemory list(codec, count);
    codec.encode(vectors.data(), bias.data(), near, count, list.codes(), 0);
    Vector decoded(count * dim), scores(count);
    codec.decode(list.view(), 0, count, decoded.data());
    std::vector<Expected> expected;
    std::vector<Reconstruction> found;
    for (std::size_t i = 0; i < count; ++i) {
      const float* v = vectors.data() + i * dim;
      expected.push_back(expected_of(v));
      found.push_back(examine_reconstruction(v, expected[i].reconstruction.data(), near, dim, rescaled));
      for (std::size_t j = 0; j < dim; ++j) {
        const double value = found[i].rescale * expected[i].reconstruction[j];
        const double most = std::fabs(found[i].rescale) * (std::fabs(expected[i].reconstruction[j]) +
                                                           expected[i].lower_size + 255 * expected[i].step);
        check(std::fabs(decoded[i * dim + j] - value) <= 8 * unit * most, name + ": decoded values");
      }
    }
    for (const Vector& against : {q, anchor}) {
      PlaneRows::Query query;
      codec.prepare(against.data(), query);
      const std::vector<double> rounded = rounded_query(query, bits, scales);
      for (std::size_t j = 0; j < dim && nearest_query; ++j) {
        const double unit_j = bits.empty() ? 1 : scales[j] * gaussian_step(std::max<int>(1, bits[j]));
        if (bits.empty() || bits[j] > 0)
          check(std::fabs(rounded[j] - against[j]) * unit_j <=
                    0.5001 * query.grid.step + 1e-6 * (std::fabs(query.grid.lower) + 1),
                name + ": the query is rounded to the nearest");
      }
      const Probe probe{.offset = -0.5f};
      Vector first;
      for (const KernelTable* kernels : available_kernels()) {
        codec.score(*kernels, query, probe, list.view(), 0, count, scores.data());
        if (first.empty()) first = scores;
        check(scores == first, name + ": every instruction set gives the same");
        for (std::size_t i = 0; i < count; ++i) {
          const float* v = vectors.data() + i * dim;
          double score = probe.offset + bias[i] + weight * found[i].correction, sizes = std::fabs(score);
          double rounding = 0;  // ⟨q̂ − q, w⟩
          for (std::size_t j = 0; j < dim; ++j) {
            const double w = found[i].rescale * expected[i].reconstruction[j];
            score += weight * rounded[j] * w;
            rounding += (rounded[j] - against[j]) * w;
            // The parts of w meet the query apart: the grid's lower end its sum, the codes themselves.
            const double apart =
                std::fabs(found[i].rescale) * (2 * expected[i].lower_size + std::fabs(expected[i].reconstruction[j]));
            sizes += weight * std::fabs(rounded[j]) * (std::fabs(w) + apart) +
                     weight * std::fabs(found[i].rescale) * std::fabs(query.grid.lower) * expected[i].step *
                         expected[i].codes[j];
          }
          check(std::fabs(scores[i] - score) <= 8 * unit * (1 + sizes),
                name + ": score " + std::to_string(scores[i]) + " " + std::to_string(score));
          if (near != nullptr && &against == &anchor) {
            const double exact = probe.offset + bias[i] + weight * dot(near, v, dim);
            check(std::fabs(scores[i] - weight * rounding - exact) <= 16 * unit * (1 + sizes + std::fabs(exact)),
                  name + ": exact at the anchor but for the rounding of the query");
          }
        }
      }
    }
  }
}

void check_uniform(std::size_t dim, std::size_t count, std::size_t turn, std::mt19937& random) {
  const int bits = 1 + static_cast<int>(turn % 8), query_bits = 1 + static_cast<int>(turn / 8 % 8);
  const UniformFit fit = fits[turn % 4], query_fit = turn % 3 == 0 ? UniformFit::osq : UniformFit::min_max;
  const bool rescale = turn % 5 != 0;
  const float weight = turn % 2 == 0 ? 2.0f : 1.0f;
  const PlaneRows codec(dim, bits, fit, weight, {.query_bits = query_bits, .query_fit = query_fit, .rescale = rescale});
  const UniformQuantizer quantizer(dim, bits, fit);
  const std::string name = "plane rows, dim " + std::to_string(dim) + " bits " + std::to_string(bits) + " × " +
                           std::to_string(query_bits) + " fit " + std::to_string(static_cast<int>(fit));
  check(codec.row_bytes() == 8 * plane_words(dim) * static_cast<std::size_t>(bits) + (is_symmetric(fit) ? 8 : 16),
        name + ": a row is its planes and its factors");
  check_scores(
      codec, [&](const float* v) { return uniform_expected(quantizer, v); }, rescale, {}, {}, weight,
      query_fit == UniformFit::min_max, count, name, random);
  check_list_rules(codec, name, random);
}

void check_fixed(std::size_t dim, std::size_t count, int query_bits, bool rescale, std::mt19937& random) {
  std::vector<std::uint8_t> bits(dim);
  Vector scales(dim);
  for (std::size_t j = 0; j < dim; ++j) {
    bits[j] = static_cast<std::uint8_t>(random() % 9);
    scales[j] = 0.1f + static_cast<float>(random() % 100) / 30;
  }
  bits[random() % dim] = 8;
  const PlaneRows codec(bits, scales, 2, {.query_bits = query_bits, .rescale = rescale});
  const std::string name = "plane rows, bits per dimension, dim " + std::to_string(dim);
  std::size_t words = 0;
  for (int p = 0; p < 8; ++p)
    words += plane_words(
        static_cast<std::size_t>(std::count_if(bits.begin(), bits.end(), [p](std::uint8_t b) { return b > p; })));
  check(codec.row_bytes() == 8 * words + 8, name + ": planes hold the dimensions that have them");
  check_scores(
      codec, [&](const float* v) { return fixed_expected(bits, scales, v); }, rescale, bits, scales, 2, true, count,
      name, random);
  check_list_rules(codec, name, random);
}

// The same bits for all dimensions on fixed grids: as many planes as bits, read at once.
void check_fixed_equal_bits(std::mt19937& random) {
  const std::vector<std::uint8_t> bits(100, 3);
  const Vector scales(100, 1.0f);
  const PlaneRows codec(bits, scales, 1);
  check(codec.row_bytes() == 8 * 2 * 3 + 8, "equal bits per dimension fill planes");
  check_scores(
      codec, [&](const float* v) { return fixed_expected(bits, scales, v); }, true, bits, scales, 1, true, 21,
      "plane rows, equal bits per dimension", random);
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
    codec.prepare(q.data(), query);
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
        codec.prepare(q.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        check(score == 3, "a zero vector's score is its own term");
        codec.encode(ones.data(), bias.data(), nullptr, 1, list.codes(), 0);
        codec.prepare(zeros.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        check(score == 3, "and so is every score of a zero query");
        codec.prepare(ones.data(), query);
        codec.score(kernels, query, {}, list.view(), 0, 1, &score);
        check(std::fabs(score - (3 + 2.0f * static_cast<float>(dim))) < 1e-5f, "a constant vector and query are exact");
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

// ---- how good the estimates are

struct Errors {
  double mean = 0, deviation_of_mean = 0, root_mean_square = 0;
  double relative = 0;  // root of the mean square of the error over the one predicted
  double beyond = 0;    // share of errors beyond 1.9 of those predicted for a query in any direction
  double cosine = 0;    // mean of ⟨w, v⟩/‖w‖‖v‖
};

Errors errors_of(const PlaneRows& codec, double cosine, int samples, std::mt19937& random) {
  const std::size_t dim = codec.dim();
  const KernelTable& kernels = *available_kernels().back();
  CodeMemory list(codec, 1);
  PlaneRows::Query query;
  const Vector bias = {0};
  Vector v, q, w(dim);
  double sum = 0, squares = 0, ratios = 0, beyond = 0, cosines = 0;
  for (int i = 0; i < samples; ++i) {
    rotated_pair(dim, cosine, random, v, q);
    codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
    codec.decode(list.view(), 0, 1, w.data());
    codec.prepare(q.data(), query);
    float score = 0;
    codec.score(kernels, query, {}, list.view(), 0, 1, &score);
    const std::vector<double> of_codes(w.begin(), w.end());
    const double predicted = examine_reconstruction(v.data(), of_codes.data(), nullptr, dim, false).error;
    const double error = score - dot(q.data(), v.data(), dim), ratio = error / predicted;
    sum += error;
    squares += error * error;
    ratios += ratio * ratio / (1 - cosine * cosine);
    beyond += std::fabs(ratio) > 1.9 ? 1 : 0;
    cosines += dot(w.data(), v.data(), dim) / std::sqrt(dot(w.data(), w.data(), dim));
  }
  Errors found;
  found.mean = sum / samples;
  found.root_mean_square = std::sqrt(squares / samples);
  found.deviation_of_mean = std::sqrt((squares / samples - found.mean * found.mean) / samples);
  found.relative = std::sqrt(ratios / samples);
  found.beyond = beyond / samples;
  found.cosine = cosines / samples;
  return found;
}

void check_estimator(std::mt19937& random) {
  constexpr int samples = 4000;
  const PlaneRows rabitq(64, 1, UniformFit::rabitq, 1), plain(64, 1, UniformFit::rabitq, 1, {.rescale = false});
  const Errors of_near = errors_of(rabitq, 0.7, samples, random), of_far = errors_of(rabitq, 0.0, samples, random);
  check(
      std::fabs(of_near.mean) < 3 * of_near.deviation_of_mean && std::fabs(of_far.mean) < 3 * of_far.deviation_of_mean,
      "RaBitQ's estimator is without bias: " + std::to_string(of_near.mean / of_near.deviation_of_mean) +
          " standard errors");
  const Errors of_plain = errors_of(plain, 0.7, samples, random);
  check(of_plain.mean < -20 * of_plain.deviation_of_mean, "without rescale it is biased low");
  check(of_near.beyond < 0.02, "the bound of 1.9 standard errors: violated by " + std::to_string(of_near.beyond));
  check(of_near.beyond > 0.0005, "and none that never could be: " + std::to_string(of_near.beyond));
  // 4,000 samples tell a root mean square to 1.1 %.
  check(
      std::fabs(of_near.relative - 1) < 0.05 && std::fabs(of_far.relative - 1) < 0.05,
      "errors are as large as predicted: " + std::to_string(of_near.relative) + " " + std::to_string(of_far.relative));
  // E⟨ō, o⟩ at 64 dimensions.
  check(std::fabs(of_near.cosine - 0.80101) < 0.002, "cosine of one bit: " + std::to_string(of_near.cosine));
}

void check_error_anchors(std::mt19937& random) {
  struct Anchor {
    std::size_t dim;
    int bits;
    UniformFit fit;
    bool rescale;
    double error, cosine;  // 0 where no figure is known
  };
  constexpr Anchor anchors[] = {
      {256, 1, UniformFit::rabitq, true, .0349, .79866}, {256, 2, UniformFit::rabitq, true, .0179, 0},
      {256, 1, UniformFit::osq, true, .0345, 0},         {256, 2, UniformFit::osq, true, .0166, 0},
      {256, 1, UniformFit::osq, false, .0487, 0},        {256, 2, UniformFit::osq, false, .0343, 0},
      {256, 2, UniformFit::min_max, true, .0244, 0},     {256, 2, UniformFit::min_max, false, .0351, 0},
      {768, 1, UniformFit::rabitq, true, .0172, .7968},  {768, 2, UniformFit::rabitq, true, .0089, .9384},
      {768, 3, UniformFit::rabitq, true, .0045, .9810},  {768, 3, UniformFit::osq, false, .0169, 0},
      {128, 2, UniformFit::rabitq, true, 0, .9413},      {128, 3, UniformFit::rabitq, true, 0, .9830},
  };
  for (const Anchor& anchor : anchors) {
    const PlaneRows codec(anchor.dim, anchor.bits, anchor.fit, 1, {.rescale = anchor.rescale});
    const Errors found = errors_of(codec, 0.7, 500, random);
    const std::string name = "anchor, dim " + std::to_string(anchor.dim) + " bits " + std::to_string(anchor.bits) +
                             " fit " + std::to_string(static_cast<int>(anchor.fit)) +
                             (anchor.rescale ? " rescaled: " : " plain: ");
    // The figures are of a few hundred pairs "of about 0.7", which moves them by up to a tenth.
    check(anchor.error == 0 || std::fabs(found.root_mean_square / anchor.error - 1) < 0.2,
          name + std::to_string(found.root_mean_square));
    check(anchor.cosine == 0 || std::fabs(found.cosine - anchor.cosine) < 0.003, name + std::to_string(found.cosine));
    // What the cosine says of an estimate without bias: sqrt(1 − 0.7²)·sqrt(1/cosine² − 1) in dim − 1 directions.
    const double theory =
        std::sqrt(0.51 * (1 / (found.cosine * found.cosine) - 1) / static_cast<double>(anchor.dim - 1));
    if (anchor.rescale)
      check(std::fabs(found.root_mean_square / theory - 1) < 0.12,
            name + std::to_string(found.root_mean_square / theory));
    else
      check(found.root_mean_square > 1.3 * theory, name + "the plain code is worse than its cosine");
  }
}

// Dimensions of falling variance: bits where the variance is against the same number everywhere.
void check_that_bits_go_where_they_are_worth_most(std::mt19937& random) {
  constexpr std::size_t dim = 128, count = 400;
  Vector variances(dim), scales(dim);
  for (std::size_t j = 0; j < dim; ++j) {
    variances[j] = std::pow(0.95f, static_cast<float>(j));
    scales[j] = std::sqrt(variances[j]);
  }
  Vector vectors = normal_values(count * dim, random), q = normal_values(dim, random), bias(count, 0.0f);
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] *= scales[i % dim];
  for (std::size_t j = 0; j < dim; ++j) q[j] *= scales[j];
  const auto mean_square = [&](const PlaneRows& codec) {
    CodeMemory list(codec, count);
    codec.encode(vectors.data(), bias.data(), nullptr, count, list.codes(), 0);
    PlaneRows::Query query;
    codec.prepare(q.data(), query);
    Vector scores(count);
    codec.score(*available_kernels().back(), query, {}, list.view(), 0, count, scores.data());
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += std::pow(scores[i] - dot(q.data(), vectors.data() + i * dim, dim), 2);
    return sum / count;
  };
  for (const int bits : {1, 2, 3}) {
    const auto chosen = PlaneRows::allocate_bits(variances, static_cast<std::size_t>(bits) * dim);
    const double by_worth = mean_square(PlaneRows(chosen, scales, 1));
    const double equal =
        mean_square(PlaneRows(std::vector<std::uint8_t>(dim, static_cast<std::uint8_t>(bits)), scales, 1));
    const double uniform = mean_square(PlaneRows(dim, bits, UniformFit::rabitq, 1));
    check(by_worth < 0.3 * equal && by_worth < 0.3 * uniform,
          std::to_string(bits) + " bits by worth: " + std::to_string(by_worth) + ", equal " + std::to_string(equal) +
              ", on a grid a vector " + std::to_string(uniform));
  }
}

}  // namespace

void test_plane_rows() {
  std::mt19937 random(20240521);
  constexpr std::size_t counts[] = {1, 2, 3, 5, 8, 13};
  for (std::size_t dim = 1; dim <= 130; ++dim) check_uniform(dim, counts[dim % 6], random() % 960, random);
  for (std::size_t turn = 0; turn < 64; ++turn) check_uniform(70, 3, turn, random);
  for (const std::size_t dim : {257, 521, 1031}) check_uniform(dim, 300, dim, random);
  for (std::size_t dim = 1; dim <= 130; ++dim)
    check_fixed(dim, counts[dim % 6], 1 + static_cast<int>(dim % 8), dim % 3 != 0, random);
  for (const std::size_t dim : {257, 521}) check_fixed(dim, 140, 8, true, random);
  check_fixed_equal_bits(random);
  check_gaussian_steps();
  check_allocation(random);
  check_refusals();
  check_extremes();
  check_degenerate(random);
  check_estimator(random);
  check_error_anchors(random);
  check_that_bits_go_where_they_are_worth_most(random);
}

}  // namespace annbench::tests
