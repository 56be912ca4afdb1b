// table_scan: sums of table entries for codes of many 4-bit groups (product quantization, or 4 dimensions of 1 bit).
//
// Contract
//   out[i] = Σ_{m < groups} tables[16·m + code_i[m]],  i < count,
//   as exact integers, in the order of the codes. `groups` is a multiple of 4 and at most 2,048, so that a sum is at most
//   2,048·255. Codes with fewer groups are filled up with codes of 0 (put_table_code does it) and tables of 0.
//   `blocks` holds ⌈count/32⌉ blocks of table_block_bytes(groups), all of which may be read; what is in a block beyond
//   `count` is of no consequence, and nothing is written beyond out[count − 1]. No alignment is needed; blocks that begin on
//   a cache line are faster. Every ISA gives the same integers.
//
// A block holds 32 codes: for every four groups one line of 64 bytes, 16 bytes a group, byte j with code j in its low half
// and code j + 16 in its high half. Within 128 bits all bytes so share one table, as `vpshufb` and `tbl` want it. `vpermb`
// followed by `vpdpbusd` wants the four groups of a code side by side instead: one more `vpermb` of the codes moves them
// there, one operation in eight where a packing of its own would save none of the memory traffic. In return there is one
// packing: a stored index is the same on every machine and nothing is packed anew at load.
// Sources: Quick ADC (André, Kermarrec, Le Scouarnec, 2017) for the tables in registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa.hpp"

namespace annbench {

using TableScanFn = void (*)(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                             std::size_t count, std::uint32_t* out);

inline constexpr std::size_t table_block = 32;  // codes
inline constexpr std::size_t max_table_groups = 2048;
// Beyond the caches a processor's own prefetching ends with every page of 4 KiB; 2 KiB ahead the next one has begun.
inline constexpr std::size_t table_bytes_ahead = 2048;

// The groups that a kernel sees of codes with m of them.
inline constexpr std::size_t table_groups(std::size_t m) { return (m + 3) / 4 * 4; }
inline constexpr std::size_t table_block_bytes(std::size_t groups) { return 16 * groups; }

// Writes code i, m values below 16, to its place in the blocks; no other code is changed.
inline void put_table_code(const std::uint8_t* code, std::size_t m, std::size_t i, std::uint8_t* blocks) {
  const std::size_t groups = table_groups(m), j = i % table_block;
  std::uint8_t* byte = blocks + i / table_block * table_block_bytes(groups) + j % 16;
  const int shift = j < 16 ? 0 : 4;
  for (std::size_t g = 0; g < groups; ++g, byte += 16)
    *byte = static_cast<std::uint8_t>((*byte & (0xf0 >> shift)) | (g < m ? code[g] << shift : 0));
}

// Reads code i back.
inline void get_table_code(const std::uint8_t* blocks, std::size_t m, std::size_t i, std::uint8_t* code) {
  const std::size_t j = i % table_block;
  const std::uint8_t* byte = blocks + i / table_block * table_block_bytes(table_groups(m)) + j % 16;
  for (std::size_t g = 0; g < m; ++g, byte += 16) code[g] = static_cast<std::uint8_t>((*byte >> (j < 16 ? 0 : 4)) & 15);
}

// The sum of code `at` of a block: what every kernel below computes.
inline std::uint32_t table_sum(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups, std::size_t at) {
  const std::uint8_t* byte = block + at % 16;
  std::uint32_t sum = 0;
  for (std::size_t g = 0; g < groups; ++g) sum += tables[16 * g + ((byte[16 * g] >> (at < 16 ? 0 : 4)) & 15)];
  return sum;
}

namespace table_scan_detail {

using BlockFn = void (*)(const std::uint8_t*, const std::uint8_t*, std::size_t, std::uint32_t*);

// Blocks by `at_once`, the rest by ones, the last one by way of a buffer where it is not full.
template <std::size_t at_once, BlockFn many, BlockFn one>
inline void by_blocks(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups, std::size_t count,
                      std::uint32_t* out) {
  const std::size_t bytes = table_block_bytes(groups);
  std::size_t i = 0;
  for (; i + at_once * table_block <= count; i += at_once * table_block, blocks += at_once * bytes)
    many(tables, blocks, groups, out + i);
  for (; i + table_block <= count; i += table_block, blocks += bytes) one(tables, blocks, groups, out + i);
  if (i == count) return;
  std::uint32_t last[table_block];
  one(tables, blocks, groups, last);
  std::memcpy(out + i, last, (count - i) * sizeof(last[0]));
}

}  // namespace table_scan_detail

// ---- scalar reference

inline void table_scan_scalar(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                              std::size_t count, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i)
    out[i] = table_sum(tables, blocks + i / table_block * table_block_bytes(groups), groups, i % table_block);
}

// ---- AVX2: two groups at a time. Entries are added as the bytes of 16-bit words: the words as they are, and their high
// bytes apart; the sum of the low bytes is what the first exceeds the second by. 256 groups fit into 16 bits

#if ANNBENCH_HAS_AVX2
namespace table_scan_detail {

inline constexpr std::size_t most_in_16_bits = 256;  // · 255 < 2¹⁶

// From the sums of words and of their high bytes, of two groups each: 16 sums in order as 32 bits, added to out.
template <bool first>
ANNBENCH_TARGET_AVX2 inline void add_sums_avx2(__m256i words, __m256i high, std::uint32_t* out) {
  const __m256i low = _mm256_sub_epi16(words, _mm256_slli_epi16(high, 8));
  const __m128i even = _mm_add_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i odd = _mm_add_epi16(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  const __m128i halves[2] = {_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)};
  for (int h = 0; h < 2; ++h) {
    auto* to = reinterpret_cast<__m256i*>(out + 8 * h);
    const __m256i sums = _mm256_cvtepu16_epi32(halves[h]);
    _mm256_storeu_si256(to, first ? sums : _mm256_add_epi32(_mm256_loadu_si256(to), sums));
  }
}

// Sums of words and of their high bytes, of codes 0 … 15 and of codes 16 … 31.
struct Words {
  __m256i words0, high0, words1, high1;
};

ANNBENCH_TARGET_AVX2 inline Words words_avx2(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups) {
  const __m256i mask = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
  Words sums = {zero, zero, zero, zero};
  for (std::size_t b = 0; b < 16 * groups; b += 32) {
    _mm_prefetch(reinterpret_cast<const char*>(block + b + table_bytes_ahead), _MM_HINT_T0);
    const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tables + b));
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + b));
    const __m256i found0 = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, mask));
    const __m256i found1 = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask));
    sums.words0 = _mm256_add_epi16(sums.words0, found0);
    sums.high0 = _mm256_add_epi16(sums.high0, _mm256_srli_epi16(found0, 8));
    sums.words1 = _mm256_add_epi16(sums.words1, found1);
    sums.high1 = _mm256_add_epi16(sums.high1, _mm256_srli_epi16(found1, 8));
  }
  return sums;
}

template <bool first>
ANNBENCH_TARGET_AVX2 inline void some_groups_avx2(const std::uint8_t* tables, const std::uint8_t* block,
                                                  std::size_t groups, std::uint32_t* out) {
  const Words sums = words_avx2(tables, block, groups);
  add_sums_avx2<first>(sums.words0, sums.high0, out);
  add_sums_avx2<first>(sums.words1, sums.high1, out + 16);
}

ANNBENCH_TARGET_AVX2 inline void block_avx2(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups,
                                            std::uint32_t* out) {
  some_groups_avx2<true>(tables, block, groups < most_in_16_bits ? groups : most_in_16_bits, out);
  for (std::size_t g = most_in_16_bits; g < groups; g += most_in_16_bits) {
    const std::size_t some = groups - g < most_in_16_bits ? groups - g : most_in_16_bits;
    some_groups_avx2<false>(tables + 16 * g, block + 16 * g, some, out);
  }
}

}  // namespace table_scan_detail

inline void table_scan_avx2(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                            std::size_t count, std::uint32_t* out) {
  using namespace table_scan_detail;
  by_blocks<1, block_avx2, block_avx2>(tables, blocks, groups, count, out);
}
#endif

// ---- AVX-512 with VBMI and VNNI: four groups at a time from one table of 64 entries, their sums added to 32 bits at once.
// Two blocks together, because an addition takes longer than what lies between two of them in one. Without VBMI and VNNI,
// AVX2 is used

#if ANNBENCH_HAS_AVX512
#if defined(ANNBENCH_EMULATE_AVX512)
#define ANNBENCH_TARGET_VBMI
#else
#define ANNBENCH_TARGET_VBMI \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,popcnt,bmi2")))
#endif
namespace table_scan_detail {

// Byte 4·j + g of the codes side by side comes from byte 16·g + j, and looks into part g of the table.
struct SideBySide {
  std::uint8_t places[64], parts[64];
};
inline constexpr SideBySide side_by_side = [] {
  SideBySide made{};
  for (int b = 0; b < 64; ++b) {
    made.places[b] = static_cast<std::uint8_t>(16 * (b % 4) + b / 4);
    made.parts[b] = static_cast<std::uint8_t>(16 * (b % 4));
  }
  return made;
}();

// Where blocks are read side by side, of `bytes` together, the same place of those that come next, or a few later: ahead of
// the first by less lies what the second reads now.
inline constexpr std::size_t bytes_ahead(std::size_t bytes) {
  constexpr std::size_t least = 2 * table_bytes_ahead, most = 4 * table_bytes_ahead;  // beyond, it may be gone when read
  return bytes == 0 || bytes > most ? least : (least + bytes - 1) / bytes * bytes;
}

// The sums of `at_once` blocks for several queries: of codes 0 … 15 and of codes 16 … 31.
template <std::size_t queries, std::size_t at_once>
struct WideSums {
  __m512i low[at_once][queries], high[at_once][queries];
};

template <std::size_t queries, std::size_t at_once>
ANNBENCH_TARGET_VBMI inline void wide_sums(const std::uint8_t* const* tables, const std::uint8_t* blocks,
                                           std::size_t groups, WideSums<queries, at_once>& sums) {
  const __m512i place = _mm512_loadu_si512(side_by_side.places), part = _mm512_loadu_si512(side_by_side.parts);
  const __m512i mask = _mm512_set1_epi8(15), ones = _mm512_set1_epi8(1);
  constexpr int masked_or = 0xea;  // (codes & mask) | part
  const std::size_t ahead = bytes_ahead(at_once * table_block_bytes(groups));
  for (std::size_t k = 0; k < at_once; ++k)
    for (std::size_t q = 0; q < queries; ++q) sums.low[k][q] = sums.high[k][q] = _mm512_setzero_si512();
  for (std::size_t b = 0; b < 16 * groups; b += 64)
    for (std::size_t k = 0; k < at_once; ++k) {
      const std::uint8_t* line = blocks + k * table_block_bytes(groups) + b;
      _mm_prefetch(reinterpret_cast<const char*>(line + ahead), _MM_HINT_T0);
      const __m512i codes = _mm512_permutexvar_epi8(place, _mm512_loadu_si512(line));
      const __m512i first = _mm512_ternarylogic_epi32(codes, mask, part, masked_or);
      const __m512i second = _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), mask, part, masked_or);
      for (std::size_t q = 0; q < queries; ++q) {
        const __m512i table = _mm512_loadu_si512(tables[q] + b);
        sums.low[k][q] = _mm512_dpbusd_epi32(sums.low[k][q], _mm512_permutexvar_epi8(first, table), ones);
        sums.high[k][q] = _mm512_dpbusd_epi32(sums.high[k][q], _mm512_permutexvar_epi8(second, table), ones);
      }
    }
}

template <std::size_t at_once>
ANNBENCH_TARGET_VBMI inline void blocks_vbmi(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                                             std::uint32_t* out) {
  WideSums<1, at_once> sums;
  wide_sums(&tables, blocks, groups, sums);
  for (std::size_t k = 0; k < at_once; ++k) {
    _mm512_storeu_si512(out + 32 * k, sums.low[k][0]);
    _mm512_storeu_si512(out + 32 * k + 16, sums.high[k][0]);
  }
}

}  // namespace table_scan_detail

inline void table_scan_vbmi(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                            std::size_t count, std::uint32_t* out) {
  using namespace table_scan_detail;
  by_blocks<2, blocks_vbmi<2>, blocks_vbmi<1>>(tables, blocks, groups, count, out);
}
#endif

// ---- NEON: one group at a time, 256 of them before 16 bits are widened

#if ANNBENCH_HAS_NEON
namespace table_scan_detail {

inline void block_neon(const std::uint8_t* tables, const std::uint8_t* block, std::size_t groups, std::uint32_t* out) {
  uint32x4_t totals[8];
  for (uint32x4_t& total : totals) total = vdupq_n_u32(0);
  for (std::size_t begin = 0; begin < groups; begin += 256) {
    const std::size_t end = groups - begin < 256 ? groups : begin + 256;
    uint16x8_t sums[4];
    for (uint16x8_t& sum : sums) sum = vdupq_n_u16(0);
    for (std::size_t g = begin; g < end; ++g) {
      const uint8x16_t table = vld1q_u8(tables + 16 * g), codes = vld1q_u8(block + 16 * g);
      const uint8x16_t found0 = vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15)));
      const uint8x16_t found1 = vqtbl1q_u8(table, vshrq_n_u8(codes, 4));
      sums[0] = vaddw_u8(sums[0], vget_low_u8(found0));
      sums[1] = vaddw_high_u8(sums[1], found0);
      sums[2] = vaddw_u8(sums[2], vget_low_u8(found1));
      sums[3] = vaddw_high_u8(sums[3], found1);
    }
    for (int s = 0; s < 4; ++s) {
      totals[2 * s] = vaddw_u16(totals[2 * s], vget_low_u16(sums[s]));
      totals[2 * s + 1] = vaddw_high_u16(totals[2 * s + 1], sums[s]);
    }
  }
  for (int t = 0; t < 8; ++t) vst1q_u32(out + 4 * t, totals[t]);
}

}  // namespace table_scan_detail

inline void table_scan_neon(const std::uint8_t* tables, const std::uint8_t* blocks, std::size_t groups,
                            std::size_t count, std::uint32_t* out) {
  using namespace table_scan_detail;
  by_blocks<1, block_neon, block_neon>(tables, blocks, groups, count, out);
}
#endif

// ---- table row

inline constexpr TableScanFn table_scan_table[isa_count] = {
    table_scan_scalar,
#if ANNBENCH_HAS_AVX2
    table_scan_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    table_scan_vbmi,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    table_scan_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
