// What byte_projection takes.
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

inline constexpr double byte_error = 0x1p-6;  // of a row's length, what rounding to bytes may be off by in the mean

struct ByteRow {
  float unit = 0;  // what 1 stands for
  std::int32_t sum = 0;
};

// x as signed bytes, byte_fours(x.size()) fours of them, filled up with zeros, and their sum. The unit is 0 where bytes are too
// coarse for x, because a few of its values are far larger than the others, and where x is nothing or next to it; what is
// written is then unspecified. x is finite; `squares` is its squared length.
inline ByteRow byte_row(const KernelTable& kernels, std::span<const float> x, double squares, std::int32_t* fours) {
  const float unit = kernels.largest(x.data(), x.size()) / 127;
  if (unit < std::numeric_limits<float>::min()) return {};  // its reciprocal may be infinite
  // Values are off by a twelfth of a squared unit in the mean.
  if (static_cast<double>(x.size()) / 12 * unit * unit > byte_error * byte_error * squares) return {};
  ByteRow row{unit};
  std::array<std::int8_t, 256> some;
  if (x.size() % 4 != 0) fours[byte_fours(x.size()) - 1] = 0;
  for (std::size_t first = 0; first < x.size(); first += some.size()) {
    const std::size_t count = std::min(some.size(), x.size() - first);
    row.sum += kernels.round_bytes(x.data() + first, count, 1 / unit, some.data());
    std::memcpy(fours + first / 4, some.data(), count);
  }
  return row;
}

}  // namespace annbench
