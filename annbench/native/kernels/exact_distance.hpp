// exact_distance: one float32 query against gathered float32 rows, accumulated in float64.
//
// Contract
//   distances[j] = Σ_i q[i]·x[i]            exact_dot
//                  Σ_i (x[i] − q[i])²       exact_squared_l2        with x = base + rows[j]·dim, for j < count.
//   Every ISA gives the same bits: lane i mod 16 accumulates element i, and the sixteen lanes are added by halves.
//   Products of two float32 are exact in float64, so a fused multiply-add changes nothing in the dot product; the
//   squared L2 rounds its square first and must not be fused (build with -ffp-contract=off).
//   Against exact arithmetic, with u = 2⁻⁵³ and m = ⌈dim/16⌉ + 4 (a sum passes through at most m additions):
//     exact_dot           |error| <= γ(m)·Σ|q[i]·x[i]|,        γ(m) = m·u / (1 − m·u)
//     exact_squared_l2    |error| <= γ(m + 3)·Σ(x[i] − q[i])²
//   NaN and infinity propagate (which NaN is unspecified). Nothing is read beyond a row. No alignment is needed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"

namespace annbench {

using ExactDistanceFn = void (*)(const float* query, const float* base, std::size_t dim, const std::uint32_t* rows,
                                 std::size_t count, double* distances);

namespace exact_distance_detail {

enum class Form { dot, squared_l2 };
inline constexpr std::size_t lanes = 16;

template <Form form>
inline double term(double q, double x) {
  if constexpr (form == Form::dot) return q * x;
  const double difference = x - q;
  return difference * difference;
}

// Adds the elements from `first` on to their lanes, then the lanes by halves.
template <Form form>
inline double finish(double* sums, const float* query, const float* row, std::size_t first, std::size_t dim) {
  for (std::size_t i = first; i < dim; ++i)
    sums[i % lanes] += term<form>(static_cast<double>(query[i]), static_cast<double>(row[i]));
  for (std::size_t half = lanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

// Asks for the next row: gathered rows are far apart, and the hardware only follows once a row has begun.
inline void prefetch_row(const float* row, std::size_t dim) {
  constexpr std::size_t floats_per_line = 16, most = 32 * floats_per_line;
  for (std::size_t i = 0; i < dim && i < most; i += floats_per_line) __builtin_prefetch(row + i);
}

}  // namespace exact_distance_detail

// ---- scalar reference

namespace exact_distance_detail {

template <Form form>
void distances_scalar(const float* query, const float* base, std::size_t dim, const std::uint32_t* rows,
                      std::size_t count, double* distances) {
  for (std::size_t j = 0; j < count; ++j) {
    double sums[lanes] = {};
    distances[j] = finish<form>(sums, query, base + rows[j] * dim, 0, dim);
  }
}

}  // namespace exact_distance_detail

// ---- AVX2: sixteen lanes in four registers

#if ANNBENCH_HAS_AVX2
namespace exact_distance_detail {

template <Form form>
ANNBENCH_TARGET_AVX2 inline __m256d add_term_avx2(__m256d sum, const float* query, const float* row) {
  const __m256d q = _mm256_cvtps_pd(_mm_loadu_ps(query));
  const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(row));
  if constexpr (form == Form::dot) return _mm256_fmadd_pd(q, x, sum);
  const __m256d difference = _mm256_sub_pd(x, q);
  return _mm256_add_pd(sum, _mm256_mul_pd(difference, difference));
}

template <Form form>
ANNBENCH_TARGET_AVX2 void distances_avx2(const float* query, const float* base, std::size_t dim,
                                         const std::uint32_t* rows, std::size_t count, double* distances) {
  for (std::size_t j = 0; j < count; ++j) {
    const float* row = base + rows[j] * dim;
    if (j + 1 < count) prefetch_row(base + rows[j + 1] * dim, dim);
    __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;
    std::size_t i = 0;
    for (; i + lanes <= dim; i += lanes) {
      a = add_term_avx2<form>(a, query + i, row + i);
      b = add_term_avx2<form>(b, query + i + 4, row + i + 4);
      c = add_term_avx2<form>(c, query + i + 8, row + i + 8);
      d = add_term_avx2<form>(d, query + i + 12, row + i + 12);
    }
    double sums[lanes];
    _mm256_storeu_pd(sums, a);
    _mm256_storeu_pd(sums + 4, b);
    _mm256_storeu_pd(sums + 8, c);
    _mm256_storeu_pd(sums + 12, d);
    distances[j] = finish<form>(sums, query, row, i, dim);
  }
}

}  // namespace exact_distance_detail
#endif

// ---- AVX-512: sixteen lanes in two registers

#if ANNBENCH_HAS_AVX512
namespace exact_distance_detail {

template <Form form>
ANNBENCH_TARGET_AVX512 inline __m512d add_term_avx512(__m512d sum, const float* query, const float* row) {
  const __m512d q = _mm512_cvtps_pd(_mm256_loadu_ps(query));
  const __m512d x = _mm512_cvtps_pd(_mm256_loadu_ps(row));
  if constexpr (form == Form::dot) return _mm512_fmadd_pd(q, x, sum);
  const __m512d difference = _mm512_sub_pd(x, q);
  return _mm512_add_pd(sum, _mm512_mul_pd(difference, difference));
}

template <Form form>
ANNBENCH_TARGET_AVX512 void distances_avx512(const float* query, const float* base, std::size_t dim,
                                             const std::uint32_t* rows, std::size_t count, double* distances) {
  for (std::size_t j = 0; j < count; ++j) {
    const float* row = base + rows[j] * dim;
    if (j + 1 < count) prefetch_row(base + rows[j + 1] * dim, dim);
    __m512d a = _mm512_setzero_pd(), b = a;
    std::size_t i = 0;
    for (; i + lanes <= dim; i += lanes) {
      a = add_term_avx512<form>(a, query + i, row + i);
      b = add_term_avx512<form>(b, query + i + 8, row + i + 8);
    }
    double sums[lanes];
    _mm512_storeu_pd(sums, a);
    _mm512_storeu_pd(sums + 8, b);
    distances[j] = finish<form>(sums, query, row, i, dim);
  }
}

}  // namespace exact_distance_detail
#endif

// ---- NEON: sixteen lanes in eight registers

#if ANNBENCH_HAS_NEON
namespace exact_distance_detail {

template <Form form>
inline float64x2_t add_term_neon(float64x2_t sum, float64x2_t q, float64x2_t x) {
  if constexpr (form == Form::dot) return vfmaq_f64(sum, q, x);
  const float64x2_t difference = vsubq_f64(x, q);
  return vaddq_f64(sum, vmulq_f64(difference, difference));
}

template <Form form>
void distances_neon(const float* query, const float* base, std::size_t dim, const std::uint32_t* rows,
                    std::size_t count, double* distances) {
  constexpr std::size_t registers = lanes / 2;
  for (std::size_t j = 0; j < count; ++j) {
    const float* row = base + rows[j] * dim;
    if (j + 1 < count) prefetch_row(base + rows[j + 1] * dim, dim);
    float64x2_t sum[registers];
    for (float64x2_t& pair : sum) pair = vdupq_n_f64(0);
    std::size_t i = 0;
    for (; i + lanes <= dim; i += lanes)
      for (std::size_t pair = 0; pair < registers; pair += 2) {
        const float32x4_t q = vld1q_f32(query + i + 2 * pair), x = vld1q_f32(row + i + 2 * pair);
        const float64x2_t q_low = vcvt_f64_f32(vget_low_f32(q)), x_low = vcvt_f64_f32(vget_low_f32(x));
        sum[pair] = add_term_neon<form>(sum[pair], q_low, x_low);
        sum[pair + 1] = add_term_neon<form>(sum[pair + 1], vcvt_high_f64_f32(q), vcvt_high_f64_f32(x));
      }
    double sums[lanes];
    for (std::size_t pair = 0; pair < registers; ++pair) vst1q_f64(sums + 2 * pair, sum[pair]);
    distances[j] = finish<form>(sums, query, row, i, dim);
  }
}

}  // namespace exact_distance_detail
#endif

// ---- table rows

namespace exact_distance_detail {

template <Form form>
inline constexpr ExactDistanceFn table[isa_count] = {
    distances_scalar<form>,
#if ANNBENCH_HAS_AVX2
    distances_avx2<form>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    distances_avx512<form>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    distances_neon<form>,
#else
    nullptr,
#endif
};

}  // namespace exact_distance_detail

inline constexpr const auto& exact_dot_table = exact_distance_detail::table<exact_distance_detail::Form::dot>;
inline constexpr const auto& exact_squared_l2_table =
    exact_distance_detail::table<exact_distance_detail::Form::squared_l2>;

}  // namespace annbench
