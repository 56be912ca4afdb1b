#include "codecs/uniform.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <string>

namespace annbench {
namespace {

constexpr int fast_scale_samples = 100;
constexpr int osq_rounds = 5;
constexpr double osq_lambda = 0.1;  // weight of the error across the vector, against that along it
// Half-width in standard deviations of the grid of least error for normal values, by bits: where OSQ's descent starts.
constexpr std::array<double, 9> osq_start = {0, 0.798, 1.493, 2.051, 2.514, 2.916, 3.278, 3.611, 3.922};
// The sweep ends where the largest value has passed the last code by this much: all that could still rise are small.
constexpr double sweep_margin = 10;

std::uint8_t nearest_code(double position, int max_code) {
  return static_cast<std::uint8_t>(std::clamp(std::floor(position + 0.5), 0.0, static_cast<double>(max_code)));
}

void round_to_grid(const float* v, std::size_t dim, double lower, double step, int max_code, std::uint8_t* codes) {
  const double inverse = step > 0 ? 1 / step : 0;
  for (std::size_t j = 0; j < dim; ++j) codes[j] = nearest_code((v[j] - lower) * inverse, max_code);
}

UniformGrid encode_min_max(const float* v, std::size_t dim, int max_code, std::uint8_t* codes) {
  const auto [low, high] = std::minmax_element(v, v + dim);
  const double step = (static_cast<double>(*high) - *low) / max_code;
  const UniformGrid grid{*low, static_cast<float>(step)};
  round_to_grid(v, dim, grid.lower, grid.step, max_code, codes);
  return grid;
}

// ---- RaBitQ: code = sign bit and magnitude bits of a symmetric grid −(M − ½), …, −½, ½, …, M − ½ with M = 2^(bits−1)

// Magnitudes at scale t, mirrored for negative values so that the code rises with the value.
void codes_at_scale(const float* v, std::size_t dim, double scale, int bits, std::uint8_t* codes) {
  const int half = 1 << (bits - 1);
  for (std::size_t j = 0; j < dim; ++j) {
    const double scaled = scale * std::fabs(static_cast<double>(v[j]));
    const int magnitude = static_cast<int>(std::min(scaled, half - 1.0));
    codes[j] = static_cast<std::uint8_t>(v[j] > 0 ? half + magnitude : half - 1 - magnitude);
  }
}

// Where the magnitude of a dimension rises to `next`.
struct Crossing {
  double scale;
  std::uint32_t dimension;
  std::int32_t next;
  bool operator<(const Crossing& other) const {
    return scale != other.scale ? scale < other.scale : dimension < other.dimension;
  }
};

// The crossings of a vector in ascending order; room that is made once and used for many. There are hundreds, spread over a
// range that is known: they go into as many buckets as there are of them, and what is left to sort are neighbours.
class Crossings {
 public:
  void clear() { found_.clear(); }
  void add(double scale, std::size_t dimension, int next) {
    found_.push_back({scale, static_cast<std::uint32_t>(dimension), next});
  }
  // All of them, whose scales are at most `end`.
  std::span<const Crossing> ascending(double end) {
    const double buckets = static_cast<double>(found_.size()), share = buckets / end;
    begins_.assign(found_.size() + 2, 0);
    const auto bucket = [&](const Crossing& one) { return static_cast<std::size_t>(std::min(one.scale * share, buckets)); };
    for (const Crossing& one : found_) ++begins_[bucket(one) + 1];
    for (std::size_t b = 1; b < begins_.size(); ++b) begins_[b] += begins_[b - 1];
    sorted_.resize(found_.size());
    for (const Crossing& one : found_) sorted_[begins_[bucket(one)]++] = one;
    auto begin = sorted_.begin();
    for (const std::uint32_t after : begins_) {  // each has moved to where its bucket ends
      const auto end_of = sorted_.begin() + after;
      if (end_of - begin > 1) std::sort(begin, end_of);
      begin = std::max(begin, end_of);
    }
    return sorted_;
  }

 private:
  std::vector<Crossing> found_, sorted_;
  std::vector<std::uint32_t> begins_;
};

// The scale whose codes have the best cosine with v. Between two crossings no code changes; at one, a single magnitude
// rises by 1, so that numerator and denominator of the cosine follow in O(1).
double best_scale(const float* v, std::size_t dim, int bits, Crossings& room) {
  const int top = (1 << (bits - 1)) - 1;
  double largest = 0;
  for (std::size_t j = 0; j < dim; ++j) largest = std::max(largest, std::fabs(static_cast<double>(v[j])));
  if (top == 0 || largest == 0) return 0;
  const double end = (top + sweep_margin) / largest;
  room.clear();
  double numerator = 0, denominator = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double size = std::fabs(static_cast<double>(v[j]));
    numerator += 0.5 * size;
    denominator += 0.25;
    if (size == 0) continue;
    for (int next = 1; next <= top && next <= end * size; ++next) room.add(next / size, j, next);
  }
  const std::span<const Crossing> crossings = room.ascending(end);
  double best = 0, best_quality = numerator * numerator / denominator;
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    numerator += std::fabs(static_cast<double>(v[crossings[i].dimension]));
    denominator += 2 * crossings[i].next;  // (m + ½)² − (m − ½)² = 2m
    const double quality = numerator * numerator / denominator;
    if (quality > best_quality) {
      best_quality = quality;
      // Just beyond the crossing, so that rounding does not fall short of it.
      const double following = i + 1 < crossings.size() ? crossings[i + 1].scale : end;
      best = following > crossings[i].scale ? (crossings[i].scale + following) / 2
                                            : std::nextafter(crossings[i].scale, std::numeric_limits<double>::max());
    }
  }
  return best;
}

// What the best scale of v is predicted from; see UniformQuantizer::fast_scale.
double size_for_scale(const float* v, std::size_t dim, int bits) {
  double squares = 0, largest = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double size = std::fabs(static_cast<double>(v[j]));
    squares += size * size;
    largest = std::max(largest, size);
  }
  return bits <= 3 ? std::sqrt(squares) : largest;
}

double mean_best_scale(std::size_t dim, int bits) {
  if (bits == 1) return 0;
  std::mt19937_64 random(20240912);
  std::normal_distribution<double> normal;
  std::vector<float> v(dim);
  Crossings crossings;
  double total = 0;
  for (int sample = 0; sample < fast_scale_samples; ++sample) {
    for (float& value : v) value = static_cast<float>(normal(random));
    total += best_scale(v.data(), dim, bits, crossings) * size_for_scale(v.data(), dim, bits);
  }
  return total / fast_scale_samples;
}

UniformGrid symmetric_grid(int bits, double step) {
  const double lower = -0.5 * ((1 << bits) - 1) * step;
  return {static_cast<float>(lower), static_cast<float>(step)};
}

// ---- OSQ: alternate between the codes of a grid and the grid of least error for the codes

struct OsqLoss {
  double squares, lambda;
  double operator()(const float* v, std::size_t dim, double a, double b, int max_code) const {
    const double step = (b - a) / max_code, inverse = step > 0 ? 1 / step : 0;
    double along = 0, across = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double error = v[j] - (a + step * nearest_code((v[j] - a) * inverse, max_code));
      along += v[j] * error;
      across += error * error;
    }
    return (1 - lambda) * along * along / squares + lambda * across;
  }
};

UniformGrid encode_osq(const float* v, std::size_t dim, int bits, std::uint8_t* codes) {
  const int max_code = (1 << bits) - 1;
  double sum = 0, squares = 0, low = v[0], high = v[0];
  for (std::size_t j = 0; j < dim; ++j) {
    sum += v[j];
    squares += static_cast<double>(v[j]) * v[j];
    low = std::min(low, static_cast<double>(v[j]));
    high = std::max(high, static_cast<double>(v[j]));
  }
  if (high <= low || squares == 0) return encode_min_max(v, dim, max_code, codes);
  const double mean = sum / static_cast<double>(dim);
  const double deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(dim) - mean * mean));
  const double reach = osq_start[static_cast<std::size_t>(bits)] * deviation;
  double a = std::clamp(mean - reach, low, high), b = std::clamp(mean + reach, low, high);
  const OsqLoss loss{squares, osq_lambda};
  double best = loss(v, dim, a, b, max_code);
  for (int round = 0; round < osq_rounds && b > a; ++round) {
    const double inverse = max_code / (b - a), kappa = (1 - osq_lambda) / squares;
    double daa = 0, dab = 0, dbb = 0, dax = 0, dbx = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double s = static_cast<double>(nearest_code((v[j] - a) * inverse, max_code)) / max_code;
      daa += (1 - s) * (1 - s);
      dab += s * (1 - s);
      dbb += s * s;
      dax += v[j] * (1 - s);
      dbx += v[j] * s;
    }
    const double m00 = kappa * dax * dax + osq_lambda * daa, m01 = kappa * dax * dbx + osq_lambda * dab;
    const double m11 = kappa * dbx * dbx + osq_lambda * dbb, determinant = m00 * m11 - m01 * m01;
    if (!(std::fabs(determinant) > 1e-300)) break;
    const double new_a = (m11 * dax - m01 * dbx) / determinant, new_b = (m00 * dbx - m01 * dax) / determinant;
    if (!(new_b > new_a)) break;
    const double now = loss(v, dim, new_a, new_b, max_code);
    if (!(now < best)) break;
    best = now;
    a = new_a;
    b = new_b;
  }
  const UniformGrid grid{static_cast<float>(a), static_cast<float>((b - a) / max_code)};
  round_to_grid(v, dim, grid.lower, grid.step, max_code, codes);
  return grid;
}

}  // namespace

UniformQuantizer::UniformQuantizer(std::size_t dim, int bits, UniformFit fit)
    : dim_(dim), bits_(bits), fit_(fit), fast_scale_(std::make_shared<FastScale>()) {
  if (bits < 1 || bits > 8) throw std::invalid_argument("bits must be 1 to 8, got " + std::to_string(bits));
  if (dim < 1) throw std::invalid_argument("dim must be at least 1");
}

float UniformQuantizer::fast_scale() const {
  if (fit_ != UniformFit::rabitq_fast) return 0;
  std::call_once(fast_scale_->found, [this] { fast_scale_->value = static_cast<float>(mean_best_scale(dim_, bits_)); });
  return fast_scale_->value;
}

UniformGrid UniformQuantizer::encode(const float* v, std::uint8_t* codes) const {
  if (fit_ == UniformFit::min_max) return encode_min_max(v, dim_, max_code(), codes);
  if (fit_ == UniformFit::osq) return encode_osq(v, dim_, bits_, codes);
  double squares = 0;
  for (std::size_t j = 0; j < dim_; ++j) squares += static_cast<double>(v[j]) * v[j];
  if (squares == 0) {
    std::fill(codes, codes + dim_, std::uint8_t{0});
    return {};
  }
  double scale = 0;
  if (fit_ == UniformFit::rabitq) {
    thread_local Crossings crossings;
    scale = best_scale(v, dim_, bits_, crossings);
  } else {
    scale = fast_scale() / size_for_scale(v, dim_, bits_);
  }
  codes_at_scale(v, dim_, scale, bits_, codes);
  // With one bit there is no scale to choose, and the step that fits the length of v is as good as any.
  const double step = scale > 0 ? 1 / scale : 2 * std::sqrt(squares / static_cast<double>(dim_));
  return symmetric_grid(bits_, step);
}

float uniform_rescale(const float* v, const std::uint8_t* codes, UniformGrid grid, std::size_t dim) {
  double squares = 0, product = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    squares += static_cast<double>(v[j]) * v[j];
    product += (grid.lower + static_cast<double>(grid.step) * codes[j]) * v[j];
  }
  const double factor = squares / product;
  return product > 0 && std::isfinite(factor) ? static_cast<float>(factor) : 0.0f;
}

UniformCode uniform_code(const UniformQuantizer& quantizer, const float* v, float bias, const float* anchor, float weight,
                         std::uint8_t* codes) {
  const std::size_t dim = quantizer.dim();
  const UniformGrid grid = quantizer.encode(v, codes);
  const float scale = weight * uniform_rescale(v, codes, grid, dim);
  float correction = 0;
  if (anchor != nullptr) {
    float exact = 0, coded = 0, sum = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      exact += anchor[j] * v[j];
      coded += anchor[j] * codes[j];
      sum += anchor[j];
    }
    correction = weight * exact - scale * (grid.step * coded + grid.lower * sum);
  }
  return {bias + correction, scale * grid.step, scale * grid.lower};
}

UniformGrid residual_grid(UniformGrid first, int bits) {
  return {-first.step / 2, first.step / static_cast<float>((1 << bits) - 1)};
}

void encode_residual(const float* v, const std::uint8_t* codes, UniformGrid grid, int bits, std::size_t dim,
                     std::uint8_t* residual_codes) {
  const UniformGrid second = residual_grid(grid, bits);
  const double inverse = second.step > 0 ? 1 / static_cast<double>(second.step) : 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double residual = v[j] - (grid.lower + static_cast<double>(grid.step) * codes[j]);
    residual_codes[j] = nearest_code((residual - second.lower) * inverse, (1 << bits) - 1);
  }
}

}  // namespace annbench
