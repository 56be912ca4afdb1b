#include "codecs/product_codes.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;

constexpr double unit = 0x1p-24;  // half a step of float32 at 1

Vector normal_values(std::size_t count, std::mt19937& random, float mean = 0) {
  std::normal_distribution<float> normal(mean);
  Vector values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// A list of codes with memory beyond it that must not matter.
struct List {
  List(const ProductCodes& codec, std::size_t count) : memory(codec.bytes(0, count)) {
    std::fill_n(memory.data(), memory.size(), std::uint8_t{0x5a});
  }
  MutableCodes mutable_codes() { return {memory.data(), nullptr}; }
  CodesView view() const { return {memory.data(), nullptr}; }
  AlignedBuffer<std::uint8_t> memory;
};

// The group that a dimension is in, by the rule of the header.
std::vector<std::size_t> starts_of(std::size_t dim, std::size_t groups) {
  std::vector<std::size_t> starts = {0};
  for (std::size_t g = 0; g < groups; ++g) starts.push_back(starts.back() + dim / groups + (g < dim % groups ? 1 : 0));
  return starts;
}

// The centroids nearest to v, side by side, and Σ over the groups of the largest Σ_j |q_j·centroid_j|.
struct Nearest {
  Vector centroids;
  double sizes = 0;
};

Nearest nearest_of(const Vector& codebooks, std::size_t dim, std::size_t groups, const float* v, const float* q) {
  const std::vector<std::size_t> starts = starts_of(dim, groups);
  Nearest found;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t width = starts[g + 1] - starts[g];
    const float *best = nullptr, *centroid = codebooks.data() + product_centroids * starts[g];
    double least = INFINITY, largest = 0;
    for (std::size_t c = 0; c < product_centroids; ++c, centroid += width) {
      double square = 0, size = 0;
      for (std::size_t j = 0; j < width; ++j) {
        square += std::pow(static_cast<double>(v[starts[g] + j]) - centroid[j], 2);
        size += std::fabs(static_cast<double>(q[starts[g] + j]) * centroid[j]);
      }
      largest = std::max(largest, size);
      if (square < least) least = square, best = centroid;
    }
    found.centroids.insert(found.centroids.end(), best, best + width);
    found.sizes += largest;
  }
  return found;
}

// The score of one vector in double, and how far a float32 score may be from it. A table entry is off by half a step,
// its product, of d = dim terms at most, by d·u of the sizes of the terms, and so is the smallest, which is taken from
// it; sums and products of m = groups entries add (m + 8)·u. The factors are made of sums of d products, too, each
// within (d + 4)·u.
struct Expected {
  double score, slack;
};

Expected expected_of(const Nearest& w, const float* v, const float* q, const float* anchor, double outside,
                     double weight, bool rescaled, double step, std::size_t groups) {
  double inner = 0, vv = 0, vw = 0, ww = 0, vw_size = 0, exact = 0, coded = 0, anchor_size = 0, coded_size = 0;
  const std::size_t dim = w.centroids.size();
  for (std::size_t j = 0; j < dim; ++j) {
    const double x = v[j], c = w.centroids[j], a = anchor == nullptr ? 0 : anchor[j];
    inner += q[j] * c;
    vv += x * x;
    vw += x * c;
    ww += c * c;
    vw_size += std::fabs(x * c);
    exact += a * x;
    coded += a * c;
    anchor_size += std::fabs(a * x);
    coded_size += std::fabs(a * c);
  }
  const double additions = (static_cast<double>(dim + groups) + 16) * unit;
  double scale = 1, shift = 0, doubt = 0, shift_doubt = 0;
  if (rescaled) {
    scale = vv / vw;
    doubt = additions * (1 + vw_size / vw);  // relative, of each of the two scales at most
    if (weight == 2) {
      const double way = anchor == nullptr ? 0.25 : 0.5;
      scale = (1 - way) * vw / ww + way * vv / vw;
      shift = 0.4 * std::max(0.0, vv - scale * vw);
      shift_doubt = additions * vv + scale * (doubt * vw + additions * vw_size);
    }
  }
  const double rounding = 0.5 * step * static_cast<double>(groups);
  const double entries = rounding * (1 + 255 * additions) + 4 * additions * w.sizes;
  const double off = scale * (entries + doubt * (w.sizes + rounding)) + additions * anchor_size +
                     scale * (additions + doubt) * coded_size + shift_doubt;
  const double score = outside + weight * (scale * inner + exact - scale * coded + shift);
  // Where ⟨v, w⟩ is not clearly more than its rounding, the factor is anything: such vectors are no test.
  const bool clear = !rescaled || vw > 100 * additions * vw_size;
  return {score, clear ? weight * 1.01 * off + 8 * unit * (std::fabs(outside) + std::fabs(score)) : INFINITY};
}

void check_scores(std::size_t dim, std::size_t groups, bool rescale, bool anchored, std::mt19937& random) {
  constexpr std::size_t count = 101;
  const float weight = groups % 2 == 0 ? 2.0f : 1.0f, offset = 0.75f;
  const Vector codebooks = normal_values(product_centroids * dim, random);
  const ProductCodes codec(dim, groups, codebooks, weight, rescale);
  const Vector base = normal_values(count * dim, random, 0.2f), bias = normal_values(count, random);
  const Vector query = normal_values(dim, random), anchor = normal_values(dim, random);
  const float* centre = anchored ? anchor.data() : nullptr;
  List list(codec, count);
  // In pieces that do not end with blocks, as vectors come in over time.
  for (std::size_t first = 0, some = 1; first < count; first += some, some = std::min<std::size_t>(40, count - first))
    codec.encode(base.data() + first * dim, bias.data() + first, centre, some, list.mutable_codes(), first);
  Vector scores(count), later(count), refined(count);
  ProductCodes::Query prepared;
  codec.prepare(active_kernels(), base.data(), prepared);  // its memory is used again
  codec.prepare(active_kernels(), query.data(), prepared);
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = base.data() + i * dim;
    expected.push_back(expected_of(nearest_of(codebooks, dim, groups, v, query.data()), v, query.data(), centre,
                                   static_cast<double>(offset) + bias[i], weight, rescale, prepared.step, groups));
  }
  std::vector<std::uint32_t> places(count);
  for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>((i * 17 + 3) % count);
  const std::string shape = ", dim " + std::to_string(dim) + " groups " + std::to_string(groups) + " rescale " +
                            std::to_string(rescale) + " anchor " + std::to_string(anchored) + " ";
  Vector first_scores;
  for (const KernelTable* kernels : available_kernels()) {
    const std::string name = shape + std::string(isa_name(kernels->isa));
    codec.score(*kernels, prepared, {offset}, list.view(), 0, count, scores.data());
    codec.score(*kernels, prepared, {offset}, list.view(), 64, 37, later.data());
    codec.refine(*kernels, prepared, {offset}, list.view(), places.data(), count, refined.data());
    for (std::size_t i = 0; i < count; ++i) {
      check(std::fabs(scores[i] - expected[i].score) <= expected[i].slack,
            "a score within its bound: off by " + std::to_string(std::fabs(scores[i] - expected[i].score)) + " of " +
                std::to_string(expected[i].slack) + name);
      check(refined[i] == scores[places[i]], "refined as scored" + name);
      if (i < 37) check(later[i] == scores[64 + i], "the same from a later block on" + name);
    }
    if (first_scores.empty()) first_scores = scores;
    check(scores == first_scores, "the same scores on every instruction set" + name);
  }
}

// Codes without factors: as many bytes as they have nibbles, and scores of what the codes stand for.
void check_without_factors(std::size_t dim, std::size_t groups, ProductFactors factors, std::mt19937& random) {
  constexpr std::size_t count = 70;
  const float weight = factors == ProductFactors::norms ? 2.0f : 1.0f, offset = 0.75f;
  const Vector codebooks = normal_values(product_centroids * dim, random);
  const ProductCodes codec(dim, groups, codebooks, weight, true, factors);
  check(codec.bytes(0, count) == 3 * 16 * table_groups(groups), "codes alone take no bytes for factors");
  const Vector base = normal_values(count * dim, random), bias = normal_values(count, random), query = normal_values(dim, random);
  List list(codec, count);
  codec.encode(base.data(), bias.data(), nullptr, count, list.mutable_codes(), 0);
  codec.move(list.mutable_codes(), 3, 50);
  Vector decoded(count * dim), scores(count), refined(count);
  codec.decode(list.view(), 0, count, decoded.data());
  ProductCodes::Query prepared;
  codec.prepare(active_kernels(), query.data(), prepared);
  for (const KernelTable* kernels : available_kernels()) {
    codec.score(*kernels, prepared, {offset}, list.view(), 0, count, scores.data());
    for (std::uint32_t i = 0; i < count; ++i) {
      codec.refine(*kernels, prepared, {offset}, list.view(), &i, 1, &refined[i]);
      const float* v = base.data() + (i == 50 ? 3 : i) * dim;
      const Nearest w = nearest_of(codebooks, dim, groups, v, query.data());
      double inner = 0, norm = 0;
      for (std::size_t j = 0; j < dim; ++j) {
        check(decoded[i * dim + j] == w.centroids[j], "a code stands for its centroids as they are");
        inner += static_cast<double>(query[j]) * w.centroids[j];
        norm += static_cast<double>(w.centroids[j]) * w.centroids[j];
      }
      const double expected = offset + weight * (inner - (factors == ProductFactors::norms ? norm / 2 : 0));
      const double slack = weight * 0.51 * prepared.step * static_cast<double>(groups) + 1e-5 * (1 + norm + w.sizes);
      check(std::fabs(scores[i] - expected) <= slack, "a score of codes alone is of what they stand for");
      check(refined[i] == scores[i], "codes alone are refined as scored");
    }
  }
}

// Where the query is the anchor, or in the direction of v, an estimate is exact but for the tables' rounding.
void check_where_estimates_are_exact() {
  std::mt19937 random(6);
  constexpr std::size_t dim = 64, groups = 16, count = 40;
  const Vector codebooks = normal_values(product_centroids * dim, random), base = normal_values(count * dim, random);
  const Vector anchor = normal_values(dim, random), bias(count, 0.0f);
  const ProductCodes codec(dim, groups, codebooks, 1.0f);
  for (const bool anchored : {false, true}) {
    List list(codec, count);
    codec.encode(base.data(), bias.data(), anchored ? anchor.data() : nullptr, count, list.mutable_codes(), 0);
    Vector decoded(count * dim);
    codec.decode(list.view(), 0, count, decoded.data());
    for (std::size_t i = 0; i < count; ++i) {
      const float *v = base.data() + i * dim, *w = decoded.data() + i * dim, *q = anchored ? anchor.data() : v;
      double square = 0, product = 0, exact = 0;
      for (std::size_t j = 0; j < dim; ++j) {
        square += static_cast<double>(v[j]) * v[j];
        product += static_cast<double>(v[j]) * w[j];
        exact += static_cast<double>(q[j]) * v[j];
      }
      check(std::fabs(product - square) <= 1e-5 * square, "⟨v, w⟩ is ‖v‖² after rescaling");
      ProductCodes::Query prepared;
      codec.prepare(active_kernels(), q, prepared);
      const auto place = static_cast<std::uint32_t>(i);
      float score = 0;
      codec.refine(*available_kernels().back(), prepared, {}, list.view(), &place, 1, &score);
      double length = 0;  // of the rescaled code over the code's own: what the rounding of the tables is multiplied by
      const Nearest own = nearest_of(codebooks, dim, groups, v, q);
      for (std::size_t j = 0; j < dim; ++j) length = std::max(length, static_cast<double>(w[j]) / own.centroids[j]);
      check(std::fabs(score - exact) <= 1.01 * length * 0.5 * prepared.step * groups + 1e-4,
            anchored ? "exact at the anchor" : "exact in the direction of the vector");
    }
  }
}

void check_moves() {
  std::mt19937 random(7);
  constexpr std::size_t dim = 20, groups = 7, count = 70;
  const Vector codebooks = normal_values(product_centroids * dim, random), base = normal_values(count * dim, random);
  const Vector bias = normal_values(count, random), query = normal_values(dim, random);
  const ProductCodes codec(dim, groups, codebooks, 2.0f);
  List list(codec, count);
  codec.encode(base.data(), bias.data(), nullptr, count, list.mutable_codes(), 0);
  ProductCodes::Query prepared;
  codec.prepare(active_kernels(), query.data(), prepared);
  Vector scores(count), after(count);
  const KernelTable& kernels = *available_kernels().back();
  codec.score(kernels, prepared, {}, list.view(), 0, count, scores.data());
  for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{69, 3}, {5, 40}, {20, 12}, {8, 8}, {3, 33}}) {
    codec.move(list.mutable_codes(), from, to);
    scores[to] = scores[from];
    codec.score(kernels, prepared, {}, list.view(), 0, count, after.data());
    check(after == scores, "a moved code scores as it did, and no other changes");
  }
  AlignedBuffer<std::uint8_t> copied(codec.bytes(0, 40));
  std::memcpy(copied.data(), list.memory.data(), copied.size());
  codec.score(kernels, prepared, {}, {copied.data(), nullptr}, 0, 40, after.data());
  check(std::equal(scores.begin(), scores.begin() + 40, after.begin()), "the bytes of fewer codes are the first ones");
}

void check_degenerate() {
  const Vector zeros(6, 0.0f), ones(6, 1.0f), bias = {3.0f};
  Vector codebooks(product_centroids * 6, 0.0f);
  for (std::size_t e = 0; e < 3; ++e) codebooks[e] = 1;  // the first centroid of the first of two groups
  for (std::size_t e = 48; e < 51; ++e) codebooks[e] = 1;
  const ProductCodes codec(6, 2, codebooks, 2.0f);
  List list(codec, 1);
  const std::uint32_t place = 0;
  const KernelTable& kernels = *available_kernels().back();
  ProductCodes::Query prepared;
  const auto score_of = [&](const Vector& vector, const Vector& query) {
    codec.encode(vector.data(), bias.data(), nullptr, 1, list.mutable_codes(), 0);
    codec.prepare(active_kernels(), query.data(), prepared);
    float score = 0;
    codec.refine(kernels, prepared, {}, list.view(), &place, 1, &score);
    return score;
  };
  check(score_of(zeros, ones) == 3, "a zero vector's score is its own term");
  check(score_of(ones, zeros) == 3, "and so is every score of a zero query");
  check(std::fabs(score_of(ones, ones) - 15) < 1e-4f, "a vector that is a centroid in every group is exact");
  check(score_of(Vector(6, -1.0f), ones) == 3, "a vector whose centroids are 0 is taken for 0");
  check(std::isfinite(score_of(ones, Vector(6, 1e-42f))), "a query of denormals");
  const auto refused = [&](std::size_t dim, std::size_t groups, const Vector& books) {
    try {
      const ProductCodes made(dim, groups, books, 1.0f);
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  };
  check(refused(6, 0, codebooks) && refused(6, 7, codebooks) && refused(0, 0, {}), "groups that cannot be");
  check(refused(5, 2, codebooks) && refused(6, 2, {}), "codebooks of another size");
  codebooks[7] = NAN;
  check(refused(6, 2, codebooks), "codebooks with NaN");
  check(refused(3000, 2100, Vector(product_centroids * 3000)), "more groups than the kernel takes");
}

}  // namespace

void test_product_codes() {
  std::mt19937 random(5);
  const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{1, 1},   {2, 1},    {7, 7},    {16, 4},   {17, 5},
                                                                   {64, 16}, {100, 48}, {384, 97}, {600, 300}};
  for (const auto& [dim, groups] : shapes)
    for (const bool rescale : {false, true})
      for (const bool anchored : {false, true}) check_scores(dim, groups, rescale, anchored, random);
  for (const auto& [dim, groups] : shapes)
    for (const ProductFactors factors : {ProductFactors::norms, ProductFactors::none})
      check_without_factors(dim, groups, factors, random);
  check_where_estimates_are_exact();
  check_moves();
  check_degenerate();
}

}  // namespace annbench::tests
