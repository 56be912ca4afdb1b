// An inner product summed in double: for lengths, norms and factors, whose errors would reach every score.
#pragma once

#include <cstddef>

namespace annbench {

inline constexpr std::size_t wide_sums = 32;  // because an addition has to wait for the one before

// The sums of whole eights and the products of what comes after them.
inline double finish_wide_dot(double* sums, const float* a, const float* b, std::size_t left) {
  for (std::size_t i = 0; i < left; ++i) sums[0] += static_cast<double>(a[i]) * b[i];
  double eight[8];
  for (std::size_t k = 0; k < 8; ++k) eight[k] = (sums[k] + sums[k + 8]) + (sums[k + 16] + sums[k + 24]);
  return ((eight[0] + eight[4]) + (eight[1] + eight[5])) + ((eight[2] + eight[6]) + (eight[3] + eight[7]));
}

// Of n floats. The same on every instruction set; where queries wait for it, kernels/query_values.hpp has it faster.
inline double wide_dot(const float* a, const float* b, std::size_t n) {
  double sums[wide_sums] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    double* const mine = sums + i % wide_sums;
    for (std::size_t k = 0; k < 8; ++k) mine[k] += static_cast<double>(a[i + k]) * b[i + k];
  }
  return finish_wide_dot(sums, a + i, b + i, n - i);
}

// The same, rounded.
inline float dot(const float* a, const float* b, std::size_t n) { return static_cast<float>(wide_dot(a, b, n)); }

}  // namespace annbench
