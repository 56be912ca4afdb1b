// Packed bits for kernels/table_select.hpp: rows of bits as blocks, and a query's bits as tables whose entries count the
// bits in which values of four bits differ, so that sums are Hamming distances.
//
// Beside rows of bits (kernels/hamming.hpp) nothing has to be added across a register, and four queries share what it
// takes to separate the halves of a byte: one query is scanned about twice, many are scanned about four times as fast.
// On a processor that counts the bits of bytes the tables would be no faster: there the memory is what is waited for.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/table_scan.hpp"

namespace annbench {

inline constexpr std::uint32_t largest_hamming_entry = 4;

// Groups of codes of so many bytes, low half of a byte first.
inline constexpr std::size_t hamming_groups(std::size_t bytes) { return table_groups(2 * bytes); }

namespace hamming_blocks_detail {

// The table of every value of four bits.
inline constexpr std::array<std::array<std::uint8_t, 16>, 16> of_half = [] {
  std::array<std::array<std::uint8_t, 16>, 16> made{};
  for (unsigned half = 0; half < 16; ++half)
    for (unsigned n = 0; n < 16; ++n) made[half][n] = static_cast<std::uint8_t>(std::popcount(half ^ n));
  return made;
}();

}  // namespace hamming_blocks_detail

// Writes the tables of a query, 16 · hamming_groups(bytes) entries; groups beyond the query's add nothing.
inline void hamming_tables_of(const std::uint8_t* query, std::size_t bytes, std::uint8_t* tables) {
  using hamming_blocks_detail::of_half;
  for (std::size_t b = 0; b < bytes; ++b) {
    std::memcpy(tables + 32 * b, of_half[query[b] & 15].data(), 16);
    std::memcpy(tables + 32 * b + 16, of_half[query[b] >> 4].data(), 16);
  }
  std::fill(tables + 32 * bytes, tables + 16 * hamming_groups(bytes), std::uint8_t{0});
}

// Lays out `count` rows of packed bits as blocks, the last one filled up with codes of 0.
inline void hamming_blocks_of(const std::uint8_t* rows, std::size_t bytes, std::size_t count, std::uint8_t* blocks) {
  const std::size_t groups = hamming_groups(bytes);
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    const std::size_t some = std::min(table_block, count - first);
    const std::uint8_t* from = rows + first * bytes;
    for (std::size_t b = 0; b < bytes; ++b) {
      std::uint8_t* low = blocks + 32 * b;
      for (std::size_t j = 0; j < 16; ++j) {
        const unsigned x = j < some ? from[j * bytes + b] : 0u, y = j + 16 < some ? from[(j + 16) * bytes + b] : 0u;
        low[j] = static_cast<std::uint8_t>((x & 15) | y << 4);
        low[j + 16] = static_cast<std::uint8_t>(x >> 4 | (y & 0xf0));
      }
    }
    std::fill(blocks + 32 * bytes, blocks + 16 * groups, std::uint8_t{0});
  }
}

// Writes the rows that the blocks were made of.
inline void hamming_rows_of(const std::uint8_t* blocks, std::size_t bytes, std::size_t count, std::uint8_t* rows) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t j = i % table_block;
    const std::uint8_t* from = blocks + i / table_block * table_block_bytes(hamming_groups(bytes)) + j % 16;
    for (std::size_t b = 0; b < bytes; ++b, from += 32) {
      const unsigned low = j < 16 ? from[0] & 15u : from[0] >> 4, high = j < 16 ? from[16] & 15u : from[16] >> 4;
      rows[i * bytes + b] = static_cast<std::uint8_t>(low | high << 4);
    }
  }
}

}  // namespace annbench
