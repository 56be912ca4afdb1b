#include "codecs/float_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "support/half.hpp"

namespace annbench {
namespace {

constexpr float largest_half = 65504;

bool is_power_of_two(float value) {
  int exponent = 0;
  return std::isfinite(value) && value > 0 && std::frexp(value, &exponent) == 0.5f;
}

float bias_at(const std::uint8_t* biases, std::size_t place) {
  float bias;
  std::memcpy(&bias, biases + 4 * place, 4);
  return bias;
}

}  // namespace

FloatRows::FloatRows(std::size_t dim, FloatType type, FloatScore score, float weight, float scale)
    : dim_(dim), type_(type), score_(score), weight_(weight), scale_(scale) {
  if (dim < 1) throw std::invalid_argument("dim must be at least 1");
  if (!is_power_of_two(scale))
    throw std::invalid_argument("scale must be a power of two, got " + std::to_string(scale));
  if (type == FloatType::float32 && scale != 1) throw std::invalid_argument("float32 rows have the scale 1");
}

float FloatRows::scale_for(float largest) {
  if (!(largest >= 0) || !std::isfinite(largest))
    throw std::invalid_argument("the largest size of a value must be finite and not negative");
  if (largest == 0) return 1;
  int exponent = 0;
  std::frexp(largest, &exponent);  // largest < 2^exponent
  // The reciprocal must be a float as well.
  return std::ldexp(1.0f, std::max(exponent - 13, -126));
}

std::size_t FloatRows::bytes(std::size_t part, std::size_t count) const {
  if (part == 0) return count * row_bytes();
  return part == 1 && score_ == FloatScore::inner_product ? 4 * count : 0;
}

void FloatRows::check_halves(const float* vectors, std::size_t count) const {
  for (std::size_t i = 0; i < count * dim_; ++i)
    if (!(std::fabs(vectors[i] / scale_) <= largest_half))
      throw std::invalid_argument("a value of " + std::to_string(vectors[i]) +
                                  " does not fit into float16 rows of scale " + std::to_string(scale_) +
                                  ", which hold up to " + std::to_string(largest_half * scale_));
}

void FloatRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                       const MutableCodes& codes, std::size_t first) const {
  std::uint8_t* rows = codes[0] + first * row_bytes();
  if (type_ == FloatType::float32) {
    if (count > 0) std::memcpy(rows, vectors, count * row_bytes());
  } else {
    check_halves(vectors, count);
    for (std::size_t i = 0; i < count * dim_; ++i) {
      const std::uint16_t half = half_of_float(vectors[i] / scale_);
      std::memcpy(rows + 2 * i, &half, 2);
    }
  }
  if (score_ == FloatScore::squared_l2) return;
  for (std::size_t i = 0; i < count; ++i) {
    double correction = 0;
    if (anchor != nullptr && type_ == FloatType::float16) {
      for (std::size_t j = 0; j < dim_; ++j) {
        std::uint16_t half;
        std::memcpy(&half, rows + 2 * (i * dim_ + j), 2);
        correction += static_cast<double>(anchor[j]) * (vectors[i * dim_ + j] - scale_ * float_of_half(half));
      }
    }
    const float corrected = static_cast<float>(bias[i] + weight_ * correction);
    std::memcpy(codes[1] + 4 * (first + i), &corrected, 4);
  }
}

void FloatRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t one = bytes(part, 1);
    if (one > 0) std::memmove(codes[part] + to * one, codes[part] + from * one, one);
  }
}

void FloatRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  const std::uint8_t* rows = codes[0] + first * row_bytes();
  if (type_ == FloatType::float32) {
    if (count > 0) std::memcpy(vectors, rows, count * row_bytes());
    return;
  }
  active_kernels().half_values(reinterpret_cast<const std::uint16_t*>(rows), count * dim_, scale_, vectors);
}

void FloatRows::prepare(const KernelTable&, const float* query, Query& prepared) const {
  prepared.values.assign(query, query + dim_);
  if (score_ == FloatScore::squared_l2)
    for (float& value : prepared.values) value /= scale_;
}

void FloatRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                      std::size_t first, std::size_t count, float* scores) const {
  const CodesView from_first = {codes[0] + first * row_bytes(), codes[1] == nullptr ? nullptr : codes[1] + 4 * first};
  score_rows(kernels, query, probe.offset, from_first, nullptr, count, scores);
}

void FloatRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       const std::uint32_t* places, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes, places, count, scores);
}

void FloatRows::score_rows(const KernelTable& kernels, const Query& query, float offset, const CodesView& codes,
                           const std::uint32_t* places, std::size_t count, float* scores) const {
  const bool wide = type_ == FloatType::float32;
  if (score_ == FloatScore::squared_l2) {
    (wide ? kernels.float32_squared_l2 : kernels.float16_squared_l2)(query.values.data(), codes[0], dim_, places, count,
                                                                     scores);
    // Twice by the scale, because its square may be beyond float where the product is not.
    for (std::size_t i = 0; i < count; ++i) scores[i] = offset - scores[i] * scale_ * scale_;
    return;
  }
  (wide ? kernels.float32_dot : kernels.float16_dot)(query.values.data(), codes[0], dim_, places, count, scores);
  for (std::size_t i = 0; i < count; ++i)
    scores[i] = offset + bias_at(codes[1], places == nullptr ? i : places[i]) + scores[i] * scale_ * weight_;
}

}  // namespace annbench
