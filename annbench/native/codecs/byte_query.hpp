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
    values.resize(dim);
    step = kernels.largest(query, dim) / 127;
    if (step < std::numeric_limits<float>::min()) step = 0;  // its reciprocal may be infinite
    // No product is beyond 127·(1 + 2⁻²²), so that none rounds to 128.
    sum = step * static_cast<float>(kernels.round_bytes(query, dim, step > 0 ? 1 / step : 0, values.data()));
  }

  // What `rounded` leaves of a query, on a grid of its own: both together round it to 16 bits.
  void round_rest(const KernelTable& kernels, const float* query, std::size_t dim, const ByteQuery& rounded) {
    remainder.resize(dim);
    for (std::size_t j = 0; j < dim; ++j) remainder[j] = query[j] - rounded.step * static_cast<float>(rounded.values[j]);
    round(kernels, remainder.data(), dim);
  }

 private:
  std::vector<float> remainder;  // kept for its memory
};

}  // namespace annbench
