// A query rounded to 8 bits on a grid that is symmetric about 0: what the kernels of code_dot.hpp take.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace annbench {

struct ByteQuery {
  std::vector<std::int8_t> values;  // −127 … 127, before a row layout arranges them
  float step = 0;
  // Of the rounded values, not of the query's: its error then meets the codes less their middle, not all of them.
  float sum = 0;

  void round(const float* query, std::size_t dim) {
    values.resize(dim);
    float maxima[8] = {};  // eight, which compilers know to compare at once
    const std::size_t whole = dim / 8 * 8;
    for (std::size_t j = 0; j < whole; j += 8)
      for (std::size_t i = 0; i < 8; ++i) {
        const float length = std::fabs(query[j + i]);
        maxima[i] = maxima[i] < length ? length : maxima[i];
      }
    float largest = 0;
    for (const float maximum : maxima) largest = std::max(largest, maximum);
    for (std::size_t j = whole; j < dim; ++j) largest = std::max(largest, std::fabs(query[j]));
    step = largest / 127;
    if (step < std::numeric_limits<float>::min()) step = 0;  // its reciprocal may be infinite
    const float inverse = step > 0 ? 1 / step : 0;
    // Floats this large have no fraction: adding rounds to the nearest integer, ties to even, and leaves it in the low
    // bits; unlike a call of the mathematical library, for many values at a time. No product is beyond 127·(1 + 2⁻²²), so
    // that none rounds to 128.
    constexpr float integers = 12582912;  // 1.5·2²³
    std::int32_t total = 0;
    std::int8_t* const rounded = values.data();
    for (std::size_t j = 0; j < dim; ++j) {
      const std::int32_t value = std::bit_cast<std::int32_t>(query[j] * inverse + integers) - std::bit_cast<std::int32_t>(integers);
      rounded[j] = static_cast<std::int8_t>(value);
      total += value;
    }
    sum = step * static_cast<float>(total);
  }

  // What `rounded` leaves of a query, on a grid of its own: both together round it to 16 bits.
  void round_rest(const float* query, std::size_t dim, const ByteQuery& rounded) {
    remainder.resize(dim);
    for (std::size_t j = 0; j < dim; ++j) remainder[j] = query[j] - rounded.step * static_cast<float>(rounded.values[j]);
    round(remainder.data(), dim);
  }

 private:
  std::vector<float> remainder;  // kept for its memory
};

}  // namespace annbench
