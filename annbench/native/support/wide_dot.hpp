// An inner product summed in double: for lengths, norms and factors, whose errors would reach every score.
#pragma once

#include <cstddef>

namespace annbench {

// The sums of whole eights and the products of what comes after them.
inline double finish_wide_dot(double* sums, const float* a, const float* b, std::size_t left) {
  for (std::size_t i = 0; i < left; ++i) sums[0] += static_cast<double>(a[i]) * b[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// Of n floats. The same on every instruction set; where queries wait for it, kernels/query_values.hpp has it faster.
inline double wide_dot(const float* a, const float* b, std::size_t n) {
  double sums[8] = {};  // eight, because an addition has to wait for the one before
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += static_cast<double>(a[i + k]) * b[i + k];
  return finish_wide_dot(sums, a + i, b + i, n - i);
}

// The same, rounded.
inline float dot(const float* a, const float* b, std::size_t n) { return static_cast<float>(wide_dot(a, b, n)); }

}  // namespace annbench
