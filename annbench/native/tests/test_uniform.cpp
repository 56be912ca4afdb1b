#include "codecs/uniform.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;

Vector unit_vector(std::size_t dim, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::vector<double> wide(dim);
  double squares = 0;
  for (double& value : wide) {
    value = normal(random);
    squares += value * value;
  }
  Vector v(dim);
  for (std::size_t j = 0; j < dim; ++j) v[j] = static_cast<float>(wide[j] / std::sqrt(squares));
  return v;
}

std::vector<double> decode(const std::vector<std::uint8_t>& codes, UniformGrid grid) {
  std::vector<double> w;
  for (const std::uint8_t code : codes) w.push_back(grid.lower + static_cast<double>(grid.step) * code);
  return w;
}

double dot(const auto& a, const auto& b) {
  double total = 0;
  for (std::size_t j = 0; j < a.size(); ++j) total += static_cast<double>(a[j]) * b[j];
  return total;
}

double cosine(const Vector& v, const std::vector<double>& w) { return dot(v, w) / std::sqrt(dot(v, v) * dot(w, w)); }

double mean_cosine(std::size_t dim, int bits, UniformFit fit, int samples) {
  std::mt19937 random(7);
  const UniformQuantizer quantizer(dim, bits, fit);
  std::vector<std::uint8_t> codes(dim);
  double total = 0;
  for (int i = 0; i < samples; ++i) {
    const Vector v = unit_vector(dim, random);
    total += cosine(v, decode(codes, quantizer.encode(v.data(), codes.data())));
  }
  return total / samples;
}

void near(double found, double expected, double tolerance, const std::string& what) {
  check(std::fabs(found - expected) <= tolerance,
        what + ": " + std::to_string(found) + " instead of " + std::to_string(expected));
}

// Extended RaBitQ's quality on random unit vectors, by bits.
void check_published_cosines() {
  const int bits[] = {1, 2, 3, 4, 5, 8};
  const double at_128[] = {.803, .9413, .9830, .9953, .9988, .99998};
  const double at_768[] = {.7968, .9384, .9810, .9942, .9983, .99997};
  for (int i = 0; i < 6; ++i) {
    const std::string name = "cosine at " + std::to_string(bits[i]) + " bits, dim ";
    const double tolerance = bits[i] == 1 ? 4e-3 : bits[i] == 8 ? 2e-5 : 1e-3;
    near(mean_cosine(128, bits[i], UniformFit::rabitq, 60), at_128[i], tolerance, name + "128");
    near(mean_cosine(768, bits[i], UniformFit::rabitq, 40), at_768[i], bits[i] == 2 ? 2e-3 : tolerance, name + "768");
  }
  // E⟨ō, o⟩ = √D Γ(D/2) / (√π Γ((D+1)/2)) at one bit.
  for (const std::size_t dim : {64, 256}) {
    const double d = static_cast<double>(dim);
    const double expected = std::sqrt(d / M_PI) * std::exp(std::lgamma(d / 2) - std::lgamma((d + 1) / 2));
    near(mean_cosine(dim, 1, UniformFit::rabitq, 2000), expected, 2e-3, "one bit, dim " + std::to_string(dim));
  }
}

// The sweep against every codeword of a small dimension's scales.
void check_sweep_is_exhaustive() {
  std::mt19937 random(3);
  for (const int bits : {2, 3, 4}) {
    for (int trial = 0; trial < 200; ++trial) {
      const std::size_t dim = 1 + random() % 16;
      Vector v = unit_vector(dim, random);
      // Codes that change at one scale, or nearly so: of equal values, of hardly different ones, of zeros.
      for (float& value : v) {
        if (trial % 4 == 1) value = std::copysign(1.0f, value);
        if (trial % 4 == 2) value = std::copysign(1.0f + 1e-6f * value, value);
        if (trial % 4 == 3 && random() % 2 == 0) value = 0;
      }
      if (std::ranges::all_of(v, [](float value) { return value == 0; })) v[0] = 1;
      std::vector<std::uint8_t> codes(dim);
      const UniformQuantizer quantizer(dim, bits, UniformFit::rabitq);
      const double found = cosine(v, decode(codes, quantizer.encode(v.data(), codes.data())));
      const int top = (1 << (bits - 1)) - 1;
      double best = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        for (int m = 0; m <= top; ++m) {
          const double scale = v[i] == 0 ? 1 : (m + 1e-9) / std::fabs(static_cast<double>(v[i]));
          std::vector<double> w;
          for (const float value : v) {
            const int magnitude = static_cast<int>(std::min(scale * std::fabs(static_cast<double>(value)), top + 0.0));
            w.push_back((magnitude + 0.5) * (value > 0 ? 1 : -1));
          }
          best = std::max(best, cosine(v, w));
        }
      }
      check(found >= best - 1e-6, "sweep finds the best scale, dim " + std::to_string(dim) + " bits " +
                                      std::to_string(bits) + ": " + std::to_string(found) + " < " + std::to_string(best));
    }
  }
}

void check_one_scale_for_all_loses_little() {
  for (const int bits : {2, 3, 4, 5, 8}) {
    const double swept = mean_cosine(384, bits, UniformFit::rabitq, 30);
    const double fast = mean_cosine(384, bits, UniformFit::rabitq_fast, 30);
    check(fast <= swept + 1e-9 && 1 - fast <= 1.2 * (1 - swept), "fast scale at " + std::to_string(bits) + " bits: cosine " +
                                                           std::to_string(fast) + ", swept " + std::to_string(swept));
  }
}

// LVQ's relative error on normal coordinates, and its bound.
void check_min_max() {
  const struct { std::size_t dim; int bits; double error; } published[] = {
      {128, 4, .0097}, {768, 2, .39}, {768, 3, .071}, {768, 4, .0155}, {768, 5, .0036}};
  for (const auto& row : published) {
    std::mt19937 random(5);
    const UniformQuantizer quantizer(row.dim, row.bits, UniformFit::min_max);
    std::vector<std::uint8_t> codes(row.dim);
    double total = 0;
    for (int i = 0; i < 40; ++i) {
      const Vector v = unit_vector(row.dim, random);
      const UniformGrid grid = quantizer.encode(v.data(), codes.data());
      const std::vector<double> w = decode(codes, grid);
      const auto [low, high] = std::minmax_element(v.begin(), v.end());
      for (std::size_t j = 0; j < row.dim; ++j) {
        total += (v[j] - w[j]) * (v[j] - w[j]);
        check(std::fabs(v[j] - w[j]) <= grid.step * 0.5001, "within half a step");
        if (v[j] == *low) check(codes[j] == 0, "the lowest value has code 0");
        if (v[j] == *high) check(codes[j] == quantizer.max_code(), "the highest value has the highest code");
      }
    }
    near(total / 40, row.error, 0.12 * row.error, "error of min-max, dim " + std::to_string(row.dim));
  }
}

// Root mean square error of an estimated inner product of about 0.7 between unit vectors, dim 256.
void check_rescaled_estimates() {
  const struct { UniformFit fit; int bits; bool rescaled; double error; } published[] = {
      {UniformFit::rabitq, 1, true, .0349}, {UniformFit::osq, 1, false, .0487}, {UniformFit::osq, 1, true, .0345},
      {UniformFit::rabitq, 2, true, .0179}, {UniformFit::min_max, 2, false, .0351}, {UniformFit::min_max, 2, true, .0244},
      {UniformFit::osq, 2, false, .0343},   {UniformFit::osq, 2, true, .0166},  {UniformFit::rabitq, 4, true, .0050},
      {UniformFit::min_max, 4, true, .0050}, {UniformFit::osq, 4, false, .0084}, {UniformFit::osq, 4, true, .0049}};
  constexpr std::size_t dim = 256;
  constexpr int samples = 1500;
  for (const auto& row : published) {
    std::mt19937 random(17);
    const UniformQuantizer quantizer(dim, row.bits, row.fit);
    std::vector<std::uint8_t> codes(dim);
    double total = 0, bias = 0;
    for (int i = 0; i < samples; ++i) {
      const Vector v = unit_vector(dim, random), noise = unit_vector(dim, random);
      Vector q(dim);
      for (std::size_t j = 0; j < dim; ++j) q[j] = 0.7f * v[j] + 0.7141428f * noise[j];
      const UniformGrid grid = quantizer.encode(v.data(), codes.data());
      const double factor = row.rescaled ? uniform_rescale(v.data(), codes.data(), grid, dim) : 1.0;
      const double error = factor * dot(q, decode(codes, grid)) - dot(q, v);
      total += error * error;
      bias += error;
    }
    const double rms = std::sqrt(total / samples);
    const std::string name = "fit " + std::to_string(static_cast<int>(row.fit)) + " at " + std::to_string(row.bits) +
                             " bits, rescaled " + std::to_string(row.rescaled);
    near(rms, row.error, 0.12 * row.error, "estimate error, " + name);
    if (row.rescaled) check(std::fabs(bias / samples) <= 3.5 * rms / std::sqrt(samples), "unbiased, " + name);
  }
}

void check_second_level() {
  std::mt19937 random(9);
  for (const int bits : {4, 8}) {
    const std::size_t dim = 100;
    const UniformQuantizer quantizer(dim, 4, UniformFit::min_max);
    std::vector<std::uint8_t> codes(dim), fine(dim);
    const Vector v = unit_vector(dim, random);
    const UniformGrid grid = quantizer.encode(v.data(), codes.data());
    encode_residual(v.data(), codes.data(), grid, bits, dim, fine.data());
    const UniformGrid second = residual_grid(grid, bits);
    const auto coarse = decode(codes, grid), rest = decode(fine, second);
    for (std::size_t j = 0; j < dim; ++j)
      check(std::fabs(v[j] - coarse[j] - rest[j]) <= second.step * 0.501, "two levels within half a fine step");
  }
}

void check_degenerate_vectors() {
  for (const UniformFit fit : {UniformFit::min_max, UniformFit::rabitq, UniformFit::rabitq_fast, UniformFit::osq}) {
    for (const int bits : {1, 2, 4, 8}) {
      for (const std::size_t dim : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{65}}) {
        const UniformQuantizer quantizer(dim, bits, fit);
        for (const float value : {0.0f, 1.0f, -3.0f, 1e-38f, -1e18f}) {
          const Vector v(dim, value);
          std::vector<std::uint8_t> codes(dim, 255);
          const UniformGrid grid = quantizer.encode(v.data(), codes.data());
          const float factor = uniform_rescale(v.data(), codes.data(), grid, dim);
          check(std::isfinite(grid.lower) && std::isfinite(grid.step) && std::isfinite(factor), "finite grid");
          check(*std::max_element(codes.begin(), codes.end()) <= quantizer.max_code(), "codes within their bits");
          if (value == 1.0f || value == -3.0f) {
            // A constant vector is on its own grid: nothing is lost once rescaled.
            const double estimate = factor * dot(v, decode(codes, grid));
            near(estimate / dot(v, v), 1, 1e-5, "constant vector");
          }
        }
      }
    }
  }
  // All magnitudes equal: one bit loses nothing.
  const Vector signs = {0.5f, -0.5f, -0.5f, 0.5f};
  std::vector<std::uint8_t> codes(4);
  const UniformGrid grid = UniformQuantizer(4, 1, UniformFit::rabitq).encode(signs.data(), codes.data());
  near(cosine(signs, decode(codes, grid)), 1, 1e-12, "equal magnitudes at one bit");
  for (const int bits : {0, 9}) {
    bool refused = false;
    try {
      UniformQuantizer(4, bits, UniformFit::osq);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    check(refused, "bits outside 1 to 8 are refused");
  }
}

}  // namespace

void test_uniform() {
  check_published_cosines();
  check_sweep_is_exhaustive();
  check_one_scale_for_all_loses_little();
  check_min_max();
  check_rescaled_estimates();
  check_second_level();
  check_degenerate_vectors();
}

}  // namespace annbench::tests
