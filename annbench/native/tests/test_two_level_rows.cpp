#include "codecs/two_level_rows.hpp"

#include <cmath>

#include "codecs/reconstruction.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

constexpr UniformFit fits[] = {UniformFit::min_max, UniformFit::rabitq, UniformFit::rabitq_fast, UniformFit::osq};

std::string name_of(std::size_t dim, int first_bits, int residual_bits, UniformFit fit) {
  return "rows of two levels, dim " + std::to_string(dim) + " " + std::to_string(first_bits) + "x" +
         std::to_string(residual_bits) + " fit " + std::to_string(static_cast<int>(fit));
}

// What the levels of a vector stand for, from the quantizer itself.
struct Expected {
  UniformGrid grid;
  std::vector<double> of_level[2];
  double rescale[2];
  Rest rest[2];
};

Expected expected_of(const UniformQuantizer& quantizer, int residual_bits, const float* v, const float* anchor) {
  const std::size_t dim = quantizer.dim();
  Expected expected;
  std::vector<std::uint8_t> codes(dim), residuals(dim);
  expected.grid = quantizer.encode(v, codes.data());
  encode_residual(v, codes.data(), expected.grid, residual_bits, dim, residuals.data());
  const UniformGrid second = residual_grid(expected.grid, residual_bits);
  for (std::size_t j = 0; j < dim; ++j) {
    const double w = expected.grid.lower + static_cast<double>(expected.grid.step) * codes[j];
    expected.of_level[0].push_back(w);
    expected.of_level[1].push_back(w + second.lower + static_cast<double>(second.step) * residuals[j]);
  }
  for (int level = 0; level < 2; ++level) {
    const double* w = expected.of_level[level].data();
    expected.rescale[level] = rescale_of(v, w, dim);
    expected.rest[level] = rest_of(v, w, expected.rescale[level], anchor, dim);
  }
  return expected;
}

// Bounds and estimates on every instruction set against ⟨q̂, w⟩ in double, q̂ the query as it was rounded.
void check_scores(std::size_t dim, std::size_t count, int first_bits, int residual_bits, UniformFit fit,
                  std::mt19937& random) {
  const float weight = dim % 2 == 0 ? 2.0f : 1.0f;
  const TwoLevelRows codec(dim, first_bits, residual_bits, fit, weight);
  const UniformQuantizer quantizer(dim, first_bits, fit);
  const std::string name = name_of(dim, first_bits, residual_bits, fit);
  const Vector vectors = normal_values(count * dim, random, 0.2f), bias = normal_values(count, random);
  const Vector q = normal_values(dim, random), anchor = normal_values(dim, random);
  std::vector<std::uint32_t> places(count);
  for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>(i);
  for (const float* near : {static_cast<const float*>(nullptr), anchor.data()}) {
    CodeMemory list(codec, count);
    codec.encode(vectors.data(), bias.data(), near, count, list.codes(), 0);
    Vector decoded[2] = {Vector(count * dim), Vector(count * dim)};
    for (int level = 0; level < 2; ++level) codec.decode(list.view(), 0, count, level + 1, decoded[level].data());
    for (const Vector& against : {q, anchor}) {
      TwoLevelRows::Query query;
      codec.prepare(active_kernels(), against.data(), query);
      const double step = query.rounded.step;
      const Probe probe{.offset = 0.5f, .distance = 3, .epsilon = 1.5f};
      Vector scores[2] = {Vector(count), Vector(count)}, first[2];
      for (const KernelTable* kernels : available_kernels()) {
        codec.score(*kernels, query, probe, list.view(), 0, count, scores[0].data());
        codec.refine(*kernels, query, probe, list.view(), places.data(), count, scores[1].data());
        for (int level = 0; level < 2; ++level) {
          if (first[level].empty()) first[level] = scores[level];
          check(scores[level] == first[level], name + ": every instruction set gives the same");
        }
        for (std::size_t i = 0; i < count; ++i) {
          const float* v = vectors.data() + i * dim;
          const Expected expected = expected_of(quantizer, residual_bits, v, near);
          for (int level = 0; level < 2; ++level) {
            const double rescale = expected.rescale[level];
            const double added = level == 0 ? 1.5 * 3 * weight * expected.rest[0].error : 0.0;
            double score = 0.5 + bias[i] + weight * expected.rest[level].correction;
            double sizes = 1 + std::fabs(score) + added, rounding = 0;
            score += added;
            for (std::size_t j = 0; j < dim; ++j) {
              const double value = rescale * expected.of_level[level][j], rounded = step * query.rounded.values[j];
              // The grid's lower end meets the query apart from the codes.
              const double lower = 2 * std::fabs(expected.grid.lower);
              const double largest = std::fabs(rescale) * (lower + std::fabs(expected.of_level[level][j]));
              check(std::fabs(decoded[level][i * dim + j] - value) <= 8 * unit * 2 * largest,
                    name + ": decoded values");
              check(std::fabs(rounded - against[j]) <= 0.5001 * step, name + ": the query is rounded to the nearest");
              score += weight * value * rounded;
              sizes += weight * largest * std::fabs(rounded);
              rounding += weight * value * (rounded - against[j]);
            }
            check(std::fabs(scores[level][i] - score) <= 8 * unit * sizes,
                  name + ": score of level " + std::to_string(level) + " " + std::to_string(scores[level][i] - score));
            const double exact = 0.5 + bias[i] + weight * dot(against.data(), v, dim);
            if (near != nullptr && &against == &anchor)
              check(std::fabs(scores[level][i] - added - rounding - exact) <= 16 * unit * (sizes + std::fabs(exact)),
                    name + ": exact at the anchor but for the rounding of the query");
          }
        }
      }
    }
  }
}

// LVQ's guarantee: within half a step of the second level, if the first clips nothing.
void check_residuals(std::mt19937& random) {
  for (const int first_bits : {4, 8})
    for (const int residual_bits : {4, 8}) {
      const UniformQuantizer quantizer(50, first_bits, UniformFit::min_max);
      const Vector v = normal_values(50, random);
      const Expected expected = expected_of(quantizer, residual_bits, v.data(), nullptr);
      const double step = residual_grid(expected.grid, residual_bits).step;
      for (std::size_t j = 0; j < 50; ++j)
        check(std::fabs(expected.of_level[1][j] - v[j]) <= 0.5 * step + 4 * unit * std::fabs(expected.grid.lower),
              "within half a step of the second level");
    }
}

// How often an estimate lies above its bound, how large the first level's errors are beside those that the bound goes
// by, and how much smaller those of both levels are; all against the rounded query, which both levels share.
void check_bounds(int first_bits, int residual_bits, UniformFit fit, double cosine, std::mt19937& random) {
  constexpr std::size_t dim = 96, samples = 2000;
  const TwoLevelRows codec(dim, first_bits, residual_bits, fit, 2);
  const KernelTable& kernels = *available_kernels().back();
  const Probe bound{.offset = 0, .distance = 1, .epsilon = 1.9f}, one{.offset = 0, .distance = 1, .epsilon = 1}, none{};
  CodeMemory list(codec, 1);
  TwoLevelRows::Query query;
  Vector v, q, bias = {0.0f};
  double violated = 0, ratios = 0, of_first = 0, of_both = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    rotated_pair(dim, cosine, random, v, q);
    codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
    codec.prepare(active_kernels(), q.data(), query);
    double exact = 0;
    for (std::size_t j = 0; j < dim; ++j) exact += 2.0 * query.rounded.step * query.rounded.values[j] * v[j];
    float above = 0, first = 0, deviation = 0, both = 0;
    const std::uint32_t place = 0;
    codec.score(kernels, query, bound, list.view(), 0, 1, &above);
    codec.score(kernels, query, none, list.view(), 0, 1, &first);
    codec.score(kernels, query, one, list.view(), 0, 1, &deviation);
    codec.refine(kernels, query, bound, list.view(), &place, 1, &both);
    deviation -= first;
    violated += both > above ? 1.0 : 0.0;
    ratios += std::pow((first - exact) / deviation, 2) / (1 - cosine * cosine);
    of_first += (first - exact) * (first - exact);
    of_both += (both - exact) * (both - exact);
  }
  const std::string name = name_of(dim, first_bits, residual_bits, fit) + " cosine " + std::to_string(cosine);
  // A normal error passes 1.9 deviations on one side in 2.9 % of cases; a near query has less of it.
  check(violated / samples < (cosine > 0 ? 0.02 : 0.045), name + ", violated by " + std::to_string(violated / samples));
  // 2,000 samples tell a root mean square to 1.6 %.
  check(std::fabs(std::sqrt(ratios / samples) - 1) < 0.06,
        name + ", errors beside those predicted " + std::to_string(std::sqrt(ratios / samples)));
  // A grid that clips nothing gains its bits; what another has clipped lies beyond the second level's grid.
  const double gained = fit == UniformFit::min_max ? 0.75 * (1 << residual_bits) : 3;
  check(std::sqrt(of_first / of_both) > gained,
        name + ", errors shrink by " + std::to_string(std::sqrt(of_first / of_both)));
}

// Without clipping the stored error is the deviation of what rounding leaves, step/√12, but for the factor.
void check_stored_error(std::mt19937& random) {
  constexpr std::size_t dim = 768;
  for (const int bits : {4, 8}) {
    const TwoLevelRows codec(dim, bits, 4, UniformFit::min_max, 2);
    const Vector v = normal_values(dim, random), bias = {0};
    CodeMemory list(codec, 1);
    codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
    float factors[4];
    std::memcpy(factors, codec.layout(0).factors_of(list.view()[0]), 16);
    const double beside_cell = factors[3] * std::sqrt(12.0) / factors[1];
    check(std::fabs(beside_cell - 1) < 0.1,
          "the error of a cell, " + std::to_string(bits) + " bits: " + std::to_string(beside_cell));
  }
}

void check_degenerate(std::mt19937& random) {
  const KernelTable& kernels = *available_kernels().back();
  const Probe probe{.offset = 0, .distance = 5, .epsilon = 2};
  const std::uint32_t place = 0;
  for (const UniformFit fit : fits)
    for (std::size_t dim = 1; dim <= 7; ++dim) {
      const TwoLevelRows codec(dim, 4, 8, fit, 2);
      const Vector zeros(dim, 0.0f), ones(dim, 1.0f), bias = {3}, q = normal_values(dim, random);
      CodeMemory list(codec, 1);
      TwoLevelRows::Query query;
      const auto both = [&](const Vector& against) {
        std::vector<float> found(2);
        codec.prepare(active_kernels(), against.data(), query);
        codec.score(kernels, query, probe, list.view(), 0, 1, &found[0]);
        codec.refine(kernels, query, probe, list.view(), &place, 1, &found[1]);
        return found;
      };
      codec.encode(zeros.data(), bias.data(), nullptr, 1, list.codes(), 0);
      check(both(q) == Vector{3, 3}, "a zero vector's score and bound are its own term");
      codec.encode(ones.data(), bias.data(), nullptr, 1, list.codes(), 0);
      check(both(zeros)[1] == 3, "and so is every score of a zero query");
      const auto found = both(ones);
      const float exact = 3 + 2 * static_cast<float>(dim);
      check(std::fabs(found[0] - exact) < 2e-5f && std::fabs(found[1] - exact) < 2e-5f, "a constant vector is exact");
      const Vector tiny(dim, 1e-44f);
      check(std::isfinite(both(tiny)[0]) && both(tiny)[1] == 3, "a query too small for its grid is zero");
    }
}

}  // namespace

void test_two_level_rows() {
  std::mt19937 random(90210);
  constexpr std::size_t counts[] = {1, 2, 3, 4, 5, 9};
  for (std::size_t dim = 1; dim <= 130; ++dim)
    check_scores(dim, counts[dim % 6], dim % 3 == 0 ? 8 : 4, dim % 2 == 0 ? 8 : 4, fits[dim / 2 % 4], random);
  for (const std::size_t dim : {257, 521}) check_scores(dim, 140, 4, 8, UniformFit::min_max, random);
  for (const UniformFit fit : fits)
    for (const std::size_t dim : {1, 7, 104, 111, 112, 113, 300})
      check_list_rules(TwoLevelRows(dim, 4, dim % 3 == 0 ? 4 : 8, fit, 2), name_of(dim, 4, dim % 3 == 0 ? 4 : 8, fit),
                       random);
  check_residuals(random);
  for (const UniformFit fit : fits) {
    for (const int residual_bits : {4, 8}) check_bounds(4, residual_bits, fit, 0.7, random);
    check_bounds(8, 4, fit, 0.7, random);
    check_bounds(4, 8, fit, 0, random);
  }
  check_stored_error(random);
  check_degenerate(random);
  const auto make = [](std::size_t dim, int first_bits, int residual_bits) {
    return [=] { TwoLevelRows(dim, first_bits, residual_bits, UniformFit::osq, 1); };
  };
  check(refuses(make(10, 3, 8)) && refuses(make(10, 4, 2)) && refuses(make(0, 4, 8)), "levels have 4 or 8 bits");
}

}  // namespace annbench::tests
