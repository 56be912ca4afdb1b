// What fixed_projection takes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/dispatch.hpp"

namespace annbench {

// x as 16-bit integers, of length 2¹⁵ − 2 together, fixed_pairs(x.size()) pairs of them. Returns what 1 stands for: 0 where
// x is nothing but zeros, or so short that float32 has no such number. x is finite; `squares` is its squared length.
inline float fixed_row(const KernelTable& kernels, std::span<const float> x, double squares, std::int32_t* pairs) {
  constexpr double length = 32766;
  const double longest = std::sqrt(squares);
  const auto inverse = static_cast<float>(length / longest);
  const bool any = inverse < std::numeric_limits<float>::max();
  if (!any || x.size() % 2 != 0) std::memset(pairs, 0, fixed_pairs(x.size()) * sizeof *pairs);
  if (!any) return 0;
  std::array<std::int16_t, 256> some;
  for (std::size_t first = 0; first < x.size(); first += some.size()) {
    const std::size_t count = std::min(some.size(), x.size() - first);
    kernels.round_shorts(x.data() + first, count, inverse, some.data());
    std::memcpy(pairs + first / 2, some.data(), count * sizeof some[0]);
  }
  return static_cast<float>(longest / length);
}

inline float fixed_row(const KernelTable& kernels, std::span<const float> x, std::int32_t* pairs) {
  return fixed_row(kernels, x, kernels.wide_dot(x.data(), x.data(), x.size()), pairs);
}

}  // namespace annbench
