// What becomes of a query's values before it is compared with codes: their length, and what they are in few bits.
//
// Contract
//   wide_dot       Σ_j a[j]·b[j] in double, by 32 sums, element j to sum j mod 32 (those after the last whole eight to the
//                  first), and these as support/wide_dot.hpp adds them
//   scaled         out[j] = x[j]·factor in double, rounded once
//   largest        max_j |x[j]|, 0 for none; x has no NaN
//   centred        out[j] = x[j] − mean[j], rounded to float32; returns Σ_j out[j]² as wide_dot adds it
//   round_bytes    out[j] = the integer nearest to x[j]·factor, ties to even, of float32's product; returns Σ_j out[j].
//   round_shorts   Within −127 … 127, within −32767 … 32767.
//   round_rests    The same of (x[j] − step·values[j])·factor, each operation rounded to float32 and finite; within −127 … 127.
//   Every ISA gives the same bits. No alignment is needed; nothing is read or written beyond `count`.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "support/wide_dot.hpp"

namespace annbench {

using WideDotFn = double (*)(const float* a, const float* b, std::size_t count);
using ScaledFn = void (*)(const float* x, std::size_t count, double factor, float* out);
using LargestFn = float (*)(const float* x, std::size_t count);
using CentredFn = double (*)(const float* x, const float* mean, std::size_t count, float* out);
using RoundBytesFn = std::int32_t (*)(const float* x, std::size_t count, float factor, std::int8_t* out);
using RoundShortsFn = void (*)(const float* x, std::size_t count, float factor, std::int16_t* out);
using RoundRestsFn = std::int32_t (*)(const float* x, const std::int8_t* values, std::size_t count, float step, float factor,
                                      std::int8_t* out);

// ---- scalar reference

namespace query_values_detail {

// Floats this large have no fraction: adding rounds to the nearest integer, ties to even, and leaves it in the low bits.
inline std::int32_t rounded(float product) {
  constexpr float integers = 0x1.8p23f;
  return std::bit_cast<std::int32_t>(product + integers) - std::bit_cast<std::int32_t>(integers);
}

}  // namespace query_values_detail

inline float largest_scalar(const float* x, std::size_t count) {
  float largest = 0;
  for (std::size_t j = 0; j < count; ++j) largest = std::max(largest, std::fabs(x[j]));
  return largest;
}

inline void scaled_scalar(const float* x, std::size_t count, double factor, float* out) {
  for (std::size_t j = 0; j < count; ++j) out[j] = static_cast<float>(x[j] * factor);
}

inline double centred_scalar(const float* x, const float* mean, std::size_t count, float* out) {
  for (std::size_t j = 0; j < count; ++j) out[j] = x[j] - mean[j];
  return wide_dot(out, out, count);
}

inline std::int32_t round_bytes_scalar(const float* x, std::size_t count, float factor, std::int8_t* out) {
  std::int32_t sum = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::int32_t value = query_values_detail::rounded(x[j] * factor);
    out[j] = static_cast<std::int8_t>(value);
    sum += value;
  }
  return sum;
}

inline void round_shorts_scalar(const float* x, std::size_t count, float factor, std::int16_t* out) {
  for (std::size_t j = 0; j < count; ++j) out[j] = static_cast<std::int16_t>(query_values_detail::rounded(x[j] * factor));
}

inline std::int32_t round_rests_scalar(const float* x, const std::int8_t* values, std::size_t count, float step, float factor,
                                       std::int8_t* out) {
  std::int32_t sum = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::int32_t value = query_values_detail::rounded((x[j] - step * static_cast<float>(values[j])) * factor);
    out[j] = static_cast<std::int8_t>(value);
    sum += value;
  }
  return sum;
}

// ---- AVX2

#if ANNBENCH_HAS_AVX2
ANNBENCH_TARGET_AVX2 inline double wide_dot_avx2(const float* a, const float* b, std::size_t count) {
  __m256d four[wide_sums / 4];
  for (__m256d& sum : four) sum = _mm256_setzero_pd();
  std::size_t j = 0;
  // Products of floats are exact in double: one rounding or two, the sums are the same.
  for (; j + wide_sums <= count; j += wide_sums) {
    ANNBENCH_UNROLL
    for (std::size_t k = 0; k < wide_sums / 4; ++k)
      four[k] = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + j + 4 * k)), _mm256_cvtps_pd(_mm_loadu_ps(b + j + 4 * k)), four[k]);
  }
  double sums[wide_sums];
  for (std::size_t k = 0; k < wide_sums / 4; ++k) _mm256_storeu_pd(sums + 4 * k, four[k]);
  for (double* mine = sums; j + 8 <= count; j += 8, mine += 8)
    for (std::size_t k = 0; k < 8; ++k) mine[k] += static_cast<double>(a[j + k]) * b[j + k];
  return finish_wide_dot(sums, a + j, b + j, count - j);
}

ANNBENCH_TARGET_AVX2 inline double centred_avx2(const float* x, const float* mean, std::size_t count, float* out) {
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8) _mm256_storeu_ps(out + j, _mm256_sub_ps(_mm256_loadu_ps(x + j), _mm256_loadu_ps(mean + j)));
  for (; j < count; ++j) out[j] = x[j] - mean[j];
  return wide_dot_avx2(out, out, count);
}

ANNBENCH_TARGET_AVX2 inline void scaled_avx2(const float* x, std::size_t count, double factor, float* out) {
  const __m256d by = _mm256_set1_pd(factor);
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4)
    _mm_storeu_ps(out + j, _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + j)), by)));
  scaled_scalar(x + j, count - j, factor, out + j);
}

ANNBENCH_TARGET_AVX2 inline float largest_avx2(const float* x, std::size_t count) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256 largest = _mm256_setzero_ps();
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8) largest = _mm256_max_ps(largest, _mm256_and_ps(_mm256_loadu_ps(x + j), magnitude));
  float parts[8];
  _mm256_storeu_ps(parts, largest);
  return std::max(largest_scalar(parts, 8), largest_scalar(x + j, count - j));
}

namespace query_values_detail {

// Writes eight integers as bytes.
ANNBENCH_TARGET_AVX2 inline void store_bytes(__m256i values, std::int8_t* out) {
  const __m256i order = _mm256_set_epi32(0, 0, 0, 0, 0, 0, 4, 0);
  const __m256i shorts = _mm256_packs_epi32(values, values), bytes = _mm256_packs_epi16(shorts, shorts);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order)));
}
ANNBENCH_TARGET_AVX2 inline std::int32_t sum_of(__m256i sums) {
  std::int32_t parts[8], sum = 0;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), sums);
  for (const std::int32_t part : parts) sum += part;
  return sum;
}

}  // namespace query_values_detail

ANNBENCH_TARGET_AVX2 inline std::int32_t round_bytes_avx2(const float* x, std::size_t count, float factor, std::int8_t* out) {
  const __m256 by = _mm256_set1_ps(factor);
  __m256i sums = _mm256_setzero_si256();
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8) {
    const __m256i values = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + j), by));
    sums = _mm256_add_epi32(sums, values);
    query_values_detail::store_bytes(values, out + j);
  }
  return query_values_detail::sum_of(sums) + round_bytes_scalar(x + j, count - j, factor, out + j);
}

ANNBENCH_TARGET_AVX2 inline std::int32_t round_rests_avx2(const float* x, const std::int8_t* values, std::size_t count,
                                                          float step, float factor, std::int8_t* out) {
  const __m256 by = _mm256_set1_ps(factor), taken_by = _mm256_set1_ps(step);
  __m256i sums = _mm256_setzero_si256();
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8) {
    const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(values + j));
    const __m256 taken = _mm256_mul_ps(taken_by, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight)));
    const __m256i rests = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + j), taken), by));
    sums = _mm256_add_epi32(sums, rests);
    query_values_detail::store_bytes(rests, out + j);
  }
  return query_values_detail::sum_of(sums) + round_rests_scalar(x + j, values + j, count - j, step, factor, out + j);
}

ANNBENCH_TARGET_AVX2 inline void round_shorts_avx2(const float* x, std::size_t count, float factor, std::int16_t* out) {
  const __m256 by = _mm256_set1_ps(factor);
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8) {
    const __m256i values = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + j), by));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j),
                     _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1)));
  }
  round_shorts_scalar(x + j, count - j, factor, out + j);
}
#endif

// ---- AVX-512

#if ANNBENCH_HAS_AVX512
ANNBENCH_TARGET_AVX512 inline double wide_dot_avx512(const float* a, const float* b, std::size_t count) {
  __m512d eight[wide_sums / 8];
  for (__m512d& sum : eight) sum = _mm512_setzero_pd();
  std::size_t j = 0;
  for (; j + wide_sums <= count; j += wide_sums) {
    ANNBENCH_UNROLL
    for (std::size_t k = 0; k < wide_sums / 8; ++k)
      eight[k] = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a + j + 8 * k)), _mm512_cvtps_pd(_mm256_loadu_ps(b + j + 8 * k)), eight[k]);
  }
  ANNBENCH_UNROLL
  for (std::size_t k = 0; k < wide_sums / 8 - 1; ++k) {
    if (j + 8 > count) break;
    eight[k] = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a + j)), _mm512_cvtps_pd(_mm256_loadu_ps(b + j)), eight[k]);
    j += 8;
  }
  double sums[wide_sums];
  for (std::size_t k = 0; k < wide_sums / 8; ++k) _mm512_storeu_pd(sums + 8 * k, eight[k]);
  return finish_wide_dot(sums, a + j, b + j, count - j);
}

ANNBENCH_TARGET_AVX512 inline void scaled_avx512(const float* x, std::size_t count, double factor, float* out) {
  const __m512d by = _mm512_set1_pd(factor);
  std::size_t j = 0;
  for (; j + 8 <= count; j += 8)
    _mm256_storeu_ps(out + j, _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtps_pd(_mm256_loadu_ps(x + j)), by)));
  scaled_scalar(x + j, count - j, factor, out + j);
}

ANNBENCH_TARGET_AVX512 inline double centred_avx512(const float* x, const float* mean, std::size_t count, float* out) {
  __m512d eight[wide_sums / 8];
  for (__m512d& sum : eight) sum = _mm512_setzero_pd();
  std::size_t j = 0;
  for (; j + wide_sums <= count; j += wide_sums) {
    ANNBENCH_UNROLL
    for (std::size_t k = 0; k < wide_sums / 16; ++k) {
      const __m512 apart = _mm512_sub_ps(_mm512_loadu_ps(x + j + 16 * k), _mm512_loadu_ps(mean + j + 16 * k));
      _mm512_storeu_ps(out + j + 16 * k, apart);
      const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(apart)), high = _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(apart), 1)));
      eight[2 * k] = _mm512_fmadd_pd(low, low, eight[2 * k]);
      eight[2 * k + 1] = _mm512_fmadd_pd(high, high, eight[2 * k + 1]);
    }
  }
  double sums[wide_sums];
  for (std::size_t k = 0; k < wide_sums / 8; ++k) _mm512_storeu_pd(sums + 8 * k, eight[k]);
  for (std::size_t left = j; left < count; ++left) out[left] = x[left] - mean[left];
  for (double* mine = sums; j + 8 <= count; j += 8, mine += 8)
    for (std::size_t k = 0; k < 8; ++k) mine[k] += static_cast<double>(out[j + k]) * out[j + k];
  return finish_wide_dot(sums, out + j, out + j, count - j);
}

ANNBENCH_TARGET_AVX512 inline float largest_avx512(const float* x, std::size_t count) {
  __m512 largest = _mm512_setzero_ps(), second = largest, third = largest, fourth = largest;
  std::size_t j = 0;
  for (; j + 64 <= count; j += 64) {
    largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(x + j)));
    second = _mm512_max_ps(second, _mm512_abs_ps(_mm512_loadu_ps(x + j + 16)));
    third = _mm512_max_ps(third, _mm512_abs_ps(_mm512_loadu_ps(x + j + 32)));
    fourth = _mm512_max_ps(fourth, _mm512_abs_ps(_mm512_loadu_ps(x + j + 48)));
  }
  for (; j + 16 <= count; j += 16) largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(x + j)));
  largest = _mm512_max_ps(_mm512_max_ps(largest, second), _mm512_max_ps(third, fourth));
  return std::max(_mm512_reduce_max_ps(largest), largest_scalar(x + j, count - j));
}

ANNBENCH_TARGET_AVX512 inline std::int32_t round_bytes_avx512(const float* x, std::size_t count, float factor,
                                                              std::int8_t* out) {
  const __m512 by = _mm512_set1_ps(factor);
  __m512i sums = _mm512_setzero_si512();
  std::size_t j = 0;
  for (; j + 16 <= count; j += 16) {
    const __m512i values = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + j), by));
    sums = _mm512_add_epi32(sums, values);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j), _mm512_cvtepi32_epi8(values));
  }
  return _mm512_reduce_add_epi32(sums) + round_bytes_scalar(x + j, count - j, factor, out + j);
}

ANNBENCH_TARGET_AVX512 inline std::int32_t round_rests_avx512(const float* x, const std::int8_t* values, std::size_t count,
                                                              float step, float factor, std::int8_t* out) {
  const __m512 by = _mm512_set1_ps(factor), taken_by = _mm512_set1_ps(step);
  __m512i sums = _mm512_setzero_si512();
  std::size_t j = 0;
  for (; j + 16 <= count; j += 16) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + j));
    const __m512 taken = _mm512_mul_ps(taken_by, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen)));
    const __m512i rests = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + j), taken), by));
    sums = _mm512_add_epi32(sums, rests);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j), _mm512_cvtepi32_epi8(rests));
  }
  return _mm512_reduce_add_epi32(sums) + round_rests_scalar(x + j, values + j, count - j, step, factor, out + j);
}

ANNBENCH_TARGET_AVX512 inline void round_shorts_avx512(const float* x, std::size_t count, float factor, std::int16_t* out) {
  const __m512 by = _mm512_set1_ps(factor);
  std::size_t j = 0;
  for (; j + 16 <= count; j += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + j), by))));
  round_shorts_scalar(x + j, count - j, factor, out + j);
}
#endif

// ---- table rows

#if ANNBENCH_HAS_AVX2
#define ANNBENCH_QUERY_AVX2(name) name##_avx2
#else
#define ANNBENCH_QUERY_AVX2(name) nullptr
#endif
#if ANNBENCH_HAS_AVX512
#define ANNBENCH_QUERY_AVX512(name) name##_avx512
#else
#define ANNBENCH_QUERY_AVX512(name) nullptr
#endif
inline constexpr WideDotFn wide_dot_table[isa_count] = {wide_dot, ANNBENCH_QUERY_AVX2(wide_dot),
                                                        ANNBENCH_QUERY_AVX512(wide_dot), nullptr};
inline constexpr LargestFn largest_table[isa_count] = {largest_scalar, ANNBENCH_QUERY_AVX2(largest),
                                                       ANNBENCH_QUERY_AVX512(largest), nullptr};
inline constexpr ScaledFn scaled_table[isa_count] = {scaled_scalar, ANNBENCH_QUERY_AVX2(scaled),
                                                     ANNBENCH_QUERY_AVX512(scaled), nullptr};
inline constexpr CentredFn centred_table[isa_count] = {centred_scalar, ANNBENCH_QUERY_AVX2(centred),
                                                       ANNBENCH_QUERY_AVX512(centred), nullptr};
inline constexpr RoundBytesFn round_bytes_table[isa_count] = {round_bytes_scalar, ANNBENCH_QUERY_AVX2(round_bytes),
                                                              ANNBENCH_QUERY_AVX512(round_bytes), nullptr};
inline constexpr RoundShortsFn round_shorts_table[isa_count] = {round_shorts_scalar, ANNBENCH_QUERY_AVX2(round_shorts),
                                                                ANNBENCH_QUERY_AVX512(round_shorts), nullptr};
inline constexpr RoundRestsFn round_rests_table[isa_count] = {round_rests_scalar, ANNBENCH_QUERY_AVX2(round_rests),
                                                              ANNBENCH_QUERY_AVX512(round_rests), nullptr};
#undef ANNBENCH_QUERY_AVX2
#undef ANNBENCH_QUERY_AVX512

}  // namespace annbench
