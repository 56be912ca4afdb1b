// half_values: what IEEE halves stand for, times a scale.
//
// Contract
//   out[i] = scale·x[i], x[i] a half, i < count; scale is a power of two.
//   A half is exactly a float, and so is the product unless it leaves the normal range: every ISA gives the same bits there.
//   NaN stays NaN. Nothing is read or written beyond count; no alignment is needed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "support/half.hpp"

namespace annbench {

using HalfValuesFn = void (*)(const std::uint16_t* halves, std::size_t count, float scale, float* out);

// ---- scalar reference

inline void half_values_scalar(const std::uint16_t* halves, std::size_t count, float scale, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = scale * float_of_half(halves[i]);
}

// ---- AVX2 with F16C

#if ANNBENCH_HAS_AVX2
__attribute__((target("avx2,f16c"))) inline void half_values_avx2(const std::uint16_t* halves, std::size_t count,
                                                                  float scale, float* out) {
  const __m256 scales = _mm256_set1_ps(scale);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 values = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i)));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(scales, values));
  }
  for (; i < count; ++i) out[i] = scale * float_of_half(halves[i]);
}
#endif

// ---- AVX-512

#if ANNBENCH_HAS_AVX512
ANNBENCH_TARGET_AVX512 inline void half_values_avx512(const std::uint16_t* halves, std::size_t count, float scale,
                                                      float* out) {
  const __m512 scales = _mm512_set1_ps(scale);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512 values = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves + i)));
    _mm512_storeu_ps(out + i, _mm512_mul_ps(scales, values));
  }
  for (; i < count; ++i) out[i] = scale * float_of_half(halves[i]);
}
#endif

// ---- NEON

#if ANNBENCH_HAS_NEON
inline void half_values_neon(const std::uint16_t* halves, std::size_t count, float scale, float* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const float16x8_t eight = vreinterpretq_f16_u16(vld1q_u16(halves + i));
    vst1q_f32(out + i, vmulq_n_f32(vcvt_f32_f16(vget_low_f16(eight)), scale));
    vst1q_f32(out + i + 4, vmulq_n_f32(vcvt_high_f32_f16(eight), scale));
  }
  for (; i < count; ++i) out[i] = scale * float_of_half(halves[i]);
}
#endif

// ---- table row

inline constexpr HalfValuesFn half_values_table[isa_count] = {
    half_values_scalar,
#if ANNBENCH_HAS_AVX2
    half_values_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    half_values_avx512,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    half_values_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
