// hadamard: the Walsh–Hadamard transform of a vector of 2^m floats, in place, not normalised.
//
// Contract
//   v ← H·v, H the Hadamard matrix of order n in natural order: m rounds, of stride 1, 2, 4, …, n/2, that replace the pair
//   (a, b) at distance `stride` by (a + b, a − b). n is a power of two, 1 included.
//   Every pair is one addition and one subtraction, in that order of rounds: every ISA gives the same bits.
//   Nothing is read or written beyond n; no alignment is needed.
#pragma once

#include <cstddef>

#include "kernels/isa.hpp"

namespace annbench {

using HadamardFn = void (*)(float* v, std::size_t n);

// ---- scalar reference

inline void hadamard_scalar(float* v, std::size_t n) {
  for (std::size_t stride = 1; stride < n; stride *= 2)
    for (std::size_t first = 0; first < n; first += 2 * stride)
      for (std::size_t i = first; i < first + stride; ++i) {
        const float a = v[i], b = v[i + stride];
        v[i] = a + b;
        v[i + stride] = a - b;
      }
}

// ---- AVX2: the first three rounds inside a register, the others two at a time, so that each value is loaded half as often

#if ANNBENCH_HAS_AVX2
namespace hadamard_detail {

// Rounds of stride 1, 2 and 4 of eight values: the partner of each is shuffled to its place, negated where it is `b`.
ANNBENCH_TARGET_AVX2 inline __m256 eight_avx2(__m256 x) {
  const __m256 odd = _mm256_castsi256_ps(_mm256_set_epi32(1 << 31, 0, 1 << 31, 0, 1 << 31, 0, 1 << 31, 0));
  const __m256 upper_pair = _mm256_castsi256_ps(_mm256_set_epi32(1 << 31, 1 << 31, 0, 0, 1 << 31, 1 << 31, 0, 0));
  const __m256 upper_half = _mm256_castsi256_ps(_mm256_set_epi32(1 << 31, 1 << 31, 1 << 31, 1 << 31, 0, 0, 0, 0));
  x = _mm256_add_ps(_mm256_permute_ps(x, 0xb1), _mm256_xor_ps(x, odd));
  x = _mm256_add_ps(_mm256_permute_ps(x, 0x4e), _mm256_xor_ps(x, upper_pair));
  return _mm256_add_ps(_mm256_permute2f128_ps(x, x, 0x01), _mm256_xor_ps(x, upper_half));
}

ANNBENCH_TARGET_AVX2 inline void round_avx2(float* v, std::size_t n, std::size_t stride) {
  for (std::size_t first = 0; first < n; first += 2 * stride)
    for (std::size_t i = first; i < first + stride; i += 8) {
      const __m256 a = _mm256_loadu_ps(v + i), b = _mm256_loadu_ps(v + i + stride);
      _mm256_storeu_ps(v + i, _mm256_add_ps(a, b));
      _mm256_storeu_ps(v + i + stride, _mm256_sub_ps(a, b));
    }
}

ANNBENCH_TARGET_AVX2 inline void two_rounds_avx2(float* v, std::size_t n, std::size_t stride) {
  for (std::size_t first = 0; first < n; first += 4 * stride)
    for (std::size_t i = first; i < first + stride; i += 8) {
      const __m256 a = _mm256_loadu_ps(v + i), b = _mm256_loadu_ps(v + i + stride);
      const __m256 c = _mm256_loadu_ps(v + i + 2 * stride), d = _mm256_loadu_ps(v + i + 3 * stride);
      const __m256 ab = _mm256_add_ps(a, b), a_b = _mm256_sub_ps(a, b);
      const __m256 cd = _mm256_add_ps(c, d), c_d = _mm256_sub_ps(c, d);
      _mm256_storeu_ps(v + i, _mm256_add_ps(ab, cd));
      _mm256_storeu_ps(v + i + stride, _mm256_add_ps(a_b, c_d));
      _mm256_storeu_ps(v + i + 2 * stride, _mm256_sub_ps(ab, cd));
      _mm256_storeu_ps(v + i + 3 * stride, _mm256_sub_ps(a_b, c_d));
    }
}

}  // namespace hadamard_detail

ANNBENCH_TARGET_AVX2 inline void hadamard_avx2(float* v, std::size_t n) {
  using namespace hadamard_detail;
  if (n < 8) return hadamard_scalar(v, n);
  for (std::size_t i = 0; i < n; i += 8) _mm256_storeu_ps(v + i, eight_avx2(_mm256_loadu_ps(v + i)));
  std::size_t stride = 8;
  for (; 4 * stride <= n; stride *= 4) two_rounds_avx2(v, n, stride);
  if (2 * stride <= n) round_avx2(v, n, stride);
}
#endif

// ---- NEON: the first two rounds inside a register

#if ANNBENCH_HAS_NEON
inline void hadamard_neon(float* v, std::size_t n) {
  if (n < 4) return hadamard_scalar(v, n);
  for (std::size_t i = 0; i < n; i += 4) {
    const float32x4_t x = vld1q_f32(v + i), swapped = vrev64q_f32(x);
    // (a + b, a − b, c + d, c − d)
    const float32x4_t pairs = vtrn1q_f32(vaddq_f32(x, swapped), vsubq_f32(x, swapped));
    const float32x2_t low = vget_low_f32(pairs), high = vget_high_f32(pairs);
    vst1q_f32(v + i, vcombine_f32(vadd_f32(low, high), vsub_f32(low, high)));
  }
  for (std::size_t stride = 4; stride < n; stride *= 2)
    for (std::size_t first = 0; first < n; first += 2 * stride)
      for (std::size_t i = first; i < first + stride; i += 4) {
        const float32x4_t a = vld1q_f32(v + i), b = vld1q_f32(v + i + stride);
        vst1q_f32(v + i, vaddq_f32(a, b));
        vst1q_f32(v + i + stride, vsubq_f32(a, b));
      }
}
#endif

// ---- table row; a vector of a few hundred floats gains nothing from wider registers

inline constexpr HadamardFn hadamard_table[isa_count] = {
    hadamard_scalar,
#if ANNBENCH_HAS_AVX2
    hadamard_avx2,
    hadamard_avx2,
#elif ANNBENCH_HAS_AVX512
    nullptr,
    hadamard_scalar,  // emulated builds have no AVX2
#else
    nullptr,
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    hadamard_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
