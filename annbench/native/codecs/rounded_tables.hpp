// Tables of products as bytes (kernels/table_scan.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace annbench {

inline constexpr std::size_t table_entries = 16;  // of a group: the values of four bits

// A sum s of entries stands for lower + step·s.
struct TableScale {
  float step = 0, lower = 0;
};

// Rounds the `products` of groups, 16 each, to multiples of one step above the least of their group.
inline TableScale round_tables(std::span<float> products, std::uint8_t* tables) {
  TableScale scale;
  float widest = 0;
  for (std::size_t g = 0; g < products.size(); g += table_entries) {
    const std::span<float> group = products.subspan(g, table_entries);
    const auto [least, most] = std::minmax_element(group.begin(), group.end());
    const float low = *least;
    widest = std::max(widest, *most - low);
    scale.lower += low;
    for (float& product : group) product -= low;
  }
  scale.step = widest / 255 >= std::numeric_limits<float>::min() ? widest / 255 : 0;
  const float inverse = scale.step > 0 ? 1 / scale.step : 0;
  for (std::size_t e = 0; e < products.size(); ++e) {
    // Never negative, so that adding a half and cutting rounds to the nearest; NaN, of products that overflow, is 255.
    const float rounded = products[e] * inverse + 0.5f;
    tables[e] = static_cast<std::uint8_t>(static_cast<int>(rounded < 255 ? rounded : 255));
  }
  return scale;
}

}  // namespace annbench
