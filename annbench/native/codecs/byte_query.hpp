// A query rounded to 8 bits on a grid that is symmetric about 0: what the kernels of code_dot.hpp take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/dispatch.hpp"

namespace annbench {

struct ByteQuery {
  std::vector<std::int8_t> values;  // −127 … 127, before a row layout arranges them
  float step = 0;
  // Of the rounded values, not of the query's: its error then meets the codes less their middle, not all of them.
  float sum = 0;

  void round(const KernelTable& kernels, const float* query, std::size_t dim) {
    round_up_to(kernels, query, dim, kernels.largest(query, dim));
  }

  // What `rounded` leaves of a query, on a grid of its own: both together round it to 16 bits.
  void round_rest(const KernelTable& kernels, const float* query, std::size_t dim, const ByteQuery& rounded) {
    remainder.resize(dim);
    const float largest = kernels.remainders(query, rounded.values.data(), dim, rounded.step, remainder.data());
    round_up_to(kernels, remainder.data(), dim, largest);
  }

 private:
  void round_up_to(const KernelTable& kernels, const float* query, std::size_t dim, float largest) {
    values.resize(dim);
    step = largest / 127;
    if (step < std::numeric_limits<float>::min()) step = 0;  // its reciprocal may be infinite
    // No product is beyond 127·(1 + 2⁻²²), so that none rounds to 128.
    sum = step * static_cast<float>(kernels.round_bytes(query, dim, step > 0 ? 1 / step : 0, values.data()));
  }

  std::vector<float> remainder;  // kept for its memory
};

}  // namespace annbench
