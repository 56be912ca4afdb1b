// hamming_select: which codes of packed bits differ from a query in at most so many bits?
//
// Contract
//   distance(j) = Σ_i popcount(query[i] ^ codes[j·bytes + i]), i < bytes
//   Writes j and distance(j) for every j < count with distance(j) <= limit, in increasing j, and returns how many.
//   `indices` and `distances` hold `count` entries; nothing is written beyond the entries returned, nothing read beyond
//   the codes and the query. No alignment is needed. bytes < 2^29, so that a distance fits. Every ISA gives the same
//   integers.
//
// A code below 128 bytes is a handful of words, whose bits a processor counts by one instruction each; so short codes
// are counted word by word on every x86 ISA, with the number of words known to the compiler. Vectors begin to pay once
// the sum over their lanes is small beside the code.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa.hpp"

namespace annbench {

using HammingSelectFn = std::size_t (*)(const std::uint8_t* query, const std::uint8_t* codes, std::size_t bytes,
                                        std::size_t count, std::uint32_t limit, std::uint32_t* indices,
                                        std::uint32_t* distances);

// ---- scalar reference

inline std::size_t hamming_select_scalar(const std::uint8_t* query, const std::uint8_t* codes, std::size_t bytes,
                                         std::size_t count, std::uint32_t limit, std::uint32_t* indices,
                                         std::uint32_t* distances) {
  std::size_t selected = 0;
  for (std::size_t j = 0; j < count; ++j) {
    std::uint32_t distance = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      distance += static_cast<std::uint32_t>(std::popcount(static_cast<std::uint8_t>(query[i] ^ codes[j * bytes + i])));
    if (distance <= limit) {
      indices[selected] = static_cast<std::uint32_t>(j);
      distances[selected] = distance;
      ++selected;
    }
  }
  return selected;
}

// ---- word by word, for short codes on x86

#if ANNBENCH_HAS_AVX2 || ANNBENCH_HAS_AVX512
#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_HAMMING_AVX2 __attribute__((target("avx2,popcnt")))
#define ANNBENCH_TARGET_HAMMING_AVX512 __attribute__((target("avx512f,avx512bw,avx512vpopcntdq,avx2,popcnt")))
#define ANNBENCH_TARGET_POPCNT __attribute__((target("popcnt")))
#else
#define ANNBENCH_TARGET_HAMMING_AVX512
#define ANNBENCH_TARGET_POPCNT
#endif

namespace hamming_detail {

inline std::uint64_t word_at(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// The differing bits of the last `tail` < 8 bytes of a code, without reading beyond it or before it.
ANNBENCH_TARGET_POPCNT inline std::uint32_t tail_distance(const std::uint8_t* a, const std::uint8_t* b,
                                                          std::size_t bytes, std::size_t tail) {
  if (bytes >= 8) {  // the last eight bytes overlap what is counted already; little-endian: that is the low end
    const std::uint64_t difference = word_at(a + bytes - 8) ^ word_at(b + bytes - 8);
    return static_cast<std::uint32_t>(__builtin_popcountll(difference >> (8 * (8 - tail))));
  }
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < tail; ++i) difference = difference << 8 | static_cast<std::uint8_t>(a[i] ^ b[i]);
  return static_cast<std::uint32_t>(__builtin_popcountll(difference));
}

ANNBENCH_TARGET_POPCNT inline std::uint32_t distance_of_words(const std::uint8_t* a, const std::uint8_t* b,
                                                              std::size_t words) {
  std::uint64_t distance = 0;
  for (std::size_t w = 0; w < words; ++w)
    distance += static_cast<std::uint64_t>(__builtin_popcountll(word_at(a + 8 * w) ^ word_at(b + 8 * w)));
  return static_cast<std::uint32_t>(distance);
}

// Codes of exactly `words` words, or of any length where that is 0.
template <std::size_t words>
ANNBENCH_TARGET_POPCNT std::size_t select_words(const std::uint8_t* query, const std::uint8_t* codes,
                                                std::size_t bytes, std::size_t count, std::uint32_t limit,
                                                std::uint32_t* indices, std::uint32_t* distances) {
  const std::size_t stride = words != 0 ? 8 * words : bytes;
  const std::size_t tail = stride % 8;
  std::size_t selected = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint8_t* code = codes + j * stride;
    std::uint32_t distance = distance_of_words(query, code, stride / 8);
    if (words == 0 && tail != 0) distance += tail_distance(query, code, stride, tail);
    if (distance > limit) continue;
    indices[selected] = static_cast<std::uint32_t>(j);
    distances[selected] = distance;
    ++selected;
  }
  return selected;
}

inline std::size_t select_short(const std::uint8_t* query, const std::uint8_t* codes, std::size_t bytes,
                                std::size_t count, std::uint32_t limit, std::uint32_t* indices,
                                std::uint32_t* distances) {
  switch (bytes) {
    case 8: return select_words<1>(query, codes, bytes, count, limit, indices, distances);
    case 16: return select_words<2>(query, codes, bytes, count, limit, indices, distances);
    case 24: return select_words<3>(query, codes, bytes, count, limit, indices, distances);
    case 32: return select_words<4>(query, codes, bytes, count, limit, indices, distances);
    case 48: return select_words<6>(query, codes, bytes, count, limit, indices, distances);
    case 64: return select_words<8>(query, codes, bytes, count, limit, indices, distances);
    case 96: return select_words<12>(query, codes, bytes, count, limit, indices, distances);
    default: return select_words<0>(query, codes, bytes, count, limit, indices, distances);
  }
}

}  // namespace hamming_detail
#endif

// ---- AVX2: bits of a nibble by a table in a register (Muła, Kurz, Lemire, Computer Journal 2018), 32 bytes at a time

#if ANNBENCH_HAS_AVX2
namespace hamming_detail {

inline constexpr std::size_t short_bytes_avx2 = 128;

ANNBENCH_TARGET_HAMMING_AVX2 inline __m256i byte_counts_avx2(__m256i bits) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                         0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(0x0f);
  return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(bits, low)),
                         _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low)));
}

ANNBENCH_TARGET_HAMMING_AVX2 inline __m256i difference_avx2(const std::uint8_t* a, const std::uint8_t* b) {
  return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a)),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
}

ANNBENCH_TARGET_HAMMING_AVX2 inline std::uint32_t distance_avx2(const std::uint8_t* a, const std::uint8_t* b,
                                                                std::size_t bytes) {
  __m256i sums = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 128 <= bytes; i += 128) {  // four byte counts of at most 8 each, added before they are widened
    const __m256i ab = _mm256_add_epi8(byte_counts_avx2(difference_avx2(a + i, b + i)),
                                       byte_counts_avx2(difference_avx2(a + i + 32, b + i + 32)));
    const __m256i cd = _mm256_add_epi8(byte_counts_avx2(difference_avx2(a + i + 64, b + i + 64)),
                                       byte_counts_avx2(difference_avx2(a + i + 96, b + i + 96)));
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_add_epi8(ab, cd), _mm256_setzero_si256()));
  }
  const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const auto vector_sum = static_cast<std::uint32_t>(_mm_cvtsi128_si64(halves) + _mm_extract_epi64(halves, 1));
  const std::size_t left = bytes - i;
  std::uint32_t distance = vector_sum + distance_of_words(a + i, b + i, left / 8);
  if (left % 8 != 0) distance += tail_distance(a, b, bytes, left % 8);
  return distance;
}

}  // namespace hamming_detail

ANNBENCH_TARGET_HAMMING_AVX2 inline std::size_t hamming_select_avx2(const std::uint8_t* query,
                                                                    const std::uint8_t* codes, std::size_t bytes,
                                                                    std::size_t count, std::uint32_t limit,
                                                                    std::uint32_t* indices,
                                                                    std::uint32_t* distances) {
  using namespace hamming_detail;
  if (bytes < short_bytes_avx2) return select_short(query, codes, bytes, count, limit, indices, distances);
  std::size_t selected = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint32_t distance = distance_avx2(query, codes + j * bytes, bytes);
    if (distance > limit) continue;
    indices[selected] = static_cast<std::uint32_t>(j);
    distances[selected] = distance;
    ++selected;
  }
  return selected;
}
#endif

// ---- AVX-512 with VPOPCNTDQ: eight words at a time

#if ANNBENCH_HAS_AVX512
namespace hamming_detail {

inline constexpr std::size_t short_bytes_avx512 = 128;

ANNBENCH_TARGET_HAMMING_AVX512 inline std::uint32_t distance_avx512(const std::uint8_t* a, const std::uint8_t* b,
                                                                    std::size_t bytes) {
  __m512i sums = _mm512_setzero_si512();
  std::size_t i = 0;
  for (; i + 64 <= bytes; i += 64)
    sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i))));
  std::uint64_t lanes[8], distance = 0;
  _mm512_storeu_si512(lanes, sums);
  for (const std::uint64_t lane : lanes) distance += lane;
  const std::size_t left = bytes - i;
  distance += distance_of_words(a + i, b + i, left / 8);
  if (left % 8 != 0) distance += tail_distance(a, b, bytes, left % 8);
  return static_cast<std::uint32_t>(distance);
}

}  // namespace hamming_detail

// For processors that have VPOPCNTDQ besides the instruction set of the other kernels; see dispatch.cpp.
ANNBENCH_TARGET_HAMMING_AVX512 inline std::size_t hamming_select_vpopcntdq(const std::uint8_t* query,
                                                                           const std::uint8_t* codes,
                                                                           std::size_t bytes, std::size_t count,
                                                                           std::uint32_t limit,
                                                                           std::uint32_t* indices,
                                                                           std::uint32_t* distances) {
  using namespace hamming_detail;
  if (bytes < short_bytes_avx512) return select_short(query, codes, bytes, count, limit, indices, distances);
  std::size_t selected = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint32_t distance = distance_avx512(query, codes + j * bytes, bytes);
    if (distance > limit) continue;
    indices[selected] = static_cast<std::uint32_t>(j);
    distances[selected] = distance;
    ++selected;
  }
  return selected;
}
#endif

// ---- NEON: bits of sixteen bytes at a time

#if ANNBENCH_HAS_NEON
namespace hamming_detail {

inline std::uint32_t distance_neon(const std::uint8_t* a, const std::uint8_t* b, std::size_t bytes) {
  uint32x4_t sums = vdupq_n_u32(0);
  std::size_t i = 0;
  for (; i + 16 <= bytes; i += 16)
    sums = vpadalq_u16(sums, vpaddlq_u8(vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i)))));
  std::uint32_t distance = vaddvq_u32(sums);
  if (i + 8 <= bytes) {
    distance += vaddv_u8(vcnt_u8(veor_u8(vld1_u8(a + i), vld1_u8(b + i))));
    i += 8;
  }
  for (; i < bytes; ++i)
    distance += static_cast<std::uint32_t>(std::popcount(static_cast<std::uint8_t>(a[i] ^ b[i])));
  return distance;
}

}  // namespace hamming_detail

inline std::size_t hamming_select_neon(const std::uint8_t* query, const std::uint8_t* codes, std::size_t bytes,
                                       std::size_t count, std::uint32_t limit, std::uint32_t* indices,
                                       std::uint32_t* distances) {
  std::size_t selected = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint32_t distance = hamming_detail::distance_neon(query, codes + j * bytes, bytes);
    if (distance > limit) continue;
    indices[selected] = static_cast<std::uint32_t>(j);
    distances[selected] = distance;
    ++selected;
  }
  return selected;
}
#endif

// ---- table row

inline constexpr HammingSelectFn hamming_select_table[isa_count] = {
    hamming_select_scalar,
#if ANNBENCH_HAS_AVX2
    hamming_select_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    hamming_select_vpopcntdq,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    hamming_select_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
