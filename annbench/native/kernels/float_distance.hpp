// float_distance: one float32 query against rows of float32 or float16, consecutive or gathered, in float32.
//
// Contract
//   out[i] = Σ_j q[j]·x[j]            dot
//            Σ_j (x[j] − q[j])²       squared_l2        x = row r of base, r = rows[i], or i where rows is null
//   `base` holds float (float32_…) or std::uint16_t as IEEE halves (float16_…), dim of them a row.
//   The order of summation differs between instruction sets. Against exact arithmetic, with u = 2⁻²⁴:
//     dot          |error| <= γ(m)·Σ|q[j]·x[j]|           m = ⌈dim/8⌉ + 4 additions a sum passes through, γ(m) = m·u/(1 − m·u)
//     squared_l2   |error| <= γ(m + 2)·Σ(x[j] − q[j])²
//   as long as no product leaves the normal range of float32. NaN and infinity propagate. Nothing is read beyond a row;
//   no alignment is needed. For exact answers there is exact_distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/isa.hpp"
#include "support/half.hpp"

namespace annbench {

using FloatDistanceFn = void (*)(const float* query, const void* base, std::size_t dim, const std::uint32_t* rows,
                                 std::size_t count, float* out);

namespace float_distance_detail {

enum class Form { dot, squared_l2 };

template <class T>
inline const T* row_of(const void* base, std::size_t dim, const std::uint32_t* rows, std::size_t i) {
  return static_cast<const T*>(base) + (rows == nullptr ? i : rows[i]) * dim;
}

inline float value_of(float x) { return x; }
inline float value_of(std::uint16_t half) { return float_of_half(half); }

template <Form form>
inline float term(float q, float x) {
  if constexpr (form == Form::dot) return q * x;
  const float difference = x - q;
  return difference * difference;
}

// Asks for the row after next of a gathered list.
template <class T>
inline void prefetch_ahead(const void* base, std::size_t dim, const std::uint32_t* rows, std::size_t i, std::size_t count) {
  if (rows == nullptr || i + 2 >= count) return;
  const auto* next = reinterpret_cast<const char*>(row_of<T>(base, dim, rows, i + 2));
  for (std::size_t b = 0; b < dim * sizeof(T) && b < 2048; b += 64) __builtin_prefetch(next + b);
}

}  // namespace float_distance_detail

// ---- scalar reference: eight sums, element j to sum j mod 8

namespace float_distance_detail {

template <Form form, class T>
void distances_scalar(const float* query, const void* base, std::size_t dim, const std::uint32_t* rows, std::size_t count,
                      float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const T* row = row_of<T>(base, dim, rows, i);
    float sums[8] = {};
    for (std::size_t j = 0; j < dim; ++j) sums[j % 8] += term<form>(query[j], value_of(row[j]));
    out[i] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  }
}

}  // namespace float_distance_detail

// ---- AVX2 with F16C: four registers of sums, the tail one by one

#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_F16C __attribute__((target("avx2,fma,f16c")))
namespace float_distance_detail {

ANNBENCH_TARGET_F16C inline __m256 load_avx2(const float* x) { return _mm256_loadu_ps(x); }
ANNBENCH_TARGET_F16C inline __m256 load_avx2(const std::uint16_t* x) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}

template <Form form>
ANNBENCH_TARGET_F16C inline __m256 add_term_avx2(__m256 sum, __m256 q, __m256 x) {
  if constexpr (form == Form::dot) return _mm256_fmadd_ps(q, x, sum);
  const __m256 difference = _mm256_sub_ps(x, q);
  return _mm256_fmadd_ps(difference, difference, sum);
}

template <Form form, class T>
ANNBENCH_TARGET_F16C void distances_avx2(const float* query, const void* base, std::size_t dim,
                                         const std::uint32_t* rows, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const T* row = row_of<T>(base, dim, rows, i);
    prefetch_ahead<T>(base, dim, rows, i, count);
    __m256 sums[4];
    for (__m256& sum : sums) sum = _mm256_setzero_ps();
    std::size_t j = 0;
    for (; j + 32 <= dim; j += 32)
      for (std::size_t lane = 0; lane < 4; ++lane)
        sums[lane] = add_term_avx2<form>(sums[lane], _mm256_loadu_ps(query + j + 8 * lane), load_avx2(row + j + 8 * lane));
    for (std::size_t lane = 0; j + 8 <= dim; j += 8, ++lane)
      sums[lane] = add_term_avx2<form>(sums[lane], _mm256_loadu_ps(query + j), load_avx2(row + j));
    const __m256 sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    float total = _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    for (; j < dim; ++j) total += term<form>(query[j], value_of(row[j]));
    out[i] = total;
  }
}

}  // namespace float_distance_detail
#endif

// ---- AVX-512: the tail by a mask

#if ANNBENCH_HAS_AVX512
namespace float_distance_detail {

ANNBENCH_TARGET_AVX512 inline __m512 load_avx512(const float* x) { return _mm512_loadu_ps(x); }
ANNBENCH_TARGET_AVX512 inline __m512 load_avx512(const std::uint16_t* x) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
}
ANNBENCH_TARGET_AVX512 inline __m512 load_avx512(const float* x, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, x); }
ANNBENCH_TARGET_AVX512 inline __m512 load_avx512(const std::uint16_t* x, __mmask16 lanes) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, x));
}

template <Form form>
ANNBENCH_TARGET_AVX512 inline __m512 add_term_avx512(__m512 sum, __m512 q, __m512 x) {
  if constexpr (form == Form::dot) return _mm512_fmadd_ps(q, x, sum);
  const __m512 difference = _mm512_sub_ps(x, q);
  return _mm512_fmadd_ps(difference, difference, sum);
}

template <Form form, class T>
ANNBENCH_TARGET_AVX512 void distances_avx512(const float* query, const void* base, std::size_t dim,
                                             const std::uint32_t* rows, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const T* row = row_of<T>(base, dim, rows, i);
    prefetch_ahead<T>(base, dim, rows, i, count);
    __m512 sums[4];
    ANNBENCH_UNROLL
    for (int s = 0; s < 4; ++s) sums[s] = _mm512_setzero_ps();
    std::size_t j = 0;
    for (; j + 64 <= dim; j += 64)
      ANNBENCH_UNROLL
      for (int s = 0; s < 4; ++s)
        sums[s] = add_term_avx512<form>(sums[s], _mm512_loadu_ps(query + j + 16 * s), load_avx512(row + j + 16 * s));
    for (; j + 16 <= dim; j += 16)
      sums[0] = add_term_avx512<form>(sums[0], _mm512_loadu_ps(query + j), load_avx512(row + j));
    if (j < dim) {
      const auto lanes = static_cast<__mmask16>((1u << (dim - j)) - 1u);
      sums[1] = add_term_avx512<form>(sums[1], _mm512_maskz_loadu_ps(lanes, query + j), load_avx512(row + j, lanes));
    }
    out[i] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
  }
}

}  // namespace float_distance_detail
#endif

// ---- NEON

#if ANNBENCH_HAS_NEON
namespace float_distance_detail {

inline void load_neon(const float* x, float32x4_t& low, float32x4_t& high) { low = vld1q_f32(x), high = vld1q_f32(x + 4); }
inline void load_neon(const std::uint16_t* x, float32x4_t& low, float32x4_t& high) {
  const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(x));
  low = vcvt_f32_f16(vget_low_f16(halves)), high = vcvt_high_f32_f16(halves);
}

template <Form form>
inline float32x4_t add_term_neon(float32x4_t sum, float32x4_t q, float32x4_t x) {
  if constexpr (form == Form::dot) return vfmaq_f32(sum, q, x);
  const float32x4_t difference = vsubq_f32(x, q);
  return vfmaq_f32(sum, difference, difference);
}

template <Form form, class T>
void distances_neon(const float* query, const void* base, std::size_t dim, const std::uint32_t* rows, std::size_t count,
                    float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const T* row = row_of<T>(base, dim, rows, i);
    prefetch_ahead<T>(base, dim, rows, i, count);
    float32x4_t even = vdupq_n_f32(0), odd = vdupq_n_f32(0);
    std::size_t j = 0;
    for (; j + 8 <= dim; j += 8) {
      float32x4_t low, high;
      load_neon(row + j, low, high);
      even = add_term_neon<form>(even, vld1q_f32(query + j), low);
      odd = add_term_neon<form>(odd, vld1q_f32(query + j + 4), high);
    }
    float total = vaddvq_f32(vaddq_f32(even, odd));
    for (; j < dim; ++j) total += term<form>(query[j], value_of(row[j]));
    out[i] = total;
  }
}

}  // namespace float_distance_detail
#endif

// ---- table rows

namespace float_distance_detail {

template <Form form, class T>
inline constexpr FloatDistanceFn row_of_versions[isa_count] = {
    distances_scalar<form, T>,
#if ANNBENCH_HAS_AVX2
    distances_avx2<form, T>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    distances_avx512<form, T>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    distances_neon<form, T>,
#else
    nullptr,
#endif
};

}  // namespace float_distance_detail

inline constexpr auto& float32_dot_table =
    float_distance_detail::row_of_versions<float_distance_detail::Form::dot, float>;
inline constexpr auto& float32_squared_l2_table =
    float_distance_detail::row_of_versions<float_distance_detail::Form::squared_l2, float>;
inline constexpr auto& float16_dot_table =
    float_distance_detail::row_of_versions<float_distance_detail::Form::dot, std::uint16_t>;
inline constexpr auto& float16_squared_l2_table =
    float_distance_detail::row_of_versions<float_distance_detail::Form::squared_l2, std::uint16_t>;

}  // namespace annbench
