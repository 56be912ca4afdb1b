// projection: y = W·x for many x or for one, W packed once.
//
// Contract
//   y[r·dim_out + i] = Σ_k W[i][k]·x[r·dim_in + k],  r < count, i < dim_out
//   W lies in panels of 16 outputs, packed by pack_projection. The packed form may begin at any address and is all that is
//   read of W; nothing is read beyond x or written beyond y. dim_in may be 0: y is then 0.
//   Order of summation: k in blocks of 256; within a block s ← fma(W[i][k], x[k], s) from 0 in increasing k; the sums of the
//   blocks are added in order. It depends on nothing else: every ISA gives the same bits, and a row gives the same bits alone
//   as among others. Against exact arithmetic, with u = 2⁻²⁴ and m = min(dim_in, 256) + ⌈dim_in/256⌉:
//     |error| <= γ(m)·Σ_k |W[i][k]·x[k]|,   γ(m) = m·u/(1 − m·u),
//   as long as nothing leaves the normal range of float32. NaN and infinity propagate (which NaN is unspecified).
#pragma once

#include <cmath>
#include <cstddef>

#include "kernels/isa.hpp"
#include "kernels/projection_tiles.hpp"

namespace annbench {

using ProjectionFn = void (*)(const float* packed, std::size_t dim_in, std::size_t dim_out, const float* x,
                              std::size_t count, float* y);

// ---- scalar reference

namespace projection_detail {

inline void projection_scalar(const float* packed, std::size_t dim_in, std::size_t dim_out, const float* x,
                              std::size_t count, float* y) {
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < dim_out; ++i) {
      const float* weights = packed + projection_panel * (i / projection_panel * dim_in) + i % projection_panel;
      float total = 0;
      for (std::size_t k = 0; k < dim_in; k += projection_block) {
        float sum = 0;
        for (std::size_t j = k; j < dim_in && j < k + projection_block; ++j)
          sum = std::fma(weights[projection_panel * j], x[r * dim_in + j], sum);
        total = k == 0 ? sum : total + sum;
      }
      y[r * dim_out + i] = total;
    }
}

}  // namespace projection_detail

// ---- registers

namespace projection_detail {

#if ANNBENCH_HAS_AVX2
struct FloatsAvx2 {
  using Number = float;
  using Register = __m256;
  ANNBENCH_TARGET_AVX2 static Register zero() { return _mm256_setzero_ps(); }
  ANNBENCH_TARGET_AVX2 static Register load(const float* at) { return _mm256_loadu_ps(at); }
  ANNBENCH_TARGET_AVX2 static void store(float* at, Register value) { _mm256_storeu_ps(at, value); }
  ANNBENCH_TARGET_AVX2 static Register all(float value) { return _mm256_set1_ps(value); }
  ANNBENCH_TARGET_AVX2 static Register add(Register a, Register b) { return _mm256_add_ps(a, b); }
  ANNBENCH_TARGET_AVX2 static Register multiply_add(Register w, Register x, Register sum) {
    return _mm256_fmadd_ps(w, x, sum);
  }
};
#endif

#if ANNBENCH_HAS_AVX512
struct FloatsAvx512 {
  using Number = float;
  using Register = __m512;
  ANNBENCH_TARGET_VNNI static Register zero() { return _mm512_setzero_ps(); }
  ANNBENCH_TARGET_VNNI static Register load(const float* at) { return _mm512_loadu_ps(at); }
  ANNBENCH_TARGET_VNNI static void store(float* at, Register value) { _mm512_storeu_ps(at, value); }
  ANNBENCH_TARGET_VNNI static Register all(float value) { return _mm512_set1_ps(value); }
  ANNBENCH_TARGET_VNNI static Register add(Register a, Register b) { return _mm512_add_ps(a, b); }
  ANNBENCH_TARGET_VNNI static Register multiply_add(Register w, Register x, Register sum) {
    return _mm512_fmadd_ps(w, x, sum);
  }
};
#endif

#if ANNBENCH_HAS_NEON
struct FloatsNeon {
  using Number = float;
  using Register = float32x4_t;
  static constexpr int panels_of_two = 2, panels_of_one = 4;
  static Register zero() { return vdupq_n_f32(0); }
  static Register load(const float* at) { return vld1q_f32(at); }
  static void store(float* at, Register value) { vst1q_f32(at, value); }
  static Register add(Register a, Register b) { return vaddq_f32(a, b); }
  static Register multiply_add(Register w, float x, Register sum) { return vfmaq_n_f32(sum, w, x); }
};
#endif

}  // namespace projection_detail

// ---- table rows

inline constexpr ProjectionFn projection_table[isa_count] = {
    projection_detail::projection_scalar,
#if ANNBENCH_HAS_AVX2
    projection_tiles::project<projection_tiles::TilesAvx2<projection_detail::FloatsAvx2>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    projection_tiles::project<projection_tiles::TilesVnni<projection_detail::FloatsAvx512>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    projection_tiles::project<projection_tiles::TilesNeon<projection_detail::FloatsNeon>>,
#else
    nullptr,
#endif
};

}  // namespace annbench
