// IEEE 754 half precision (binary16), by hand: not every compiler has the type.
#pragma once

#include <bit>
#include <cstdint>

namespace annbench {

// Exact: every half is a float. Without a branch, for many at a time: the bits of a half, as those of a float, are that
// number times 2⁻¹¹², also below the smallest normal half.
inline float float_of_half(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu, sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const auto bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
  const std::uint32_t infinite_or_nan = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(bits | infinite_or_nan | sign);
}

// The nearest half, ties to even; beyond 65,519.99… infinity; NaN stays NaN.
inline std::uint16_t half_of_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (size >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds to 2^16, or is infinite
  if (size < 0x38800000u) {
    // Below the smallest normal half: adding 0.5 leaves the multiple of 2⁻²⁴ in the last bits, rounded by the hardware.
    const float shifted = std::bit_cast<float>(size) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t odd = (size >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((size - 0x38000000u + 0xfffu + odd) >> 13));
}

}  // namespace annbench
