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
    round(kernels, query, dim, values.data());
  }
  // To where they belong.
  void round(const KernelTable& kernels, const float* query, std::size_t dim, std::int8_t* to) {
    step = whole(kernels.largest(query, dim) / 127);
    // No product is beyond 127·(1 + 2⁻²²), so that none rounds to 128.
    sum = step * static_cast<float>(kernels.round_bytes(query, dim, step > 0 ? 1 / step : 0, to));
  }

  // What `rounded` leaves of a query, half a step of its grid at most, on a grid of its own: both together round it to 16 bits.
  void round_rest(const KernelTable& kernels, const float* query, std::size_t dim, const ByteQuery& rounded) {
    values.resize(dim);
    round_rest(kernels, query, dim, rounded, rounded.values.data(), values.data());
  }
  void round_rest(const KernelTable& kernels, const float* query, std::size_t dim, const ByteQuery& rounded,
                  const std::int8_t* taken, std::int8_t* to) {
    step = whole(rounded.step / 254);
    sum = step * static_cast<float>(kernels.round_rests(query, taken, dim, rounded.step, step > 0 ? 1 / step : 0, to));
  }

 private:
  // The reciprocal of a smaller one may be infinite.
  static float whole(float step) { return step < std::numeric_limits<float>::min() ? 0 : step; }
};

}  // namespace annbench
