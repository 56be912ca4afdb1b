// code_dot: one int8 query against rows of unsigned 4- or 8-bit codes, consecutive or gathered.
//
// Contract
//   rows are `bytes` long, a multiple of 64; row i is base + r·bytes, r = rows[i], or r = i where rows is null.
//   nibble_dot   out[i] = Σ_b (row[b] & 15)·query[o(b)] + (row[b] >> 4)·query[o(b) + 64],  o(b) = 128·⌊b/64⌋ + b mod 64
//   byte_dot     out[i] = Σ_b row[b]·query[b]
//   `query` holds 2·bytes (nibble_dot) or bytes (byte_dot) values in −127 … 127. A byte of a row that is no code, such as
//   a factor kept in the same cache line, has query values of 0.
//   bytes <= 2¹⁶, so that no sum leaves int32: every ISA gives the same integers. No alignment is needed; nothing is read
//   beyond a row.
//
// Four rows are reduced together: what is loaded of the query serves all of them, and their sums leave in one register.
// Source of the layout: the permuted nibbles of LVQ's Turbo variant (Aguerrebere et al., 2024), by bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "support/prefetch.hpp"

namespace annbench {

using CodeDotFn = void (*)(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                           const std::uint32_t* rows, std::size_t count, std::int32_t* out);

inline constexpr std::size_t code_line = 64;  // bytes
inline constexpr std::size_t max_code_bytes = std::size_t{1} << 16;

namespace code_dot_detail {

inline const std::uint8_t* row_of(const std::uint8_t* base, std::size_t bytes, const std::uint32_t* rows, std::size_t i) {
  return base + (rows == nullptr ? i : rows[i]) * bytes;
}

using GroupFn = void (*)(const std::int8_t*, const std::uint8_t* const*, std::size_t, std::int32_t*);

// Rows by fours, the rest by ones; gathered ones of the group after next are asked for meanwhile, which pays even where
// who gathers them did so before: other searches may have taken their turns since.
//
// Inlined, so that within a kernel of an instruction set the groups are, too.
template <GroupFn four, GroupFn one>
[[gnu::always_inline]] inline void by_groups(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes, const std::uint32_t* rows,
                      std::size_t count, std::int32_t* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const std::uint8_t* group[4];
    for (std::size_t r = 0; r < 4; ++r) group[r] = row_of(base, bytes, rows, i + r);
    if (rows != nullptr)
      for (std::size_t next = i + 8; next < i + 12 && next < count; ++next) prefetch(row_of(base, bytes, rows, next), bytes);
    four(query, group, bytes, out + i);
  }
  for (; i < count; ++i) {
    const std::uint8_t* const row = row_of(base, bytes, rows, i);
    one(query, &row, bytes, out + i);
  }
}

}  // namespace code_dot_detail

// ---- scalar reference

inline void nibble_dot_scalar(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                              const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = code_dot_detail::row_of(base, bytes, rows, i);
    std::int32_t sum = 0;
    for (std::size_t b = 0; b < bytes; ++b) {
      const std::int8_t* values = query + 128 * (b / 64) + b % 64;
      sum += (row[b] & 15) * values[0] + (row[b] >> 4) * values[64];
    }
    out[i] = sum;
  }
}

inline void byte_dot_scalar(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                            const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = code_dot_detail::row_of(base, bytes, rows, i);
    std::int32_t sum = 0;
    for (std::size_t b = 0; b < bytes; ++b) sum += row[b] * query[b];
    out[i] = sum;
  }
}

// ---- AVX2: products of 4-bit codes stay in int16 for two lines, those of 8-bit codes are widened first

#if ANNBENCH_HAS_AVX2
namespace code_dot_detail {

ANNBENCH_TARGET_AVX2 inline __m256i load_avx2(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

// Adds the int32 lanes of each of four registers: four sums in order.
ANNBENCH_TARGET_AVX2 inline __m128i reduce_avx2(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

// Of half a line (32 bytes) of nibbles: int16 sums of two products of each half-byte, |sum| <= 4·15·127 = 7,620.
ANNBENCH_TARGET_AVX2 inline __m256i nibble_products_avx2(const std::uint8_t* codes, __m256i low, __m256i high) {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i line = load_avx2(codes);
  const __m256i first = _mm256_maddubs_epi16(_mm256_and_si256(line, mask), low);
  const __m256i second = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(line, 4), mask), high);
  return _mm256_add_epi16(first, second);
}

template <int group>
ANNBENCH_TARGET_AVX2 inline void nibble_group_avx2(const std::int8_t* query, const std::uint8_t* const* row,
                                                   std::size_t bytes, std::int32_t* out) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t b = 0; b < bytes; b += code_line, query += 2 * code_line) {
    const __m256i low0 = load_avx2(query), low1 = load_avx2(query + 32);
    const __m256i high0 = load_avx2(query + 64), high1 = load_avx2(query + 96);
    for (int r = 0; r < group; ++r) {
      // |…| <= 15,240: within int16.
      const __m256i products = _mm256_add_epi16(nibble_products_avx2(row[r] + b, low0, high0),
                                                nibble_products_avx2(row[r] + b + 32, low1, high1));
      sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(products, ones));
    }
  }
  alignas(16) std::int32_t four[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(four), reduce_avx2(sums[0], sums[1], sums[2], sums[3]));
  for (int r = 0; r < group; ++r) out[r] = four[r];
}

template <int group>
ANNBENCH_TARGET_AVX2 inline void byte_group_avx2(const std::int8_t* query, const std::uint8_t* const* row,
                                                 std::size_t bytes, std::int32_t* out) {
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t b = 0; b < bytes; b += 16) {
    const __m256i q = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query + b)));
    for (int r = 0; r < group; ++r) {
      const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + b)));
      sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(x, q));
    }
  }
  alignas(16) std::int32_t four[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(four), reduce_avx2(sums[0], sums[1], sums[2], sums[3]));
  for (int r = 0; r < group; ++r) out[r] = four[r];
}

}  // namespace code_dot_detail

inline void nibble_dot_avx2(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                            const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  by_groups<nibble_group_avx2<4>, nibble_group_avx2<1>>(query, base, bytes, rows, count, out);
}

inline void byte_dot_avx2(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                          const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  by_groups<byte_group_avx2<4>, byte_group_avx2<1>>(query, base, bytes, rows, count, out);
}
#endif

// ---- AVX-512 with VNNI: a line at a time, one instruction multiplies and adds it. Without VNNI, AVX2 is as good.

#if ANNBENCH_HAS_AVX512
namespace code_dot_detail {

// The sums of four rows side by side, of every 128-bit lane apart.
ANNBENCH_TARGET_VNNI inline __m512i sums_in_lanes(__m512i a, __m512i b, __m512i c, __m512i d) {
  // Of a and b in turns, of c and d; then of all four.
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

// Four sums in order.
ANNBENCH_TARGET_VNNI inline __m128i reduce_vnni(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i abcd = sums_in_lanes(a, b, c, d);
  const __m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

// What a line of a row adds to its sums; `low` and `high` are the query's values for it.
ANNBENCH_TARGET_VNNI inline __m512i add_nibbles(__m512i sums, __m512i line, __m512i low, __m512i high) {
  const __m512i mask = _mm512_set1_epi8(15);
  sums = _mm512_dpbusd_epi32(sums, _mm512_and_si512(line, mask), low);
  return _mm512_dpbusd_epi32(sums, _mm512_and_si512(_mm512_srli_epi16(line, 4), mask), high);
}

template <int group, bool nibbles>
ANNBENCH_TARGET_VNNI inline void group_vnni(const std::int8_t* query, const std::uint8_t* const* row, std::size_t bytes,
                                            std::int32_t* out) {
  __m512i sums[4];
  ANNBENCH_UNROLL
  for (int r = 0; r < 4; ++r) sums[r] = _mm512_setzero_si512();
  for (std::size_t b = 0; b < bytes; b += code_line) {
    const __m512i low = _mm512_loadu_si512(query + (nibbles ? 2 : 1) * b);
    const __m512i high = nibbles ? _mm512_loadu_si512(query + 2 * b + code_line) : low;
    ANNBENCH_UNROLL
    for (int r = 0; r < group; ++r) {
      const __m512i line = _mm512_loadu_si512(row[r] + b);
      sums[r] = nibbles ? add_nibbles(sums[r], line, low, high) : _mm512_dpbusd_epi32(sums[r], line, low);
    }
  }
  if constexpr (group == 4)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), reduce_vnni(sums[0], sums[1], sums[2], sums[3]));
  else
    *out = _mm512_reduce_add_epi32(sums[0]);
}

}  // namespace code_dot_detail

ANNBENCH_TARGET_VNNI inline void nibble_dot_vnni(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                                                 const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  by_groups<group_vnni<4, true>, group_vnni<1, true>>(query, base, bytes, rows, count, out);
}

ANNBENCH_TARGET_VNNI inline void byte_dot_vnni(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                                               const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  by_groups<group_vnni<4, false>, group_vnni<1, false>>(query, base, bytes, rows, count, out);
}
#endif

// ---- NEON: codes of 4 bits are small as signed bytes too, and a line of their products stays in int16

#if ANNBENCH_HAS_NEON
namespace code_dot_detail {

inline std::int32_t nibble_row_neon(const std::int8_t* query, const std::uint8_t* row, std::size_t bytes) {
  const uint8x16_t mask = vdupq_n_u8(15);
  int32x4_t sum = vdupq_n_s32(0);
  for (std::size_t b = 0; b < bytes; b += code_line, query += 2 * code_line) {
    int16x8_t products = vdupq_n_s16(0);  // 16 products of at most 15·127 a lane: |…| <= 30,480
    for (std::size_t i = 0; i < code_line; i += 16) {
      const uint8x16_t codes = vld1q_u8(row + b + i);
      const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, mask)), high = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
      const int8x16_t q_low = vld1q_s8(query + i), q_high = vld1q_s8(query + 64 + i);
      products = vmlal_s8(products, vget_low_s8(low), vget_low_s8(q_low));
      products = vmlal_high_s8(products, low, q_low);
      products = vmlal_s8(products, vget_low_s8(high), vget_low_s8(q_high));
      products = vmlal_high_s8(products, high, q_high);
    }
    sum = vpadalq_s16(sum, products);
  }
  return vaddvq_s32(sum);
}

inline std::int32_t byte_row_neon(const std::int8_t* query, const std::uint8_t* row, std::size_t bytes) {
  int32x4_t even = vdupq_n_s32(0), odd = vdupq_n_s32(0);
  for (std::size_t b = 0; b < bytes; b += 16) {
    const uint8x16_t codes = vld1q_u8(row + b);
    const int8x16_t q = vld1q_s8(query + b);
    const int16x8_t x0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes))), q0 = vmovl_s8(vget_low_s8(q));
    const int16x8_t x1 = vreinterpretq_s16_u16(vmovl_high_u8(codes)), q1 = vmovl_high_s8(q);
    even = vmlal_s16(even, vget_low_s16(x0), vget_low_s16(q0));
    odd = vmlal_high_s16(odd, x0, q0);
    even = vmlal_s16(even, vget_low_s16(x1), vget_low_s16(q1));
    odd = vmlal_high_s16(odd, x1, q1);
  }
  return vaddvq_s32(vaddq_s32(even, odd));
}

}  // namespace code_dot_detail

inline void nibble_dot_neon(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                            const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  for (std::size_t i = 0; i < count; ++i) out[i] = nibble_row_neon(query, row_of(base, bytes, rows, i), bytes);
}

inline void byte_dot_neon(const std::int8_t* query, const std::uint8_t* base, std::size_t bytes,
                          const std::uint32_t* rows, std::size_t count, std::int32_t* out) {
  using namespace code_dot_detail;
  for (std::size_t i = 0; i < count; ++i) out[i] = byte_row_neon(query, row_of(base, bytes, rows, i), bytes);
}
#endif

// ---- table row

inline constexpr CodeDotFn nibble_dot_table[isa_count] = {
    nibble_dot_scalar,
#if ANNBENCH_HAS_AVX2
    nibble_dot_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    nibble_dot_vnni,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    nibble_dot_neon,
#else
    nullptr,
#endif
};

inline constexpr CodeDotFn byte_dot_table[isa_count] = {
    byte_dot_scalar,
#if ANNBENCH_HAS_AVX2
    byte_dot_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    byte_dot_vnni,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    byte_dot_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
