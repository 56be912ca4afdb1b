// plane_dot: documents and a query as bit planes; the exact dot product of their unsigned codes by counting bits.
//
// Contract
//   A plane holds one bit of every dimension in `words` words of 8 bytes. Planes follow each other without a gap, the most
//   significant first; row i begins at base + r·stride bytes, r = rows[i], or r = i where rows is null.
//   out[i] = Σ_{a < planes} Σ_{b < query_planes} 2^(planes − 1 − a) · 2^(query_planes − 1 − b)
//                                                · popcount(plane a of the row & plane b of the query)
//          = Σ_j code_j · query_j
//   1 <= planes, query_planes <= 8 and words <= 1,024, so that no sum leaves uint32: every ISA gives the same integers.
//   No alignment is needed; nothing is read beyond the planes asked for.
//
// Most significant first, because fewer planes than the row holds are then the dot product of the leading bits of its
// codes: a coarse answer from the first bytes of a row, with the rest at base + 8·words·(planes read) when it is wanted.
// Words of 8 bytes and not lines of 64, because a line would double a code of 256 dimensions and 1 bit.
//
// Adding planes bit by bit before they are counted (Harley–Seal) saves nothing here: beyond one plane of the query, every
// count it avoids costs an adder of as many instructions. Source of the product by planes: RaBitQ (Gao and Long, 2024).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa.hpp"

namespace annbench {

struct PlaneShape {
  std::size_t words;         // of 8 bytes, in a plane
  std::size_t planes;        // of a row, that are read
  std::size_t query_planes;
  std::size_t stride;        // bytes from a row to the next
};

using PlaneDotFn = void (*)(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                            const std::uint32_t* rows, std::size_t count, std::uint32_t* out);

inline constexpr std::size_t max_plane_words = 1024;
inline constexpr std::size_t max_planes = 8;

inline constexpr std::size_t plane_words(std::size_t dim) { return (dim + 63) / 64; }

// Writes the planes of `dim` codes below 2^planes, plane_words(dim) words each. Dimension j is bit 7 − j mod 8 of byte
// ⌊j/8⌋, the order of numpy.packbits, so that a row of packed bits filled to whole words is a plane as it stands.
inline void pack_planes(const std::uint8_t* codes, std::size_t dim, std::size_t planes, std::uint8_t* row) {
  const std::size_t plane_bytes = 8 * plane_words(dim);
  for (std::size_t byte = 0; byte < plane_bytes; ++byte) {
    std::uint64_t eight = 0;  // the code of dimension 8·byte + i in byte i
    for (std::size_t i = 0; i < 8 && 8 * byte + i < dim; ++i)
      eight |= static_cast<std::uint64_t>(codes[8 * byte + i]) << (8 * i);
    for (std::size_t a = 0; a < planes; ++a) {
      // The product moves bit 8·i to bit 63 − i; no two of its terms meet.
      const std::uint64_t bits = (eight >> (planes - 1 - a)) & 0x0101010101010101u;
      row[a * plane_bytes + byte] = static_cast<std::uint8_t>((bits * 0x8040201008040201u) >> 56);
    }
  }
}

// Reads the codes back.
inline void unpack_planes(const std::uint8_t* row, std::size_t dim, std::size_t planes, std::uint8_t* codes) {
  const std::size_t plane_bytes = 8 * plane_words(dim);
  for (std::size_t j = 0; j < dim; ++j) {
    unsigned code = 0;
    for (std::size_t a = 0; a < planes; ++a) code = 2 * code + ((row[a * plane_bytes + j / 8] >> (7 - j % 8)) & 1u);
    codes[j] = static_cast<std::uint8_t>(code);
  }
}

namespace plane_dot_detail {

inline const std::uint8_t* row_of(const PlaneShape& shape, const std::uint8_t* base, const std::uint32_t* rows,
                                  std::size_t i) {
  return base + (rows == nullptr ? i : rows[i]) * shape.stride;
}

// Asks for a gathered row some rows ahead of row i.
inline void ask_ahead(const PlaneShape& shape, const std::uint8_t* base, const std::uint32_t* rows, std::size_t i,
                      std::size_t count) {
  constexpr std::size_t ahead = 8, most = 1024;  // bytes; beyond, the hardware has understood
  if (rows == nullptr || i + ahead >= count) return;
  const std::uint8_t* row = row_of(shape, base, rows, i + ahead);
  const std::size_t bytes = 8 * shape.words * shape.planes;
  for (std::size_t b = 0; b < bytes && b < most; b += 64) __builtin_prefetch(row + b);
  if (bytes > 0) __builtin_prefetch(row + bytes - 1);  // rows need not begin on a line
}

inline std::uint64_t word_at(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// The weight, as a power of two, of plane a of a row against the last plane of the query's chunk of up to four from b on.
inline int weight_of(const PlaneShape& shape, std::size_t a, std::size_t b) {
  const std::size_t left = shape.query_planes - b;
  return static_cast<int>(shape.planes - 1 - a + (left > 4 ? left - 4 : 0));
}

// The commonest shape by far, documents of 1 bit and a query of 4: without loops over planes it takes a fifth less time.
inline bool is_one_by_four(const PlaneShape& shape) { return shape.planes == 1 && shape.query_planes == 4; }

using GroupFn = void (*)(const PlaneShape&, const std::uint8_t*, const std::uint8_t* const*, std::uint32_t*);

// Rows by groups, the rest by ones.
template <std::size_t group, GroupFn many, GroupFn one>
inline void by_groups(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                      const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  std::size_t i = 0;
  for (; i + group <= count; i += group) {
    const std::uint8_t* row[group];
    for (std::size_t r = 0; r < group; ++r) row[r] = row_of(shape, base, rows, i + r);
    for (std::size_t r = 0; r < group; ++r) ask_ahead(shape, base, rows, i + r, count);
    many(shape, query, row, out + i);
  }
  for (; i < count; ++i) {
    const std::uint8_t* const row = row_of(shape, base, rows, i);
    one(shape, query, &row, out + i);
  }
}

}  // namespace plane_dot_detail

// ---- scalar reference

inline void plane_dot_scalar(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                             const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  using namespace plane_dot_detail;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = row_of(shape, base, rows, i);
    std::uint64_t sum = 0;
    for (std::size_t a = 0; a < shape.planes; ++a)
      for (std::size_t b = 0; b < shape.query_planes; ++b) {
        std::uint64_t bits = 0;
        for (std::size_t w = 0; w < shape.words; ++w)
          bits += static_cast<std::uint64_t>(std::popcount(word_at(row + 8 * (a * shape.words + w)) &
                                                           word_at(query + 8 * (b * shape.words + w))));
        sum += bits << (shape.planes - 1 - a + shape.query_planes - 1 - b);
      }
    out[i] = static_cast<std::uint32_t>(sum);
  }
}

// ---- word by word, for short planes on x86, where setting up vectors and adding up their lanes takes longer than counting

#if ANNBENCH_HAS_AVX2 || ANNBENCH_HAS_AVX512
#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_PLANES_POPCNT __attribute__((target("popcnt")))
#else
#define ANNBENCH_TARGET_PLANES_POPCNT
#endif
namespace plane_dot_detail {

// Queries of exactly `known` planes, or of any number where that is 0.
template <std::size_t known>
ANNBENCH_TARGET_PLANES_POPCNT void words_popcnt(const PlaneShape& shape, const std::uint8_t* query,
                                                const std::uint8_t* base, const std::uint32_t* rows, std::size_t count,
                                                std::uint32_t* out) {
  const std::size_t words = shape.words, query_planes = known != 0 ? known : shape.query_planes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* plane = row_of(shape, base, rows, i);
    ask_ahead(shape, base, rows, i, count);
    std::uint64_t sum = 0;
    for (std::size_t a = 0; a < shape.planes; ++a, plane += 8 * words) {
      std::uint64_t counts[max_planes] = {};
      for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t bits = word_at(plane + 8 * w);
        for (std::size_t b = 0; b < query_planes; ++b)
          counts[b] += static_cast<std::uint64_t>(__builtin_popcountll(bits & word_at(query + 8 * (b * words + w))));
      }
      std::uint64_t weighted = 0;
      for (std::size_t b = 0; b < query_planes; ++b) weighted = 2 * weighted + counts[b];
      sum = 2 * sum + weighted;
    }
    out[i] = static_cast<std::uint32_t>(sum);
  }
}

inline void short_planes(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                         const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  switch (shape.query_planes) {
    case 1: return words_popcnt<1>(shape, query, base, rows, count, out);
    case 4: return words_popcnt<4>(shape, query, base, rows, count, out);
    default: return words_popcnt<0>(shape, query, base, rows, count, out);
  }
}

}  // namespace plane_dot_detail
#endif

// ---- AVX2: up to four planes of the query at a time. Bits of a nibble by a table in a register (Muła, Kurz, Lemire,
// Computer Journal 2018), one table for each plane that holds its weight already; words beyond a vector one by one

#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_PLANES_AVX2 __attribute__((target("avx2,popcnt")))
namespace plane_dot_detail {

inline constexpr std::size_t short_words_avx2 = 8;  // measured on Zen 3: vectors gain from 12 words on, lose below 8

ANNBENCH_TARGET_PLANES_AVX2 inline __m256i load_avx2(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Σ_{b < chunk} 2^(chunk − 1 − b)·popcount(row & query plane b) for the plane at `offset` of each row, times 2^weight, added
// to `totals` for what whole vectors hold, to `tails` for the rest. A byte of the weighted counts is at most 8·15.
template <int group, int chunk>
ANNBENCH_TARGET_PLANES_AVX2 inline void chunk_avx2(std::size_t words, const std::uint8_t* query,
                                                   const std::uint8_t* const* row, std::size_t offset, int weight,
                                                   __m256i* totals, std::uint64_t* tails) {
  const __m256i low = _mm256_set1_epi8(0x0f), zero = _mm256_setzero_si256();
  __m256i sums[group];
  for (__m256i& sum : sums) sum = zero;
  __m256i tables[chunk];
  tables[chunk - 1] = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                       0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  for (int b = chunk - 2; b >= 0; --b) tables[b] = _mm256_add_epi8(tables[b + 1], tables[b + 1]);
  std::size_t w = 0;
  for (; w + 4 <= words; w += 4) {
    __m256i lower[group], upper[group], counts[group];
    for (int r = 0; r < group; ++r) {
      const __m256i bits = load_avx2(row[r] + offset + 8 * w);
      lower[r] = _mm256_and_si256(bits, low);
      upper[r] = _mm256_and_si256(_mm256_srli_epi16(bits, 4), low);
      counts[r] = zero;
    }
    for (int b = 0; b < chunk; ++b) {
      const __m256i q = load_avx2(query + 8 * (static_cast<std::size_t>(b) * words + w));
      const __m256i q_upper = _mm256_srli_epi16(q, 4);  // what crosses bytes meets zeros in `upper`
      for (int r = 0; r < group; ++r) {
        counts[r] = _mm256_add_epi8(counts[r], _mm256_shuffle_epi8(tables[b], _mm256_and_si256(lower[r], q)));
        counts[r] = _mm256_add_epi8(counts[r], _mm256_shuffle_epi8(tables[b], _mm256_and_si256(upper[r], q_upper)));
      }
    }
    for (int r = 0; r < group; ++r) sums[r] = _mm256_add_epi64(sums[r], _mm256_sad_epu8(counts[r], zero));
  }
  for (int r = 0; r < group; ++r)
    totals[r] = _mm256_add_epi64(totals[r], _mm256_sll_epi64(sums[r], _mm_cvtsi32_si128(weight)));
  for (; w < words; ++w)
    for (int b = 0; b < chunk; ++b) {
      const std::uint64_t q = word_at(query + 8 * (static_cast<std::size_t>(b) * words + w));
      for (int r = 0; r < group; ++r)
        tails[r] += static_cast<std::uint64_t>(__builtin_popcountll(q & word_at(row[r] + offset + 8 * w)))
                    << (chunk - 1 - b + weight);
    }
}

template <int group, bool one_by_four>
ANNBENCH_TARGET_PLANES_AVX2 inline void group_avx2(const PlaneShape& shape, const std::uint8_t* query,
                                                   const std::uint8_t* const* row, std::uint32_t* out) {
  __m256i totals[group];
  std::uint64_t tails[group] = {};
  for (__m256i& total : totals) total = _mm256_setzero_si256();
  if constexpr (one_by_four) chunk_avx2<group, 4>(shape.words, query, row, 0, 0, totals, tails);
  for (std::size_t a = 0; !one_by_four && a < shape.planes; ++a) {
    const std::size_t offset = 8 * a * shape.words;
    for (std::size_t b = 0; b < shape.query_planes; b += 4) {
      const std::uint8_t* chunk = query + 8 * b * shape.words;
      const int weight = weight_of(shape, a, b);
      switch (shape.query_planes - b) {
        case 1: chunk_avx2<group, 1>(shape.words, chunk, row, offset, weight, totals, tails); break;
        case 2: chunk_avx2<group, 2>(shape.words, chunk, row, offset, weight, totals, tails); break;
        case 3: chunk_avx2<group, 3>(shape.words, chunk, row, offset, weight, totals, tails); break;
        default: chunk_avx2<group, 4>(shape.words, chunk, row, offset, weight, totals, tails);
      }
    }
  }
  for (int r = 0; r < group; ++r) {
    const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(totals[r]), _mm256_extracti128_si256(totals[r], 1));
    const __m128i sum = _mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves));
    out[r] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(_mm_cvtsi128_si64(sum)) + tails[r]);
  }
}

}  // namespace plane_dot_detail

inline void plane_dot_avx2(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                           const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  using namespace plane_dot_detail;
  if (shape.words < short_words_avx2) return short_planes(shape, query, base, rows, count, out);
  if (is_one_by_four(shape))
    by_groups<2, group_avx2<2, true>, group_avx2<1, true>>(shape, query, base, rows, count, out);
  else
    by_groups<2, group_avx2<2, false>, group_avx2<1, false>>(shape, query, base, rows, count, out);
}
#endif

// ---- AVX-512 with VPOPCNTDQ: eight words at a time, the last ones by a mask; every plane of the query has its own sums.
// Without VPOPCNTDQ, AVX2 is as good

#if ANNBENCH_HAS_AVX512
#if defined(ANNBENCH_EMULATE_AVX512)
#define ANNBENCH_TARGET_PLANES_AVX512
#else
#define ANNBENCH_TARGET_PLANES_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,popcnt")))
#endif
namespace plane_dot_detail {

inline constexpr std::size_t short_words_avx512 = 3;  // by the number of instructions

// As chunk_avx2, without a tail.
template <int group, int chunk>
ANNBENCH_TARGET_PLANES_AVX512 inline void chunk_vpopcntdq(std::size_t words, const std::uint8_t* query,
                                                          const std::uint8_t* const* row, std::size_t offset,
                                                          int weight, __m512i* totals) {
  __m512i counts[group][chunk];
  ANNBENCH_UNROLL
  for (int r = 0; r < group; ++r)
    ANNBENCH_UNROLL
    for (int b = 0; b < chunk; ++b) counts[r][b] = _mm512_setzero_si512();
  for (std::size_t w = 0; w < words; w += 8) {
    const auto lanes = static_cast<__mmask8>(words - w >= 8 ? 0xffu : (1u << (words - w)) - 1u);
    __m512i planes[chunk];
    ANNBENCH_UNROLL
    for (int b = 0; b < chunk; ++b)
      planes[b] = _mm512_maskz_loadu_epi64(lanes, query + 8 * (static_cast<std::size_t>(b) * words + w));
    ANNBENCH_UNROLL
    for (int r = 0; r < group; ++r) {
      const __m512i bits = _mm512_maskz_loadu_epi64(lanes, row[r] + offset + 8 * w);
      ANNBENCH_UNROLL
      for (int b = 0; b < chunk; ++b)
        counts[r][b] = _mm512_add_epi64(counts[r][b], _mm512_popcnt_epi64(_mm512_and_si512(bits, planes[b])));
    }
  }
  ANNBENCH_UNROLL
  for (int r = 0; r < group; ++r) {
    __m512i sum = counts[r][0];
    ANNBENCH_UNROLL
    for (int b = 1; b < chunk; ++b) sum = _mm512_add_epi64(_mm512_add_epi64(sum, sum), counts[r][b]);
    totals[r] = _mm512_add_epi64(totals[r], _mm512_slli_epi64(sum, static_cast<unsigned>(weight)));
  }
}

ANNBENCH_TARGET_PLANES_AVX512 inline std::uint32_t reduce_avx512(__m512i total) {
  const __m256i four = _mm256_add_epi64(_mm512_castsi512_si256(total), _mm512_maskz_extracti64x4_epi64(0xff, total, 1));
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two))));
}

template <int group, bool one_by_four>
ANNBENCH_TARGET_PLANES_AVX512 inline void group_vpopcntdq(const PlaneShape& shape, const std::uint8_t* query,
                                                          const std::uint8_t* const* row, std::uint32_t* out) {
  __m512i totals[group];
  for (__m512i& total : totals) total = _mm512_setzero_si512();
  if constexpr (one_by_four) chunk_vpopcntdq<group, 4>(shape.words, query, row, 0, 0, totals);
  for (std::size_t a = 0; !one_by_four && a < shape.planes; ++a) {
    const std::size_t offset = 8 * a * shape.words;
    for (std::size_t b = 0; b < shape.query_planes; b += 4) {
      const std::uint8_t* chunk = query + 8 * b * shape.words;
      const int weight = weight_of(shape, a, b);
      switch (shape.query_planes - b) {
        case 1: chunk_vpopcntdq<group, 1>(shape.words, chunk, row, offset, weight, totals); break;
        case 2: chunk_vpopcntdq<group, 2>(shape.words, chunk, row, offset, weight, totals); break;
        case 3: chunk_vpopcntdq<group, 3>(shape.words, chunk, row, offset, weight, totals); break;
        default: chunk_vpopcntdq<group, 4>(shape.words, chunk, row, offset, weight, totals);
      }
    }
  }
  for (int r = 0; r < group; ++r) out[r] = reduce_avx512(totals[r]);
}

}  // namespace plane_dot_detail

inline void plane_dot_vpopcntdq(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                                const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  using namespace plane_dot_detail;
  if (shape.words < short_words_avx512) return short_planes(shape, query, base, rows, count, out);
  if (is_one_by_four(shape))
    by_groups<4, group_vpopcntdq<4, true>, group_vpopcntdq<1, true>>(shape, query, base, rows, count, out);
  else
    by_groups<4, group_vpopcntdq<4, false>, group_vpopcntdq<1, false>>(shape, query, base, rows, count, out);
}
#endif

// ---- NEON: bits of sixteen bytes at a time, weighted while they are bytes

#if ANNBENCH_HAS_NEON
namespace plane_dot_detail {

// The weighted counts of one plane of a row against up to four planes of the query, each byte <= 8·15.
inline uint32x4_t chunk_neon(std::size_t words, const std::uint8_t* query, std::size_t chunk, const std::uint8_t* plane) {
  uint32x4_t sums = vdupq_n_u32(0);
  for (std::size_t w = 0; w < words; w += 2) {
    const bool both = w + 2 <= words;
    const auto load = [both](const std::uint8_t* p) { return both ? vld1q_u8(p) : vcombine_u8(vld1_u8(p), vdup_n_u8(0)); };
    const uint8x16_t bits = load(plane + 8 * w);
    uint8x16_t counts = vdupq_n_u8(0);
    for (std::size_t b = 0; b < chunk; ++b)
      counts = vaddq_u8(vaddq_u8(counts, counts), vcntq_u8(vandq_u8(bits, load(query + 8 * (b * words + w)))));
    sums = vpadalq_u16(sums, vpaddlq_u8(counts));
  }
  return sums;
}

}  // namespace plane_dot_detail

inline void plane_dot_neon(const PlaneShape& shape, const std::uint8_t* query, const std::uint8_t* base,
                           const std::uint32_t* rows, std::size_t count, std::uint32_t* out) {
  using namespace plane_dot_detail;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = row_of(shape, base, rows, i);
    ask_ahead(shape, base, rows, i, count);
    uint32x4_t total = vdupq_n_u32(0);
    for (std::size_t a = 0; a < shape.planes; ++a)
      for (std::size_t b = 0; b < shape.query_planes; b += 4) {
        const std::size_t left = shape.query_planes - b, chunk = left < 4 ? left : 4;
        const uint32x4_t sums = chunk_neon(shape.words, query + 8 * b * shape.words, chunk, row + 8 * a * shape.words);
        total = vaddq_u32(total, vshlq_u32(sums, vdupq_n_s32(weight_of(shape, a, b))));
      }
    out[i] = vaddvq_u32(total);
  }
}
#endif

// ---- table row

inline constexpr PlaneDotFn plane_dot_table[isa_count] = {
    plane_dot_scalar,
#if ANNBENCH_HAS_AVX2
    plane_dot_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    plane_dot_vpopcntdq,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    plane_dot_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
