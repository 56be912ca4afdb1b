// table_select: which codes of 4-bit groups have a sum of table entries, a distance, within a limit, for some queries at
// once. Codes lie in the blocks of kernels/table_scan.hpp.
//
// Contract
//   sum(q, j) = Σ_{g < groups} tables[q][16·g + code_j[g]],  q < queries, j < count.
//   Entries are at most `largest` (1 … 255). Writes j and sum(q, j) for every j with sum(q, j) <= limits[q], in increasing
//   j, from indices[count·q] and sums[count·q] on, and how many to found[q].
//   `blocks` holds ⌈count/32⌉ blocks of table_block_bytes(groups), all of which may be read; what is in a block beyond
//   `count` is of no consequence. `groups` is a multiple of 4 and groups·largest below 2^16, so that a sum fits into
//   16 bits. No alignment is needed. Every ISA gives the same integers.
//
// Beside table_scan, which writes all sums, up to four queries share what it takes to find the codes in a byte; without
// AVX-512 small entries are added as bytes for as long as they fit, 255/largest at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "kernels/table_scan.hpp"

namespace annbench {

using TableSelectFn = void (*)(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                               std::size_t groups, std::size_t count, std::uint32_t largest, const std::uint32_t* limits,
                               std::uint32_t* indices, std::uint32_t* sums, std::size_t* found);

inline constexpr std::uint32_t most_of_table_select = 0xffff;  // groups · largest

// ---- scalar reference

inline void table_select_scalar(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                                std::size_t groups, std::size_t count, std::uint32_t,
                                const std::uint32_t* limits, std::uint32_t* indices, std::uint32_t* sums,
                                std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) {
    found[q] = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t sum = table_sum(tables[q], blocks + i / table_block * table_block_bytes(groups), groups, i % table_block);
      if (sum > limits[q]) continue;
      indices[count * q + found[q]] = static_cast<std::uint32_t>(i);
      sums[count * q + found[q]] = sum;
      ++found[q];
    }
  }
}

// ---- AVX2 and AVX-512: what they have in common

#if ANNBENCH_HAS_AVX2 || ANNBENCH_HAS_AVX512
namespace table_select_detail {

// Where the hits of a query go.
struct Hits {
  std::uint32_t *indices, *sums;
  std::size_t found;
};

inline std::uint32_t valid_codes(std::size_t left) { return left < table_block ? (1u << left) - 1 : ~0u; }

using BlocksFn = void (*)(const std::uint8_t* const*, const std::uint8_t*, std::size_t, std::size_t, std::size_t,
                          const std::uint32_t*, Hits*);

// Four queries at a time, then what is left of them.
template <BlocksFn four, BlocksFn three, BlocksFn two, BlocksFn one>
inline void by_fours(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks, std::size_t groups,
                     std::size_t count, std::uint32_t largest, const std::uint32_t* limits, std::uint32_t* indices,
                     std::uint32_t* sums, std::size_t* found) {
  constexpr BlocksFn by_queries[] = {one, two, three, four};
  for (std::size_t q = 0; q < queries; q += 4) {
    const std::size_t some = std::min<std::size_t>(4, queries - q);
    Hits hits[4];
    for (std::size_t i = 0; i < some; ++i) hits[i] = {indices + count * (q + i), sums + count * (q + i), 0};
    by_queries[some - 1](tables + q, blocks, groups, count, 255 / largest, limits + q, hits);
    for (std::size_t i = 0; i < some; ++i) found[q + i] = hits[i].found;
  }
}

}  // namespace table_select_detail
#endif

// ---- AVX2: lines of two groups, their entries added as bytes for as long as they fit, or as table_scan does it

#if ANNBENCH_HAS_AVX2
namespace table_select_detail {

// The sums of a block for one query, those of codes 2i and those of codes 2i + 1.
struct Sums {
  __m256i even, odd;
};

// Words of both groups, of codes 0 … 15 and of 16 … 31.
ANNBENCH_TARGET_AVX2 inline __m256i added(__m256i low, __m256i high) {
  return _mm256_add_epi16(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

// Adds to the sums a line's bytes: `low` those of codes 0 … 15 and `high` of 16 … 31, of two groups each.
ANNBENCH_TARGET_AVX2 inline void add_bytes(__m256i low, __m256i high, Sums& sums) {
  const __m256i a = _mm256_permute2x128_si256(low, high, 0x20), b = _mm256_permute2x128_si256(low, high, 0x31);
  const __m256i bytes = _mm256_set1_epi16(0xff);
  sums.even = _mm256_add_epi16(sums.even, _mm256_add_epi16(_mm256_and_si256(a, bytes), _mm256_and_si256(b, bytes)));
  sums.odd = _mm256_add_epi16(sums.odd, _mm256_add_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)));
}

// Those of the `valid` codes that are within the limit.
ANNBENCH_TARGET_AVX2 inline void take_hits(const Sums& sums, std::uint32_t limit, std::uint32_t valid,
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
    hits.sums[hits.found] = values[j % 2][j / 2];
    ++hits.found;
  }
}

template <std::size_t queries>
ANNBENCH_TARGET_AVX2 inline void blocks_avx2(const std::uint8_t* const* tables, const std::uint8_t* blocks, std::size_t groups,
                                             std::size_t count, std::size_t most_lines, const std::uint32_t* limits,
                                             Hits* hits) {
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
        _mm_prefetch(reinterpret_cast<const char*>(blocks + 32 * line + table_bytes_ahead), _MM_HINT_T0);
        const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(blocks + 32 * line));
        const __m256i codes0 = _mm256_and_si256(codes, mask);
        const __m256i codes1 = _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask);
        for (std::size_t q = 0; q < queries; ++q) {
          const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tables[q] + 32 * line));
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

// For entries of which hardly any fit: words as they are and their high bytes apart, one query after the other.
template <std::size_t queries>
ANNBENCH_TARGET_AVX2 inline void word_blocks_avx2(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                                  std::size_t groups, std::size_t count, std::size_t,
                                                  const std::uint32_t* limits, Hits* hits) {
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups))
    for (std::size_t q = 0; q < queries; ++q) {
      const table_scan_detail::Words sums = table_scan_detail::words_avx2(tables[q], blocks, groups);
      const __m256i low0 = _mm256_sub_epi16(sums.words0, _mm256_slli_epi16(sums.high0, 8));
      const __m256i low1 = _mm256_sub_epi16(sums.words1, _mm256_slli_epi16(sums.high1, 8));
      take_hits({added(low0, low1), added(sums.high0, sums.high1)}, limits[q], valid_codes(count - first), first, hits[q]);
    }
}

}  // namespace table_select_detail

inline void table_select_avx2(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                              std::size_t groups, std::size_t count, std::uint32_t largest,
                              const std::uint32_t* limits, std::uint32_t* indices, std::uint32_t* sums,
                              std::size_t* found) {
  using namespace table_select_detail;
  constexpr std::uint32_t large = 85;  // three fit
  constexpr auto by_bytes = by_fours<blocks_avx2<4>, blocks_avx2<3>, blocks_avx2<2>, blocks_avx2<1>>;
  constexpr auto by_words = by_fours<word_blocks_avx2<4>, word_blocks_avx2<3>, word_blocks_avx2<2>, word_blocks_avx2<1>>;
  (largest <= large ? by_bytes : by_words)(tables, queries, blocks, groups, count, largest, limits, indices, sums, found);
}
#endif

// ---- AVX-512 with VBMI and VNNI: as table_scan. Without them, AVX2 is used

#if ANNBENCH_HAS_AVX512
namespace table_select_detail {

// Those of 16 codes, the first of which is `first`.
ANNBENCH_TARGET_VBMI inline void take_wide_hits(__m512i sums, std::uint32_t limit, std::uint32_t valid, std::size_t first,
                                                Hits& hits) {
  const __m512i most = _mm512_set1_epi32(static_cast<int>(std::min(limit, most_of_table_select)));
  std::uint32_t within = static_cast<std::uint32_t>(_mm512_cmple_epi32_mask(sums, most)) & valid;
  if (within == 0) return;
  alignas(64) std::uint32_t values[16];
  _mm512_store_si512(values, sums);
  for (; within != 0; within &= within - 1) {
    const auto j = static_cast<std::size_t>(std::countr_zero(within));
    hits.indices[hits.found] = static_cast<std::uint32_t>(first + j);
    hits.sums[hits.found] = values[j];
    ++hits.found;
  }
}

// Adding bytes is slower, even of small entries. `at_once` blocks, because an addition takes longer than what lies between
// two of them for one query.
template <std::size_t queries, std::size_t at_once>
ANNBENCH_TARGET_VBMI inline void wide_blocks(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                             std::size_t groups, std::size_t first, std::size_t count,
                                             const std::uint32_t* limits, Hits* hits) {
  table_scan_detail::WideSums<queries, at_once> sums;
  table_scan_detail::wide_sums(tables, blocks, groups, sums);
  for (std::size_t k = 0; k < at_once; ++k) {
    const std::size_t begin = first + k * table_block;
    const std::uint32_t valid = valid_codes(count - begin);
    for (std::size_t q = 0; q < queries; ++q) {
      take_wide_hits(sums.low[k][q], limits[q], valid & 0xffff, begin, hits[q]);
      take_wide_hits(sums.high[k][q], limits[q], valid >> 16, begin + 16, hits[q]);
    }
  }
}

template <std::size_t queries>
ANNBENCH_TARGET_VBMI inline void all_wide_blocks(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                                 std::size_t groups, std::size_t count, std::size_t,
                                                 const std::uint32_t* limits, Hits* hits) {
  constexpr std::size_t at_once = queries == 1 ? 2 : 1;
  const std::size_t bytes = table_block_bytes(groups);
  std::size_t first = 0;
  for (; first + at_once * table_block <= count; first += at_once * table_block, blocks += at_once * bytes)
    wide_blocks<queries, at_once>(tables, blocks, groups, first, count, limits, hits);
  for (; first < count; first += table_block, blocks += bytes)
    wide_blocks<queries, 1>(tables, blocks, groups, first, count, limits, hits);
}

}  // namespace table_select_detail

inline void table_select_vbmi(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                              std::size_t groups, std::size_t count, std::uint32_t largest,
                              const std::uint32_t* limits, std::uint32_t* indices, std::uint32_t* sums,
                              std::size_t* found) {
  using namespace table_select_detail;
  by_fours<all_wide_blocks<4>, all_wide_blocks<3>, all_wide_blocks<2>, all_wide_blocks<1>>(
      tables, queries, blocks, groups, count, largest, limits, indices, sums, found);
}
#endif

// ---- NEON: one group at a time

#if ANNBENCH_HAS_NEON
namespace table_select_detail {

// The 32 sums of a block.
inline void block_neon(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups, std::size_t most_groups,
                       std::uint16_t* out) {
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

}  // namespace table_select_detail

inline void table_select_neon(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                              std::size_t groups, std::size_t count, std::uint32_t largest,
                              const std::uint32_t* limits, std::uint32_t* indices, std::uint32_t* sums,
                              std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) found[q] = 0;
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    const std::size_t some = std::min(table_block, count - first);
    for (std::size_t q = 0; q < queries; ++q) {
      std::uint16_t of_block[table_block];
      table_select_detail::block_neon(tables[q], blocks, groups, 255 / largest, of_block);
      for (std::size_t j = 0; j < some; ++j) {
        if (of_block[j] > limits[q]) continue;
        indices[count * q + found[q]] = static_cast<std::uint32_t>(first + j);
        sums[count * q + found[q]] = of_block[j];
        ++found[q];
      }
    }
  }
}
#endif

// ---- table row

inline constexpr TableSelectFn table_select_table[isa_count] = {
    table_select_scalar,
#if ANNBENCH_HAS_AVX2
    table_select_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    table_select_vbmi,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    table_select_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
