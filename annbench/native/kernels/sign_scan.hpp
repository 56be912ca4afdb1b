// sign_bounds: upper bounds of scores from 1-bit codes.
//
// Contract
//   sum_i    = Σ_{g < groups} tables[16·g + code_i[g]], an exact integer
//   bound[i] = (bias_i + scale_i·(base + step·sum_i)) + (offset + slack·error_i),  i < count,
//   with four roundings to float32: fma(step, sum, base), fma(scale, ·, bias), fma(slack, error, offset), and their sum.
//   Every ISA gives the same bits.
//   `groups` is a multiple of 4 and at most max_table_groups; tables from `used` on, an even number, are 0. In each stretch
//   of 16 groups from the first on the largest entries of the even groups sum to at most 255, and so do those of the odd
//   ones: eight entries can be added as bytes, which makes a scan half as long again as one of any tables, and an entry has
//   5 bits. A sum then fits into 16 bits.
//   `blocks` holds ⌈count/32⌉ blocks of sign_block_bytes(groups), all of which may be read; what is in a block beyond
//   `count` is of no consequence, and nothing is written beyond bounds[count − 1]. No alignment is needed; blocks that
//   begin on a cache line are faster.
//
// A block holds 32 codes as in kernels/table_scan.hpp, then their 32 biases as floats, then 32 words of scale and error.
// A word read as a float is the scale. Its low 13 bits hold the error, which is not negative: the upper 12 bits of a float
// below its sign, so that the word shifted left by 19 is the error. The scale keeps 10 bits of fraction, the error 4. This
// takes a third less memory than three floats, and as much less to read.
// To compare with a threshold in here, block by block, is slower than threshold_select afterwards: a branch that was
// foreseen wrongly would wait for the sums of a whole block.
// Sources: Quick ADC (André, Kermarrec, Le Scouarnec, 2017) for tables in registers; RaBitQ (Gao and Long, SIGMOD 2024) for
// the bound.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa.hpp"
#include "kernels/table_scan.hpp"

namespace annbench {

// What one query and one list bring to a scan.
struct SignScan {
  const std::uint8_t* tables;
  std::size_t groups, used;
  float step, base;  // what a sum stands for: base + step·sum
  float offset;      // added to every bound
  float slack;       // times a code's error
};

using SignBoundsFn = void (*)(const SignScan& scan, const std::uint8_t* blocks, std::size_t count, float* bounds);

inline constexpr std::size_t sign_stretch = 16;  // groups, of whose entries the even and the odd are added as bytes
inline constexpr int sign_error_shift = 19;
inline constexpr std::uint32_t sign_error_mask = (1u << (32 - sign_error_shift)) - 1;

inline constexpr std::size_t sign_block_bytes(std::size_t groups) {
  return table_block_bytes(groups) + 2 * table_block * sizeof(float);
}

// Where the biases of a block lie; the words follow after table_block of them.
inline std::size_t sign_bias_offset(std::size_t groups) { return table_block_bytes(groups); }
inline std::size_t sign_word_offset(std::size_t groups) {
  return table_block_bytes(groups) + table_block * sizeof(float);
}

// ---- scalar reference

namespace sign_scan_detail {

inline std::uint32_t sum_scalar(const SignScan& scan, const std::uint8_t* block, std::size_t j) {
  const std::uint8_t* byte = block + j % 16;
  const int shift = j < 16 ? 0 : 4;
  std::uint32_t sum = 0;
  for (std::size_t g = 0; g < scan.groups; ++g) sum += scan.tables[16 * g + ((byte[16 * g] >> shift) & 15)];
  return sum;
}

// The bound of code j of a block.
inline float bound_scalar(const SignScan& scan, const std::uint8_t* block, std::size_t j) {
  float bias = 0;
  std::uint32_t word = 0;
  std::memcpy(&bias, block + sign_bias_offset(scan.groups) + 4 * j, 4);
  std::memcpy(&word, block + sign_word_offset(scan.groups) + 4 * j, 4);
  const float inner = std::fma(scan.step, static_cast<float>(sum_scalar(scan, block, j)), scan.base);
  const float estimate = std::fma(std::bit_cast<float>(word), inner, bias);
  return estimate + std::fma(scan.slack, std::bit_cast<float>(word << sign_error_shift), scan.offset);
}

// Walks over blocks; each bounds 32 codes into a buffer where all of them are wanted or some of them are not there.
template <void (*block_bounds)(const SignScan&, const std::uint8_t*, float*)>
inline void by_blocks(const SignScan& scan, const std::uint8_t* blocks, std::size_t count, float* bounds) {
  const std::size_t bytes = sign_block_bytes(scan.groups);
  std::size_t i = 0;
  for (; i + table_block <= count; i += table_block, blocks += bytes) block_bounds(scan, blocks, bounds + i);
  if (i == count) return;
  float last[table_block];
  block_bounds(scan, blocks, last);
  std::memcpy(bounds + i, last, (count - i) * sizeof(float));
}

}  // namespace sign_scan_detail

inline void sign_bounds_scalar(const SignScan& scan, const std::uint8_t* blocks, std::size_t count, float* bounds) {
  const std::size_t bytes = sign_block_bytes(scan.groups);
  for (std::size_t i = 0; i < count; ++i)
    bounds[i] = sign_scan_detail::bound_scalar(scan, blocks + i / table_block * bytes, i % table_block);
}

// ---- AVX2: two groups at a time, those of even number in the lower half. The entries of a stretch are added as bytes,
// and its sums as table_scan adds entries: as 16-bit words, and their high bytes apart

#if ANNBENCH_HAS_AVX2
#define ANNBENCH_INLINE_AVX2 ANNBENCH_TARGET_AVX2 __attribute__((always_inline)) inline
namespace sign_scan_detail {

// The sums of bytes so far: of codes 0 … 15 and of codes 16 … 31.
struct ByteSums {
  __m256i low, high;
};

ANNBENCH_INLINE_AVX2 ByteSums entries_avx2(const std::uint8_t* tables, const std::uint8_t* codes) {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tables));
  const __m256i line = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  // A shift right by 4, where the processor multiplies: its shifters are busy with the shuffles.
  const __m256i shifted = _mm256_mulhi_epu16(line, _mm256_set1_epi16(1 << 12));
  return {_mm256_shuffle_epi8(table, _mm256_and_si256(line, mask)),
          _mm256_shuffle_epi8(table, _mm256_and_si256(shifted, mask))};
}

ANNBENCH_INLINE_AVX2 void add_avx2(ByteSums& sums, const ByteSums& more) {
  sums.low = _mm256_add_epi8(sums.low, more.low);
  sums.high = _mm256_add_epi8(sums.high, more.high);
  // Keeps the compiler from looking everything up first, for which there are too few registers.
  __asm__ volatile("" : "+x"(sums.low), "+x"(sums.high));
}

// Sixteen sums, from those of words and of their high bytes, as floats.
ANNBENCH_INLINE_AVX2 void sums_avx2(__m256i words, __m256i high, __m256* sums) {
  const __m256i low = _mm256_sub_epi16(words, _mm256_slli_epi16(high, 8));
  const __m128i even = _mm_add_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i odd = _mm_add_epi16(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  sums[0] = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even, odd)));
  sums[1] = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even, odd)));
}

ANNBENCH_INLINE_AVX2 void block_bounds_avx2(const SignScan& scan, const std::uint8_t* block, __m256* bounds) {
  constexpr std::size_t stretch = 16 * sign_stretch;
  const std::size_t end = 16 * scan.used;
  __m256i words0 = _mm256_setzero_si256(), high0 = words0, words1 = words0, high1 = words0;
  for (std::size_t b = 0; b < end; b += stretch) {
    ByteSums sums = entries_avx2(scan.tables + b, block + b);
    if (b + stretch <= end) {
      for (std::size_t i = 32; i < stretch; i += 32) add_avx2(sums, entries_avx2(scan.tables + b + i, block + b + i));
    } else {
      for (std::size_t i = b + 32; i < end; i += 32) add_avx2(sums, entries_avx2(scan.tables + i, block + i));
    }
    words0 = _mm256_add_epi16(words0, sums.low);
    high0 = _mm256_add_epi16(high0, _mm256_srli_epi16(sums.low, 8));
    words1 = _mm256_add_epi16(words1, sums.high);
    high1 = _mm256_add_epi16(high1, _mm256_srli_epi16(sums.high, 8));
  }
  __m256 sums[4];
  sums_avx2(words0, high0, sums);
  sums_avx2(words1, high1, sums + 2);
  const __m256 step = _mm256_set1_ps(scan.step), base = _mm256_set1_ps(scan.base);
  const __m256 slack = _mm256_set1_ps(scan.slack), offset = _mm256_set1_ps(scan.offset);
  const std::uint8_t* biases = block + sign_bias_offset(scan.groups);
  const std::uint8_t* words = block + sign_word_offset(scan.groups);
  for (int k = 0; k < 4; ++k) {
    const __m256 bias = _mm256_loadu_ps(reinterpret_cast<const float*>(biases + 32 * k));
    const __m256i word = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + 32 * k));
    const __m256 error = _mm256_castsi256_ps(_mm256_slli_epi32(word, sign_error_shift));
    const __m256 estimate = _mm256_fmadd_ps(_mm256_castsi256_ps(word), _mm256_fmadd_ps(step, sums[k], base), bias);
    bounds[k] = _mm256_add_ps(estimate, _mm256_fmadd_ps(slack, error, offset));
  }
}

ANNBENCH_INLINE_AVX2 void store_bounds_avx2(const SignScan& scan, const std::uint8_t* block, float* out) {
  __m256 bounds[4];
  block_bounds_avx2(scan, block, bounds);
  for (int k = 0; k < 4; ++k) _mm256_storeu_ps(out + 8 * k, bounds[k]);
}

}  // namespace sign_scan_detail

ANNBENCH_TARGET_AVX2 inline void sign_bounds_avx2(const SignScan& scan, const std::uint8_t* blocks, std::size_t count,
                                                  float* bounds) {
  const SignScan local = scan;
  const std::size_t bytes = sign_block_bytes(scan.groups);
  std::size_t i = 0;
  for (; i < count; i += table_block, blocks += bytes) {
    float last[table_block];
    const bool full = i + table_block <= count;
    sign_scan_detail::store_bounds_avx2(local, blocks, full ? bounds + i : last);
    if (!full) std::memcpy(bounds + i, last, (count - i) * sizeof(float));
  }
}
#endif

// ---- AVX-512 with VBMI and VNNI: four groups at a time, as in table_scan; its sums need no bytes. Two blocks together.
// Without VBMI and VNNI, AVX2 is used

#if ANNBENCH_HAS_AVX512
namespace sign_scan_detail {

// Sixteen bounds of codes whose factors begin at `biases` and `words`.
ANNBENCH_TARGET_VBMI inline __m512 bounds_vbmi(const SignScan& scan, __m512i sums, const std::uint8_t* biases,
                                               const std::uint8_t* words) {
  const __m512i word = _mm512_loadu_si512(words);
  const __m512 error = _mm512_castsi512_ps(_mm512_slli_epi32(word, sign_error_shift));
  const __m512 inner = _mm512_fmadd_ps(_mm512_set1_ps(scan.step), _mm512_cvtepi32_ps(sums), _mm512_set1_ps(scan.base));
  const __m512 bias = _mm512_loadu_ps(reinterpret_cast<const float*>(biases));
  const __m512 estimate = _mm512_fmadd_ps(_mm512_castsi512_ps(word), inner, bias);
  return _mm512_add_ps(estimate, _mm512_fmadd_ps(_mm512_set1_ps(scan.slack), error, _mm512_set1_ps(scan.offset)));
}

// Bounds of `at_once` blocks, two vectors each.
template <int at_once>
ANNBENCH_TARGET_VBMI inline void block_bounds_vbmi(const SignScan& scan, const std::uint8_t* blocks, __m512* bounds) {
  using table_scan_detail::side_by_side;
  const __m512i place = _mm512_loadu_si512(side_by_side.places), part = _mm512_loadu_si512(side_by_side.parts);
  const __m512i mask = _mm512_set1_epi8(15), ones = _mm512_set1_epi8(1);
  constexpr int masked_or = 0xea;  // (codes & mask) | part
  const std::size_t bytes = sign_block_bytes(scan.groups);
  __m512i low[at_once], high[at_once];
  for (int k = 0; k < at_once; ++k) low[k] = high[k] = _mm512_setzero_si512();
  for (std::size_t b = 0; b < 16 * scan.groups; b += 64) {
    const __m512i table = _mm512_loadu_si512(scan.tables + b);
    for (int k = 0; k < at_once; ++k) {
      const std::uint8_t* line = blocks + static_cast<std::size_t>(k) * bytes + b;
      const __m512i codes = _mm512_permutexvar_epi8(place, _mm512_loadu_si512(line));
      const __m512i first = _mm512_ternarylogic_epi32(codes, mask, part, masked_or);
      const __m512i second = _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), mask, part, masked_or);
      low[k] = _mm512_dpbusd_epi32(low[k], _mm512_permutexvar_epi8(first, table), ones);
      high[k] = _mm512_dpbusd_epi32(high[k], _mm512_permutexvar_epi8(second, table), ones);
    }
  }
  for (int k = 0; k < at_once; ++k) {
    const std::uint8_t* block = blocks + static_cast<std::size_t>(k) * bytes;
    const std::uint8_t* biases = block + sign_bias_offset(scan.groups);
    const std::uint8_t* words = block + sign_word_offset(scan.groups);
    bounds[2 * k] = bounds_vbmi(scan, low[k], biases, words);
    bounds[2 * k + 1] = bounds_vbmi(scan, high[k], biases + 64, words + 64);
  }
}

ANNBENCH_TARGET_VBMI inline void store_bounds_vbmi(const SignScan& scan, const std::uint8_t* block, float* out) {
  __m512 bounds[2];
  block_bounds_vbmi<1>(scan, block, bounds);
  _mm512_storeu_ps(out, bounds[0]);
  _mm512_storeu_ps(out + 16, bounds[1]);
}

}  // namespace sign_scan_detail

ANNBENCH_TARGET_VBMI inline void sign_bounds_vbmi(const SignScan& scan, const std::uint8_t* blocks, std::size_t count,
                                                  float* bounds) {
  using namespace sign_scan_detail;
  const std::size_t bytes = sign_block_bytes(scan.groups);
  std::size_t i = 0;
  for (; i + 2 * table_block <= count; i += 2 * table_block, blocks += 2 * bytes) {
    __m512 values[4];
    block_bounds_vbmi<2>(scan, blocks, values);
    for (std::size_t k = 0; k < 4; ++k) _mm512_storeu_ps(bounds + i + 16 * k, values[k]);
  }
  by_blocks<store_bounds_vbmi>(scan, blocks, count - i, bounds + i);
}
#endif

// ---- NEON: one group at a time; the entries of a stretch are added as bytes

#if ANNBENCH_HAS_NEON
namespace sign_scan_detail {

inline void block_bounds_neon(const SignScan& scan, const std::uint8_t* block, float32x4_t* bounds) {
  uint16x8_t sums[4];
  for (uint16x8_t& sum : sums) sum = vdupq_n_u16(0);
  for (std::size_t begin = 0; begin < scan.used; begin += sign_stretch) {
    const std::size_t end = scan.used - begin < sign_stretch ? scan.used : begin + sign_stretch;
    uint8x16_t low[2], high[2];
    for (int p = 0; p < 2; ++p) low[p] = high[p] = vdupq_n_u8(0);
    for (std::size_t g = begin; g < end; g += 2)
      for (std::size_t p = 0; p < 2; ++p) {
        const uint8x16_t table = vld1q_u8(scan.tables + 16 * (g + p)), codes = vld1q_u8(block + 16 * (g + p));
        low[p] = vaddq_u8(low[p], vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15))));
        high[p] = vaddq_u8(high[p], vqtbl1q_u8(table, vshrq_n_u8(codes, 4)));
      }
    sums[0] = vaddq_u16(sums[0], vaddl_u8(vget_low_u8(low[0]), vget_low_u8(low[1])));
    sums[1] = vaddq_u16(sums[1], vaddl_high_u8(low[0], low[1]));
    sums[2] = vaddq_u16(sums[2], vaddl_u8(vget_low_u8(high[0]), vget_low_u8(high[1])));
    sums[3] = vaddq_u16(sums[3], vaddl_high_u8(high[0], high[1]));
  }
  const std::uint8_t* biases = block + sign_bias_offset(scan.groups);
  const std::uint8_t* words = block + sign_word_offset(scan.groups);
  for (int k = 0; k < 8; ++k) {
    const uint16x8_t pair = sums[k / 2];
    const uint32x4_t sum = k % 2 == 0 ? vmovl_u16(vget_low_u16(pair)) : vmovl_high_u16(pair);
    const uint32x4_t word = vreinterpretq_u32_u8(vld1q_u8(words + 16 * k));
    const float32x4_t bias = vreinterpretq_f32_u8(vld1q_u8(biases + 16 * k));
    const float32x4_t error = vreinterpretq_f32_u32(vshlq_n_u32(word, sign_error_shift));
    const float32x4_t inner = vfmaq_f32(vdupq_n_f32(scan.base), vdupq_n_f32(scan.step), vcvtq_f32_u32(sum));
    const float32x4_t estimate = vfmaq_f32(bias, vreinterpretq_f32_u32(word), inner);
    bounds[k] = vaddq_f32(estimate, vfmaq_f32(vdupq_n_f32(scan.offset), vdupq_n_f32(scan.slack), error));
  }
}

inline void store_bounds_neon(const SignScan& scan, const std::uint8_t* block, float* out) {
  float32x4_t bounds[8];
  block_bounds_neon(scan, block, bounds);
  for (int k = 0; k < 8; ++k) vst1q_f32(out + 4 * k, bounds[k]);
}

}  // namespace sign_scan_detail

inline void sign_bounds_neon(const SignScan& scan, const std::uint8_t* blocks, std::size_t count, float* bounds) {
  sign_scan_detail::by_blocks<sign_scan_detail::store_bounds_neon>(scan, blocks, count, bounds);
}
#endif

// ---- table row

inline constexpr SignBoundsFn sign_bounds_table[isa_count] = {
    sign_bounds_scalar,
#if ANNBENCH_HAS_AVX2
    sign_bounds_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    sign_bounds_vbmi,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    sign_bounds_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
