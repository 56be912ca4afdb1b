// A query rounded to 8 bits on a grid that is symmetric about 0: what the kernels of code_dot.hpp take.
#pragma once

#include <algorithm>
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
    float largest = 0;
    for (std::size_t j = 0; j < dim; ++j) largest = std::max(largest, std::fabs(query[j]));
    step = largest / 127;
    if (step < std::numeric_limits<float>::min()) step = 0;  // its reciprocal may be infinite
    const float inverse = step > 0 ? 1 / step : 0;
    std::int64_t total = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      values[j] = static_cast<std::int8_t>(std::clamp(std::nearbyint(query[j] * inverse), -127.0f, 127.0f));
      total += values[j];
    }
    sum = step * static_cast<float>(total);
  }
};

}  // namespace annbench
