// hamming_tables: which codes of packed bits differ from each of some queries in at most so many bits, where the codes
// lie in the blocks of kernels/table_scan.hpp and the queries as tables.
//
// Contract
//   distance(q, j) = Σ_{g < groups} tables[16·groups·q + 16·g + code_j[g]],  q < queries, j < count.
//   Entries are at most 4: the bits in which a value of four bits differs from those of the query. Writes j and
//   distance(q, j) for every j with distance(q, j) <= limits[q], in increasing j, from indices[count·q] and
//   distances[count·q] on, and how many to found[q].
//   `blocks` holds ⌈count/32⌉ blocks of table_block_bytes(groups), all of which may be read; what is in a block beyond
//   `count` is of no consequence. `groups` is a multiple of 4 and below 2^14, so that a distance fits into 16 bits. No
//   alignment is needed. Every ISA gives the same integers.
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

#include "kernels/isa.hpp"
#include "kernels/table_scan.hpp"

namespace annbench {

using HammingTablesFn = void (*)(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks,
                                 std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                 std::uint32_t* indices, std::uint32_t* distances, std::size_t* found);

// Groups of codes of so many bytes, low half of a byte first.
inline constexpr std::size_t hamming_groups(std::size_t bytes) { return table_groups(2 * bytes); }

namespace hamming_tables_detail {

// The table of every value of four bits.
inline constexpr std::array<std::array<std::uint8_t, 16>, 16> of_half = [] {
  std::array<std::array<std::uint8_t, 16>, 16> made{};
  for (unsigned half = 0; half < 16; ++half)
    for (unsigned n = 0; n < 16; ++n) made[half][n] = static_cast<std::uint8_t>(std::popcount(half ^ n));
  return made;
}();

}  // namespace hamming_tables_detail

// Writes the tables of a query, 16 · hamming_groups(bytes) entries; groups beyond the query's add nothing.
inline void hamming_tables_of(const std::uint8_t* query, std::size_t bytes, std::uint8_t* tables) {
  using hamming_tables_detail::of_half;
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

// ---- scalar reference

inline void hamming_tables_scalar(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks,
                                  std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                  std::uint32_t* indices, std::uint32_t* distances, std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) {
    const std::uint8_t* own = tables + 16 * groups * q;
    found[q] = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t j = i % table_block;
      const std::uint8_t* byte = blocks + i / table_block * table_block_bytes(groups) + j % 16;
      std::uint32_t sum = 0;
      for (std::size_t g = 0; g < groups; ++g) sum += own[16 * g + ((byte[16 * g] >> (j < 16 ? 0 : 4)) & 15)];
      if (sum > limits[q]) continue;
      indices[count * q + found[q]] = static_cast<std::uint32_t>(i);
      distances[count * q + found[q]] = sum;
      ++found[q];
    }
  }
}

// ---- AVX2 and AVX-512: lines of two or four groups, their entries added as bytes for as long as they fit

#if ANNBENCH_HAS_AVX2 || ANNBENCH_HAS_AVX512
#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_HAMMING_SUMS ANNBENCH_TARGET_AVX2
#else
#define ANNBENCH_TARGET_HAMMING_SUMS
#endif
namespace hamming_tables_detail {

inline constexpr std::size_t most_lines = 63;  // 63 · 4 is below 256
// Beyond the caches a processor's own prefetching ends with every page of 4 KiB; 2 KiB ahead the next one has begun.
inline constexpr std::size_t bytes_ahead = 2048;

// The distances of a block from one query, those of codes 2i and those of codes 2i + 1.
struct Sums {
  __m256i even, odd;
};

// Where the hits of a query go.
struct Hits {
  std::uint32_t *indices, *distances;
  std::size_t found;
};

// Adds to the sums a line's bytes: `low` those of codes 0 … 15 and `high` of 16 … 31, of two groups each.
ANNBENCH_TARGET_HAMMING_SUMS inline void add_bytes(__m256i low, __m256i high, Sums& sums) {
  const __m256i a = _mm256_permute2x128_si256(low, high, 0x20), b = _mm256_permute2x128_si256(low, high, 0x31);
  const __m256i bytes = _mm256_set1_epi16(0xff);
  sums.even = _mm256_add_epi16(sums.even, _mm256_add_epi16(_mm256_and_si256(a, bytes), _mm256_and_si256(b, bytes)));
  sums.odd = _mm256_add_epi16(sums.odd, _mm256_add_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)));
}

// Those of the `valid` codes that are within the limit.
ANNBENCH_TARGET_HAMMING_SUMS inline void take_hits(const Sums& sums, std::uint32_t limit, std::uint32_t valid,
                                                   std::size_t first, Hits& hits) {
  const __m256i most = _mm256_set1_epi16(static_cast<short>(std::min<std::uint32_t>(limit, 0xffff)));
  const __m256i even = _mm256_cmpeq_epi16(_mm256_min_epu16(sums.even, most), sums.even);
  const __m256i odd = _mm256_cmpeq_epi16(_mm256_min_epu16(sums.odd, most), sums.odd);
  const __m256i both = _mm256_blendv_epi8(odd, even, _mm256_set1_epi16(0xff));
  std::uint32_t within = static_cast<std::uint32_t>(_mm256_movemask_epi8(both)) & valid;
  if (within == 0) return;
  alignas(32) std::uint16_t values[2][16];
  _mm256_store_si256(reinterpret_cast<__m256i*>(values[0]), sums.even);
  _mm256_store_si256(reinterpret_cast<__m256i*>(values[1]), sums.odd);
  for (; within != 0; within &= within - 1) {
    const auto j = static_cast<std::size_t>(std::countr_zero(within));
    hits.indices[hits.found] = static_cast<std::uint32_t>(first + j);
    hits.distances[hits.found] = values[j % 2][j / 2];
    ++hits.found;
  }
}

inline std::uint32_t valid_codes(std::size_t left) { return left < table_block ? (1u << left) - 1 : ~0u; }

using BlocksFn = void (*)(const std::uint8_t*, const std::uint8_t*, std::size_t, std::size_t, const std::uint32_t*,
                          Hits*);

// Four queries at a time, then what is left of them.
template <BlocksFn four, BlocksFn three, BlocksFn two, BlocksFn one>
inline void by_fours(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks, std::size_t groups,
                     std::size_t count, const std::uint32_t* limits, std::uint32_t* indices, std::uint32_t* distances,
                     std::size_t* found) {
  constexpr BlocksFn by_queries[] = {one, two, three, four};
  for (std::size_t q = 0; q < queries; q += 4) {
    const std::size_t some = std::min<std::size_t>(4, queries - q);
    Hits hits[4];
    for (std::size_t i = 0; i < some; ++i) hits[i] = {indices + count * (q + i), distances + count * (q + i), 0};
    by_queries[some - 1](tables + 16 * groups * q, blocks, groups, count, limits + q, hits);
    for (std::size_t i = 0; i < some; ++i) found[q + i] = hits[i].found;
  }
}

}  // namespace hamming_tables_detail
#endif

#if ANNBENCH_HAS_AVX2
namespace hamming_tables_detail {

template <std::size_t queries>
ANNBENCH_TARGET_AVX2 inline void blocks_avx2(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                                             std::size_t count, const std::uint32_t* limits, Hits* hits) {
  const __m256i mask = _mm256_set1_epi8(15);
  const std::size_t lines = groups / 2, stretches = (lines + most_lines - 1) / most_lines;
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    Sums sums[queries];
    for (Sums& sum : sums) sum.even = sum.odd = _mm256_setzero_si256();
    for (std::size_t stretch = 0, line = 0; stretch < stretches; ++stretch) {
      const std::size_t end = lines * (stretch + 1) / stretches;
      __m256i low[queries], high[queries];
      for (std::size_t q = 0; q < queries; ++q) low[q] = high[q] = _mm256_setzero_si256();
#pragma GCC unroll 2
      for (; line < end; ++line) {
        _mm_prefetch(reinterpret_cast<const char*>(blocks + 32 * line + bytes_ahead), _MM_HINT_T0);
        const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(blocks + 32 * line));
        const __m256i codes0 = _mm256_and_si256(codes, mask);
        const __m256i codes1 = _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask);
        for (std::size_t q = 0; q < queries; ++q) {
          const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tables + 32 * (q * lines + line)));
          low[q] = _mm256_add_epi8(low[q], _mm256_shuffle_epi8(table, codes0));
          high[q] = _mm256_add_epi8(high[q], _mm256_shuffle_epi8(table, codes1));
        }
      }
      for (std::size_t q = 0; q < queries; ++q) add_bytes(low[q], high[q], sums[q]);
    }
    const std::uint32_t valid = valid_codes(count - first);
    for (std::size_t q = 0; q < queries; ++q) take_hits(sums[q], limits[q], valid, first, hits[q]);
  }
}

}  // namespace hamming_tables_detail

inline void hamming_tables_avx2(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks,
                                std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                std::uint32_t* indices, std::uint32_t* distances, std::size_t* found) {
  using namespace hamming_tables_detail;
  by_fours<blocks_avx2<4>, blocks_avx2<3>, blocks_avx2<2>, blocks_avx2<1>>(
      tables, queries, blocks, groups, count, limits, indices, distances, found);
}
#endif

#if ANNBENCH_HAS_AVX512
namespace hamming_tables_detail {

template <std::size_t queries>
ANNBENCH_TARGET_AVX512 inline void blocks_avx512(const std::uint8_t* tables, const std::uint8_t* blocks,
                                                 std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                                 Hits* hits) {
  const __m512i mask = _mm512_set1_epi8(15);
  const std::size_t lines = groups / 4, stretches = (lines + most_lines - 1) / most_lines;
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    Sums sums[queries];
    for (Sums& sum : sums) sum.even = sum.odd = _mm256_setzero_si256();
    for (std::size_t stretch = 0, line = 0; stretch < stretches; ++stretch) {
      const std::size_t end = lines * (stretch + 1) / stretches;
      __m512i low[queries], high[queries];
      for (std::size_t q = 0; q < queries; ++q) low[q] = high[q] = _mm512_setzero_si512();
      for (; line < end; ++line) {
        _mm_prefetch(reinterpret_cast<const char*>(blocks + 64 * line + bytes_ahead), _MM_HINT_T0);
        const __m512i codes = _mm512_loadu_si512(blocks + 64 * line);
        const __m512i codes0 = _mm512_and_si512(codes, mask);
        const __m512i codes1 = _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask);
        for (std::size_t q = 0; q < queries; ++q) {
          const __m512i table = _mm512_loadu_si512(tables + 64 * (q * lines + line));
          low[q] = _mm512_add_epi8(low[q], _mm512_shuffle_epi8(table, codes0));
          high[q] = _mm512_add_epi8(high[q], _mm512_shuffle_epi8(table, codes1));
        }
      }
      for (std::size_t q = 0; q < queries; ++q) {
        add_bytes(_mm512_castsi512_si256(low[q]), _mm512_castsi512_si256(high[q]), sums[q]);
        add_bytes(_mm512_extracti64x4_epi64(low[q], 1), _mm512_extracti64x4_epi64(high[q], 1), sums[q]);
      }
    }
    const std::uint32_t valid = valid_codes(count - first);
    for (std::size_t q = 0; q < queries; ++q) take_hits(sums[q], limits[q], valid, first, hits[q]);
  }
}

}  // namespace hamming_tables_detail

inline void hamming_tables_avx512(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks,
                                  std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                  std::uint32_t* indices, std::uint32_t* distances, std::size_t* found) {
  using namespace hamming_tables_detail;
  by_fours<blocks_avx512<4>, blocks_avx512<3>, blocks_avx512<2>, blocks_avx512<1>>(
      tables, queries, blocks, groups, count, limits, indices, distances, found);
}
#endif

// ---- NEON: one group at a time

#if ANNBENCH_HAS_NEON
namespace hamming_tables_detail {

inline constexpr std::size_t most_groups = 63;

// The 32 distances of a block.
inline void block_neon(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups, std::uint16_t* out) {
  uint16x8_t sums[4];
  for (uint16x8_t& sum : sums) sum = vdupq_n_u16(0);
  for (std::size_t begin = 0; begin < groups; begin += most_groups) {
    const std::size_t end = std::min(groups, begin + most_groups);
    uint8x16_t low = vdupq_n_u8(0), high = vdupq_n_u8(0);
    for (std::size_t g = begin; g < end; ++g) {
      const uint8x16_t table = vld1q_u8(tables + 16 * g), codes = vld1q_u8(block + 16 * g);
      low = vaddq_u8(low, vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15))));
      high = vaddq_u8(high, vqtbl1q_u8(table, vshrq_n_u8(codes, 4)));
    }
    sums[0] = vaddw_u8(sums[0], vget_low_u8(low));
    sums[1] = vaddw_high_u8(sums[1], low);
    sums[2] = vaddw_u8(sums[2], vget_low_u8(high));
    sums[3] = vaddw_high_u8(sums[3], high);
  }
  for (int s = 0; s < 4; ++s) vst1q_u16(out + 8 * s, sums[s]);
}

}  // namespace hamming_tables_detail

inline void hamming_tables_neon(const std::uint8_t* tables, std::size_t queries, const std::uint8_t* blocks,
                                std::size_t groups, std::size_t count, const std::uint32_t* limits,
                                std::uint32_t* indices, std::uint32_t* distances, std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) found[q] = 0;
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    const std::size_t some = std::min(table_block, count - first);
    for (std::size_t q = 0; q < queries; ++q) {
      std::uint16_t sums[table_block];
      hamming_tables_detail::block_neon(tables + 16 * groups * q, blocks, groups, sums);
      for (std::size_t j = 0; j < some; ++j) {
        if (sums[j] > limits[q]) continue;
        indices[count * q + found[q]] = static_cast<std::uint32_t>(first + j);
        distances[count * q + found[q]] = sums[j];
        ++found[q];
      }
    }
  }
}
#endif

// ---- table row

inline constexpr HammingTablesFn hamming_tables_table[isa_count] = {
    hamming_tables_scalar,
#if ANNBENCH_HAS_AVX2
    hamming_tables_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    hamming_tables_avx512,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    hamming_tables_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
