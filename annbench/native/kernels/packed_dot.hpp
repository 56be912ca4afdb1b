// packed_dot: one int8 query against rows of unsigned codes of 1 to 7 bits, consecutive or gathered, in no more memory than
// the bits need.
//
// Contract
//   A code of `bits` bits is cut into fields of 4, 2 and 1 bits, those that add up to `bits`, the widest lowest. Each field
//   lies in a plane of its own, in this order; a plane of width w holds 128/w dimensions in every 16 bytes: dimension
//   16·s + b of them is bits w·s … w·s + w − 1 of byte b. Dimensions so lie the same way in all planes, and a query is
//   read in order.
//   out[i] = Σ_{j < dim} code_ij·query[j], of the row at base + r·stride, r = rows[i], or r = i where rows is null.
//   `query` holds packed_query_dim(dim) values in −127 … 127, those from `dim` on 0, whatever the bits against them are.
//   dim <= 2¹⁷, so that no sum leaves int32: every ISA gives the same integers. No alignment is needed; of a row
//   packed_plane_bytes() in all are read.
//
// Four rows are reduced together, as in kernels/code_dot.hpp. Half a register holds 16 dimensions of one field: 16 bytes are
// copied to both halves and shifted by another count in either.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/code_dot.hpp"
#include "kernels/isa.hpp"
#include "support/prefetch.hpp"

namespace annbench {

// The shape of the rows that a call looks at.
struct PackedRows {
  const std::uint8_t* base;
  std::size_t stride;  // bytes
  std::size_t dim;
  int bits;
};

using PackedDotFn = void (*)(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered,
                             std::size_t count, std::int32_t* out);

inline constexpr std::size_t max_packed_dim = std::size_t{1} << 17;
inline constexpr int packed_widths[] = {4, 2, 1};

// The bytes of a plane of width w, and of all planes of codes of `bits` bits.
inline constexpr std::size_t packed_plane(std::size_t dim, int width) {
  const std::size_t dims = 128 / static_cast<std::size_t>(width);
  return (dim + dims - 1) / dims * 16;
}
inline constexpr std::size_t packed_plane_bytes(std::size_t dim, int bits) {
  std::size_t bytes = 0;
  for (const int width : packed_widths)
    if (bits & width) bytes += packed_plane(dim, width);
  return bytes;
}
inline constexpr std::size_t packed_query_dim(std::size_t dim) { return (dim + 127) / 128 * 128; }

// Writes dim codes; the planes' other bits become 0.
inline void put_packed(const std::uint8_t* codes, std::size_t dim, int bits, std::uint8_t* row) {
  int shift = 0;
  for (const int width : packed_widths) {
    if (!(bits & width)) continue;
    const std::size_t dims = 128 / static_cast<std::size_t>(width), bytes = packed_plane(dim, width);
    for (std::size_t b = 0; b < bytes; ++b) row[b] = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const int field = (codes[j] >> shift) & ((1 << width) - 1);
      std::uint8_t& byte = row[j / dims * 16 + j % 16];
      byte = static_cast<std::uint8_t>(byte | field << (static_cast<int>(j % dims / 16) * width));
    }
    row += bytes;
    shift += width;
  }
}

// Reads them back.
inline void get_packed(const std::uint8_t* row, std::size_t dim, int bits, std::uint8_t* codes) {
  for (std::size_t j = 0; j < dim; ++j) codes[j] = 0;
  int shift = 0;
  for (const int width : packed_widths) {
    if (!(bits & width)) continue;
    const std::size_t dims = 128 / static_cast<std::size_t>(width);
    for (std::size_t j = 0; j < dim; ++j) {
      const int field = (row[j / dims * 16 + j % 16] >> (static_cast<int>(j % dims / 16) * width)) & ((1 << width) - 1);
      codes[j] = static_cast<std::uint8_t>(codes[j] | field << shift);
    }
    row += packed_plane(dim, width);
    shift += width;
  }
}

// ---- scalar reference

inline void packed_dot_scalar(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered,
                              std::size_t count, std::int32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* plane = code_dot_detail::row_of(rows.base, rows.stride, gathered, i);
    std::int32_t sum = 0;
    int shift = 0;
    for (const int width : packed_widths) {
      if (!(rows.bits & width)) continue;
      const std::size_t dims = 128 / static_cast<std::size_t>(width);
      std::int32_t products = 0;
      for (std::size_t j = 0; j < rows.dim; ++j) {
        const int field = plane[j / dims * 16 + j % 16] >> (static_cast<int>(j % dims / 16) * width);
        products += (field & ((1 << width) - 1)) * query[j];
      }
      sum += products * (1 << shift);
      plane += packed_plane(rows.dim, width);
      shift += width;
    }
    out[i] = sum;
  }
}

namespace packed_dot_detail {

using GroupFn = void (*)(const std::int8_t*, const PackedRows&, const std::uint8_t* const*, std::int32_t*);

// As code_dot_detail::by_groups.
template <GroupFn four, GroupFn one>
inline void by_groups(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered, std::size_t count,
                      std::int32_t* out) {
  using code_dot_detail::row_of;
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const std::uint8_t* group[4];
    for (std::size_t r = 0; r < 4; ++r) group[r] = row_of(rows.base, rows.stride, gathered, i + r);
    if (gathered != nullptr)
      for (std::size_t next = i + 8; next < i + 12 && next < count; ++next)
        prefetch(row_of(rows.base, rows.stride, gathered, next), rows.stride);
    four(query, rows, group, out + i);
  }
  for (; i < count; ++i) {
    const std::uint8_t* const row = row_of(rows.base, rows.stride, gathered, i);
    one(query, rows, &row, out + i);
  }
}

// The products of two fields side by side that one lane of 16 bits takes: |…| <= 2·(2^w − 1)·127 each.
inline constexpr std::size_t fitting(int width) { return 32767 / (2 * ((1u << width) - 1) * 127); }

}  // namespace packed_dot_detail

// ---- AVX2

#if ANNBENCH_HAS_AVX2
namespace packed_dot_detail {

// Adds 2^shift times the products of a plane to each row's sums.
template <int width, int group>
ANNBENCH_TARGET_AVX2 inline void plane_avx2(const std::int8_t* query, const std::uint8_t* const* row, std::size_t offset,
                                            std::size_t blocks, int shift, __m256i* sums) {
  constexpr int pairs = 4 / width;  // of sixteens of dimensions in a block of 16 bytes
  constexpr std::size_t at_once = fitting(width) / pairs;
  const __m256i mask = _mm256_set1_epi8((1 << width) - 1), ones = _mm256_set1_epi16(1);
  const __m256i apart = _mm256_set_epi32(width, width, width, width, 0, 0, 0, 0);
  const __m128i by = _mm_cvtsi32_si128(shift);
  for (std::size_t first = 0; first < blocks; first += at_once) {
    const std::size_t end = blocks - first < at_once ? blocks : first + at_once;
    __m256i products[group];
    for (__m256i& one : products) one = _mm256_setzero_si256();
    for (std::size_t b = first; b < end; ++b, query += 32 * pairs) {
      for (int r = 0; r < group; ++r) {
        const auto* codes = reinterpret_cast<const __m128i*>(row[r] + offset + 16 * b);
        __m256i fields = _mm256_srlv_epi32(_mm256_broadcastsi128_si256(_mm_loadu_si128(codes)), apart);
        for (int p = 0; p < pairs; ++p) {
          const __m256i q = code_dot_detail::load_avx2(query + 32 * p);
          products[r] = _mm256_add_epi16(products[r], _mm256_maddubs_epi16(_mm256_and_si256(fields, mask), q));
          if (p + 1 < pairs) fields = _mm256_srli_epi32(fields, 2 * width);
        }
      }
    }
    for (int r = 0; r < group; ++r)
      sums[r] = _mm256_add_epi32(sums[r], _mm256_sll_epi32(_mm256_madd_epi16(products[r], ones), by));
  }
}

template <int group>
ANNBENCH_TARGET_AVX2 inline void group_avx2(const std::int8_t* query, const PackedRows& rows,
                                            const std::uint8_t* const* row, std::int32_t* out) {
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  std::size_t offset = 0;
  int shift = 0;
  if (rows.bits & 4) {
    const std::size_t bytes = packed_plane(rows.dim, 4);
    plane_avx2<4, group>(query, row, offset, bytes / 16, shift, sums);
    offset += bytes, shift += 4;
  }
  if (rows.bits & 2) {
    const std::size_t bytes = packed_plane(rows.dim, 2);
    plane_avx2<2, group>(query, row, offset, bytes / 16, shift, sums);
    offset += bytes, shift += 2;
  }
  if (rows.bits & 1) plane_avx2<1, group>(query, row, offset, packed_plane(rows.dim, 1) / 16, shift, sums);
  alignas(16) std::int32_t four[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(four), code_dot_detail::reduce_avx2(sums[0], sums[1], sums[2], sums[3]));
  for (int r = 0; r < group; ++r) out[r] = four[r];
}

}  // namespace packed_dot_detail

inline void packed_dot_avx2(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered,
                            std::size_t count, std::int32_t* out) {
  using namespace packed_dot_detail;
  by_groups<group_avx2<4>, group_avx2<1>>(query, rows, gathered, count, out);
}
#endif

// ---- AVX-512 with VNNI: four sixteens of dimensions in a register

#if ANNBENCH_HAS_AVX512
namespace packed_dot_detail {

template <int width, int group>
ANNBENCH_TARGET_VNNI inline void plane_vnni(const std::int8_t* query, const std::uint8_t* const* row, std::size_t offset,
                                            std::size_t blocks, int shift, __m512i* sums) {
  const __m512i mask = _mm512_set1_epi8((1 << width) - 1);
  const __m128i by = _mm_cvtsi32_si128(shift);
  __m512i products[group];
  ANNBENCH_UNROLL
  for (int r = 0; r < group; ++r) products[r] = _mm512_setzero_si512();
  if constexpr (width == 4) {
    // Two blocks: the sixteens 0 and 1 of the first, then of the second.
    const __m512i apart = _mm512_set_epi64(0x400000004, 0x400000004, 0, 0, 0x400000004, 0x400000004, 0, 0);
    const __m512i places = _mm512_set_epi64(3, 2, 3, 2, 1, 0, 1, 0);
    for (std::size_t b = 0; b < blocks; b += 2, query += 64) {
      const bool two = b + 1 < blocks;  // else what stands in for the second meets zeros of the query
      const __m512i q = _mm512_loadu_si512(query);
      ANNBENCH_UNROLL
      for (int r = 0; r < group; ++r) {
        const std::uint8_t* codes = row[r] + offset + 16 * b;
        const __m256i line = two ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))
                                 : _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
        const __m512i spread = _mm512_permutexvar_epi64(places, _mm512_castsi256_si512(line));
        products[r] = _mm512_dpbusd_epi32(products[r], _mm512_and_si512(_mm512_srlv_epi32(spread, apart), mask), q);
      }
    }
  } else {
    constexpr long long one = 0x100000001LL * width;
    const __m512i apart = _mm512_set_epi64(3 * one, 3 * one, 2 * one, 2 * one, one, one, 0, 0);
    for (std::size_t b = 0; b < blocks; ++b, query += 128 / width) {
      ANNBENCH_UNROLL
      for (int r = 0; r < group; ++r) {
        const auto* codes = reinterpret_cast<const __m128i*>(row[r] + offset + 16 * b);
        const __m512i fields = _mm512_srlv_epi32(_mm512_broadcast_i32x4(_mm_loadu_si128(codes)), apart);
        products[r] = _mm512_dpbusd_epi32(products[r], _mm512_and_si512(fields, mask), _mm512_loadu_si512(query));
        if constexpr (width == 1)
          products[r] = _mm512_dpbusd_epi32(products[r], _mm512_and_si512(_mm512_srli_epi16(fields, 4), mask),
                                            _mm512_loadu_si512(query + 64));
      }
    }
  }
  ANNBENCH_UNROLL
  for (int r = 0; r < group; ++r) sums[r] = _mm512_add_epi32(sums[r], _mm512_sll_epi32(products[r], by));
}

template <int group>
ANNBENCH_TARGET_VNNI inline void group_vnni(const std::int8_t* query, const PackedRows& rows,
                                            const std::uint8_t* const* row, std::int32_t* out) {
  __m512i sums[4];
  ANNBENCH_UNROLL
  for (int r = 0; r < 4; ++r) sums[r] = _mm512_setzero_si512();
  std::size_t offset = 0;
  int shift = 0;
  if (rows.bits & 4) {
    const std::size_t bytes = packed_plane(rows.dim, 4);
    plane_vnni<4, group>(query, row, offset, bytes / 16, shift, sums);
    offset += bytes, shift += 4;
  }
  if (rows.bits & 2) {
    const std::size_t bytes = packed_plane(rows.dim, 2);
    plane_vnni<2, group>(query, row, offset, bytes / 16, shift, sums);
    offset += bytes, shift += 2;
  }
  if (rows.bits & 1) plane_vnni<1, group>(query, row, offset, packed_plane(rows.dim, 1) / 16, shift, sums);
  alignas(16) std::int32_t four[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(four), code_dot_detail::reduce_vnni(sums[0], sums[1], sums[2], sums[3]));
  for (int r = 0; r < group; ++r) out[r] = four[r];
}

}  // namespace packed_dot_detail

inline void packed_dot_vnni(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered,
                            std::size_t count, std::int32_t* out) {
  using namespace packed_dot_detail;
  by_groups<group_vnni<4>, group_vnni<1>>(query, rows, gathered, count, out);
}
#endif

// ---- NEON: the products of a block stay in int16

#if ANNBENCH_HAS_NEON
namespace packed_dot_detail {

template <int width>
inline std::int32_t plane_neon(const std::int8_t* query, const std::uint8_t* plane, std::size_t blocks) {
  const uint8x16_t mask = vdupq_n_u8((1 << width) - 1);
  int32x4_t sum = vdupq_n_s32(0);
  for (std::size_t b = 0; b < blocks; ++b) {
    const uint8x16_t codes = vld1q_u8(plane + 16 * b);
    int16x8_t products = vdupq_n_s16(0);
    for (int s = 0; s < 8 / width; ++s, query += 16) {
      const uint8x16_t shifted = vshlq_u8(codes, vdupq_n_s8(static_cast<std::int8_t>(-width * s)));
      const int8x16_t fields = vreinterpretq_s8_u8(vandq_u8(shifted, mask)), q = vld1q_s8(query);
      products = vmlal_s8(products, vget_low_s8(fields), vget_low_s8(q));
      products = vmlal_high_s8(products, fields, q);
    }
    sum = vpadalq_s16(sum, products);
  }
  return vaddvq_s32(sum);
}

inline std::int32_t row_neon(const std::int8_t* query, const PackedRows& rows, const std::uint8_t* row) {
  std::int32_t sum = 0;
  int shift = 0;
  if (rows.bits & 4) {
    sum += plane_neon<4>(query, row, packed_plane(rows.dim, 4) / 16);
    row += packed_plane(rows.dim, 4), shift += 4;
  }
  if (rows.bits & 2) {
    sum += plane_neon<2>(query, row, packed_plane(rows.dim, 2) / 16) * (1 << shift);
    row += packed_plane(rows.dim, 2), shift += 2;
  }
  if (rows.bits & 1) sum += plane_neon<1>(query, row, packed_plane(rows.dim, 1) / 16) * (1 << shift);
  return sum;
}

}  // namespace packed_dot_detail

inline void packed_dot_neon(const std::int8_t* query, const PackedRows& rows, const std::uint32_t* gathered,
                            std::size_t count, std::int32_t* out) {
  for (std::size_t i = 0; i < count; ++i)
    out[i] = packed_dot_detail::row_neon(query, rows, code_dot_detail::row_of(rows.base, rows.stride, gathered, i));
}
#endif

// ---- table row

inline constexpr PackedDotFn packed_dot_table[isa_count] = {
    packed_dot_scalar,
#if ANNBENCH_HAS_AVX2
    packed_dot_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    packed_dot_vnni,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    packed_dot_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
