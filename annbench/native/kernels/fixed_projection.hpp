// fixed_projection: sums of W·x in fixed point for many x or for one, W packed once.
//
// Contract
//   sums[r·dim_out + i] = Σ_k W[i][k]·x[r][k],  r < count, i < dim_out, k < 2·pairs
//   W and x are 16-bit integers, none of them −32768, two and two in a 32-bit integer, `pairs` of them a row; an odd number
//   is made even by a 0. The sums are exact if those of every row of W with every x, over whatever part of the inputs, stay
//   within 32 bits. Those of rows of length 2¹⁵ do, by Cauchy and Schwarz: transforms/fixed_row.hpp makes such.
//   W lies in panels of 16 outputs, packed by pack_projection. The packed form may begin at any address and is all that is
//   read of W; nothing is read beyond x or written beyond `sums`. `pairs` may be 0: the sums are then 0.
//
// A value is off by 2⁻¹⁶ of its row's length at most, in the mean as exact as IEEE halves. A product of two values takes half
// the lane of an instruction that floats take, and W half the memory; sums of integers are the same in any order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "kernels/projection_tiles.hpp"

namespace annbench {

using FixedProjectionFn = void (*)(const std::int32_t* packed, std::size_t pairs, std::size_t dim_out,
                                   const std::int32_t* x, std::size_t count, std::int32_t* sums);

inline constexpr std::size_t fixed_pairs(std::size_t dim) { return (dim + 1) / 2; }

namespace fixed_projection_detail {

// The sum of the products of two pairs.
inline std::int32_t pair_dot(std::int32_t a, std::int32_t b) {
  const auto low = [](std::int32_t pair) { return static_cast<std::int32_t>(static_cast<std::int16_t>(pair)); };
  return low(a) * low(b) + (a >> 16) * (b >> 16);
}

inline void fixed_projection_scalar(const std::int32_t* packed, std::size_t pairs, std::size_t dim_out,
                                    const std::int32_t* x, std::size_t count, std::int32_t* sums) {
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < dim_out; ++i) {
      const std::int32_t* weights = packed + projection_panel * (i / projection_panel * pairs) + i % projection_panel;
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < pairs; ++k) sum += pair_dot(weights[projection_panel * k], x[r * pairs + k]);
      sums[r * dim_out + i] = sum;
    }
}

}  // namespace fixed_projection_detail

// ---- registers

namespace fixed_projection_detail {

#if ANNBENCH_HAS_AVX2
struct PairsAvx2 : projection_tiles::IntegersAvx2 {
  ANNBENCH_TARGET_AVX2 static Register multiply_add(Register w, Register x, Register sum) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
  }
};
#endif

#if ANNBENCH_HAS_AVX512
struct PairsVnni : projection_tiles::IntegersVnni {
  ANNBENCH_TARGET_VNNI static Register multiply_add(Register w, Register x, Register sum) {
    return _mm512_dpwssd_epi32(sum, w, x);
  }
};
#endif

#if ANNBENCH_HAS_NEON
struct PairsNeon : projection_tiles::IntegersNeon {
  static Register multiply_add(Register pairs, std::int32_t pair, Register sum) {
    const int16x8_t w = vreinterpretq_s16_s32(pairs), x = vreinterpretq_s16_s32(vdupq_n_s32(pair));
    return vaddq_s32(sum, vpaddq_s32(vmull_s16(vget_low_s16(w), vget_low_s16(x)), vmull_high_s16(w, x)));
  }
};
#endif

}  // namespace fixed_projection_detail

// ---- table rows

inline constexpr FixedProjectionFn fixed_projection_table[isa_count] = {
    fixed_projection_detail::fixed_projection_scalar,
#if ANNBENCH_HAS_AVX2
    projection_tiles::project<projection_tiles::TilesAvx2<fixed_projection_detail::PairsAvx2>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    projection_tiles::project<projection_tiles::TilesVnni<fixed_projection_detail::PairsVnni>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    projection_tiles::project<projection_tiles::TilesNeon<fixed_projection_detail::PairsNeon>>,
#else
    nullptr,
#endif
};

}  // namespace annbench
