// table_select: which codes of 4-bit groups have a sum of table entries, a distance, within a limit, for some queries at
// once. Codes lie in the blocks of kernels/table_scan.hpp.
//
// Contract
//   sum(q, j) = Σ_{g < groups} tables[q][16·g + code_j[g]],  q < queries, j < count.
//   limit(q, j) = the greater of the lines of limits[q] at the length of code j. A line is most − ⌊slope·length/2¹⁶⌋, not
//   below 0; lengths are lengths.values[j]·2^lengths.shift, below 2¹⁶, values being two bytes each, and 0 without values.
//   Entries are at most `largest` (1 … 255). Writes j and sum(q, j) for every j with sum(q, j) <= limit(q, j), in
//   increasing j, from indices[count·q] and sums[count·q] on, and how many to found[q].
//   `blocks` holds ⌈count/32⌉ blocks of table_block_bytes(groups), all of which may be read; what is in a block beyond
//   `count` is of no consequence. `groups` is a multiple of 4 and groups·largest below 2^16, so that a sum fits into
//   16 bits. No alignment is needed. Every ISA gives the same integers.
//
// Beside table_scan, which writes all sums, up to four queries share what it takes to find the codes in a byte; without
// AVX-512 small entries are added as bytes for as long as they fit, 255/largest at a time.
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

struct SelectLine {
  std::uint16_t most = 0, slope = 0;
};
// What sums may be; as it comes, nothing.
struct SelectLimit {
  SelectLine lines[2];
};
struct CodeLengths {
  const std::uint8_t* values = nullptr;
  int shift = 0;
};

using TableSelectFn = void (*)(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                               std::size_t groups, std::size_t count, std::uint32_t largest, const SelectLimit* limits,
                               const CodeLengths& lengths, std::uint32_t* indices, std::uint32_t* sums, std::size_t* found);

inline constexpr std::uint16_t most_of_table_select = 0xffff;  // groups · largest

// A limit that is the same for every code.
inline constexpr SelectLimit select_up_to(std::uint32_t most) {
  return {{{static_cast<std::uint16_t>(std::min<std::uint32_t>(most, most_of_table_select)), 0}, {}}};
}

inline std::uint32_t limit_of(const SelectLimit& limit, const CodeLengths& lengths, std::size_t j) {
  std::uint16_t value = 0;
  if (lengths.values != nullptr) std::memcpy(&value, lengths.values + 2 * j, sizeof value);
  const std::uint32_t length = std::uint32_t{value} << lengths.shift;
  const auto at = [length](const SelectLine& line) {
    const std::uint32_t less = line.slope * length >> 16;
    return less < line.most ? line.most - less : 0;
  };
  return std::max(at(limit.lines[0]), at(limit.lines[1]));
}

// ---- scalar reference

inline void table_select_scalar(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                                std::size_t groups, std::size_t count, std::uint32_t, const SelectLimit* limits,
                                const CodeLengths& lengths, std::uint32_t* indices, std::uint32_t* sums,
                                std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) {
    found[q] = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t sum = table_sum(tables[q], blocks + i / table_block * table_block_bytes(groups), groups, i % table_block);
      if (sum > limit_of(limits[q], lengths, i)) continue;
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

// The codes of a block that are within their limits: those of `within`.
inline void take(std::uint32_t within, const std::uint16_t* sums, std::size_t first, Hits& hits) {
  for (; within != 0; within &= within - 1) {
    const auto j = static_cast<std::size_t>(std::countr_zero(within));
    hits.indices[hits.found] = static_cast<std::uint32_t>(first + j);
    hits.sums[hits.found] = sums[j];
    ++hits.found;
  }
}

// The lengths of a block; of one that is not full from a buffer, since there may be no more to read than there are codes.
using BlockLengths = std::array<std::uint8_t, 2 * table_block>;
inline const std::uint8_t* lengths_of(const CodeLengths& lengths, std::size_t first, std::size_t count, BlockLengths& last) {
  if (count - first >= table_block) return lengths.values + 2 * first;
  last.fill(0);
  std::memcpy(last.data(), lengths.values + 2 * first, 2 * (count - first));
  return last.data();
}

using BlocksFn = void (*)(const std::uint8_t* const*, const std::uint8_t*, std::size_t, std::size_t, std::size_t,
                          const SelectLimit*, const CodeLengths&, Hits*);

// Four queries at a time, then what is left of them.
template <BlocksFn four, BlocksFn three, BlocksFn two, BlocksFn one>
inline void by_fours(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks, std::size_t groups,
                     std::size_t count, std::uint32_t largest, const SelectLimit* limits, const CodeLengths& lengths,
                     std::uint32_t* indices, std::uint32_t* sums, std::size_t* found) {
  constexpr BlocksFn by_queries[] = {one, two, three, four};
  for (std::size_t q = 0; q < queries; q += 4) {
    const std::size_t some = std::min<std::size_t>(4, queries - q);
    Hits hits[4];
    for (std::size_t i = 0; i < some; ++i) hits[i] = {indices + count * (q + i), sums + count * (q + i), 0};
    by_queries[some - 1](tables + q, blocks, groups, count, 255 / largest, limits + q, lengths, hits);
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

// The lengths of a block, placed as the sums are.
ANNBENCH_TARGET_AVX2 inline Sums lengths_avx2(const CodeLengths& lengths, std::size_t first, std::size_t count) {
  BlockLengths last;
  const std::uint8_t* values = lengths_of(lengths, first, count, last);
  const __m128i shift = _mm_cvtsi32_si128(lengths.shift);
  const __m256i low = _mm256_sll_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values)), shift);
  const __m256i high = _mm256_sll_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + 32)), shift);
  const __m256i lower = _mm256_set1_epi32(0xffff);
  constexpr int in_order = 0xd8;
  return {_mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(low, lower), _mm256_and_si256(high, lower)), in_order),
          _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16)), in_order)};
}

ANNBENCH_TARGET_AVX2 inline __m256i line_avx2(const SelectLine& line, __m256i lengths) {
  const __m256i less = _mm256_mulhi_epu16(lengths, _mm256_set1_epi16(static_cast<short>(line.slope)));
  return _mm256_subs_epu16(_mm256_set1_epi16(static_cast<short>(line.most)), less);
}

ANNBENCH_TARGET_AVX2 inline __m256i limits_avx2(const SelectLimit& limit, __m256i lengths) {
  return _mm256_max_epu16(line_avx2(limit.lines[0], lengths), line_avx2(limit.lines[1], lengths));
}

ANNBENCH_TARGET_AVX2 inline __m256i within_avx2(__m256i sums, __m256i most) {
  return _mm256_cmpeq_epi16(_mm256_min_epu16(sums, most), sums);
}

// Those of the `valid` codes that are within their limits; without `lengths` one for all.
ANNBENCH_TARGET_AVX2 inline void take_hits(const Sums& sums, const SelectLimit& limit, const Sums* lengths, std::uint32_t valid,
                                           std::size_t first, Hits& hits) {
  __m256i even, odd;
  if (lengths == nullptr) {
    const __m256i most = _mm256_set1_epi16(static_cast<short>(std::max(limit.lines[0].most, limit.lines[1].most)));
    even = within_avx2(sums.even, most), odd = within_avx2(sums.odd, most);
  } else {
    even = within_avx2(sums.even, limits_avx2(limit, lengths->even));
    odd = within_avx2(sums.odd, limits_avx2(limit, lengths->odd));
  }
  const __m256i both = _mm256_blendv_epi8(odd, even, _mm256_set1_epi16(0xff));
  const std::uint32_t within = static_cast<std::uint32_t>(_mm256_movemask_epi8(both)) & valid;
  if (within == 0) return;
  const __m256i low = _mm256_unpacklo_epi16(sums.even, sums.odd), high = _mm256_unpackhi_epi16(sums.even, sums.odd);
  alignas(32) std::uint16_t values[table_block];
  _mm256_store_si256(reinterpret_cast<__m256i*>(values), _mm256_permute2x128_si256(low, high, 0x20));
  _mm256_store_si256(reinterpret_cast<__m256i*>(values + 16), _mm256_permute2x128_si256(low, high, 0x31));
  take(within, values, first, hits);
}

template <std::size_t queries>
ANNBENCH_TARGET_AVX2 inline void blocks_avx2(const std::uint8_t* const* tables, const std::uint8_t* blocks, std::size_t groups,
                                             std::size_t count, std::size_t most_lines, const SelectLimit* limits,
                                             const CodeLengths& lengths, Hits* hits) {
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
    Sums of_block;
    const bool by_length = lengths.values != nullptr;
    if (by_length) of_block = lengths_avx2(lengths, first, count);
    for (std::size_t q = 0; q < queries; ++q) take_hits(sums[q], limits[q], by_length ? &of_block : nullptr, valid, first, hits[q]);
  }
}

// For entries of which hardly any fit: words as they are and their high bytes apart, one query after the other.
template <std::size_t queries>
ANNBENCH_TARGET_AVX2 inline void word_blocks_avx2(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                                  std::size_t groups, std::size_t count, std::size_t,
                                                  const SelectLimit* limits, const CodeLengths& lengths, Hits* hits) {
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    Sums of_block;
    const bool by_length = lengths.values != nullptr;
    if (by_length) of_block = lengths_avx2(lengths, first, count);
    for (std::size_t q = 0; q < queries; ++q) {
      const table_scan_detail::Words sums = table_scan_detail::words_avx2(tables[q], blocks, groups);
      const __m256i low0 = _mm256_sub_epi16(sums.words0, _mm256_slli_epi16(sums.high0, 8));
      const __m256i low1 = _mm256_sub_epi16(sums.words1, _mm256_slli_epi16(sums.high1, 8));
      take_hits({added(low0, low1), added(sums.high0, sums.high1)}, limits[q], by_length ? &of_block : nullptr,
                valid_codes(count - first), first, hits[q]);
    }
  }
}

}  // namespace table_select_detail

inline void table_select_avx2(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                              std::size_t groups, std::size_t count, std::uint32_t largest,
                              const SelectLimit* limits, const CodeLengths& lengths, std::uint32_t* indices,
                              std::uint32_t* sums, std::size_t* found) {
  using namespace table_select_detail;
  constexpr std::uint32_t large = 85;  // three fit
  constexpr auto by_bytes = by_fours<blocks_avx2<4>, blocks_avx2<3>, blocks_avx2<2>, blocks_avx2<1>>;
  constexpr auto by_words = by_fours<word_blocks_avx2<4>, word_blocks_avx2<3>, word_blocks_avx2<2>, word_blocks_avx2<1>>;
  (largest <= large ? by_bytes : by_words)(tables, queries, blocks, groups, count, largest, limits, lengths, indices, sums,
                                          found);
}
#endif

// ---- AVX-512 with VBMI and VNNI: as table_scan. Without them, AVX2 is used

#if ANNBENCH_HAS_AVX512
namespace table_select_detail {

// What a block's sums are compared with is in the order in which two registers of them are packed into one: fours of codes,
// of 0 … 15 and of 16 … 31 in turn.
inline constexpr std::int64_t in_turn[8] = {0, 4, 1, 5, 2, 6, 3, 7}, in_order[8] = {0, 2, 4, 6, 1, 3, 5, 7};

// A limit in every lane.
struct WideLimit {
  __m512i most[2], slope[2];
};

ANNBENCH_TARGET_VBMI inline __m512i wide_line(const WideLimit& limit, std::size_t line, __m512i lengths) {
  return _mm512_subs_epu16(limit.most[line], _mm512_mulhi_epu16(lengths, limit.slope[line]));
}

// Adding bytes is slower, even of small entries. `at_once` blocks, because an addition takes longer than what lies between
// two of them for one query.
template <std::size_t queries, std::size_t at_once>
ANNBENCH_TARGET_VBMI inline void wide_blocks(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                             std::size_t groups, std::size_t first, std::size_t count,
                                             const WideLimit* limits, const CodeLengths& lengths, Hits* hits) {
  table_scan_detail::WideSums<queries, at_once> sums;
  table_scan_detail::wide_sums(tables, blocks, groups, sums);
  const __m512i turn = _mm512_loadu_si512(in_turn);
  const bool by_length = lengths.values != nullptr;
  for (std::size_t k = 0; k < at_once; ++k) {
    const std::size_t begin = first + k * table_block;
    __m512i of_block = _mm512_setzero_si512();
    if (by_length) {
      BlockLengths last;
      const __m512i values = _mm512_loadu_si512(lengths_of(lengths, begin, count, last));
      of_block = _mm512_permutexvar_epi64(turn, _mm512_sll_epi16(values, _mm_cvtsi32_si128(lengths.shift)));
    }
    for (std::size_t q = 0; q < queries; ++q) {
      const __m512i most = by_length ? _mm512_max_epu16(wide_line(limits[q], 0, of_block), wide_line(limits[q], 1, of_block))
                                     : limits[q].most[0];
      const __m512i packed = _mm512_packus_epi32(sums.low[k][q], sums.high[k][q]);
      if (_mm512_cmple_epu16_mask(packed, most) == 0) continue;
      const __m512i order = _mm512_loadu_si512(in_order), ordered = _mm512_permutexvar_epi64(order, packed);
      const auto within = static_cast<std::uint32_t>(_mm512_cmple_epu16_mask(ordered, _mm512_permutexvar_epi64(order, most)));
      alignas(64) std::uint16_t values[table_block];
      _mm512_store_si512(values, ordered);
      take(within & valid_codes(count - begin), values, begin, hits[q]);
    }
  }
}

template <std::size_t queries>
ANNBENCH_TARGET_VBMI inline void all_wide_blocks(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                                 std::size_t groups, std::size_t count, std::size_t,
                                                 const SelectLimit* limits, const CodeLengths& lengths, Hits* hits) {
  constexpr std::size_t at_once = queries == 1 ? 2 : 1;
  const std::size_t bytes = table_block_bytes(groups);
  WideLimit wide[queries];
  for (std::size_t q = 0; q < queries; ++q) {
    for (std::size_t line = 0; line < 2; ++line) {
      wide[q].most[line] = _mm512_set1_epi16(static_cast<short>(limits[q].lines[line].most));
      wide[q].slope[line] = _mm512_set1_epi16(static_cast<short>(limits[q].lines[line].slope));
    }
    if (lengths.values == nullptr) wide[q].most[0] = _mm512_max_epu16(wide[q].most[0], wide[q].most[1]);
  }
  std::size_t first = 0;
  for (; first + at_once * table_block <= count; first += at_once * table_block, blocks += at_once * bytes)
    wide_blocks<queries, at_once>(tables, blocks, groups, first, count, wide, lengths, hits);
  for (; first < count; first += table_block, blocks += bytes)
    wide_blocks<queries, 1>(tables, blocks, groups, first, count, wide, lengths, hits);
}

}  // namespace table_select_detail

inline void table_select_vbmi(const std::uint8_t* const* tables, std::size_t queries, const std::uint8_t* blocks,
                              std::size_t groups, std::size_t count, std::uint32_t largest,
                              const SelectLimit* limits, const CodeLengths& lengths, std::uint32_t* indices,
                              std::uint32_t* sums, std::size_t* found) {
  using namespace table_select_detail;
  by_fours<all_wide_blocks<4>, all_wide_blocks<3>, all_wide_blocks<2>, all_wide_blocks<1>>(
      tables, queries, blocks, groups, count, largest, limits, lengths, indices, sums, found);
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
                              const SelectLimit* limits, const CodeLengths& lengths, std::uint32_t* indices,
                              std::uint32_t* sums, std::size_t* found) {
  for (std::size_t q = 0; q < queries; ++q) found[q] = 0;
  for (std::size_t first = 0; first < count; first += table_block, blocks += table_block_bytes(groups)) {
    const std::size_t some = std::min(table_block, count - first);
    for (std::size_t q = 0; q < queries; ++q) {
      std::uint16_t of_block[table_block];
      table_select_detail::block_neon(tables[q], blocks, groups, 255 / largest, of_block);
      for (std::size_t j = 0; j < some; ++j) {
        if (of_block[j] > limit_of(limits[q], lengths, first + j)) continue;
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
