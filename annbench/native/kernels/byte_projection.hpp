// byte_projection: sums of W·x in bytes for many x or for one, W packed once.
//
// Contract
//   sums[r·dim_out + i] = Σ_k W[i][k]·x[r][k],  r < count, i < dim_out, k < 4·fours
//   W has signed bytes, none of them −128, x unsigned ones, four and four in a 32-bit integer, `fours` of them a row, filled
//   up with zeros. The sums are exact for rows of up to 2¹⁶ values.
//   W lies in panels of 16 outputs, packed by pack_projection. The packed form may begin at any address and is all that is
//   read of W; nothing is read beyond x or written beyond `sums`. `fours` may be 0: the sums are then 0.
//
// With VNNI half the instructions of fixed_projection, and half the memory, for what codes of few bits are compared with; AVX2
// has to widen bytes and is slower than with 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"
#include "kernels/projection_tiles.hpp"

namespace annbench {

using ByteProjectionFn = void (*)(const std::int32_t* packed, std::size_t fours, std::size_t dim_out, const std::int32_t* x,
                                  std::size_t count, std::int32_t* sums);

inline constexpr std::size_t byte_fours(std::size_t dim) { return (dim + 3) / 4; }
inline constexpr std::size_t byte_projection_most = std::size_t{1} << 16;  // inputs

namespace byte_projection_detail {

// The sum of the products of four signed bytes and four unsigned ones.
inline std::int32_t four_dot(std::int32_t w, std::int32_t x) {
  std::int32_t sum = 0;
  for (int shift = 0; shift < 32; shift += 8)
    sum += static_cast<std::int8_t>(w >> shift) * static_cast<std::int32_t>(static_cast<std::uint8_t>(x >> shift));
  return sum;
}

inline void byte_projection_scalar(const std::int32_t* packed, std::size_t fours, std::size_t dim_out, const std::int32_t* x,
                                   std::size_t count, std::int32_t* sums) {
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < dim_out; ++i) {
      const std::int32_t* weights = packed + projection_panel * (i / projection_panel * fours) + i % projection_panel;
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < fours; ++k) sum += four_dot(weights[projection_panel * k], x[r * fours + k]);
      sums[r * dim_out + i] = sum;
    }
}

}  // namespace byte_projection_detail

// ---- registers

namespace byte_projection_detail {

#if ANNBENCH_HAS_AVX2
// Bytes widened to 16 bits, those of even and of odd place: sums of two products of bytes would not fit into 16.
struct FoursAvx2 : projection_tiles::IntegersAvx2 {
  ANNBENCH_TARGET_AVX2 static Register multiply_add(Register w, Register x, Register sum) {
    const __m256i even = _mm256_madd_epi16(_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_and_si256(x, _mm256_set1_epi16(255)));
    const __m256i odd = _mm256_madd_epi16(_mm256_srai_epi16(w, 8), _mm256_srli_epi16(x, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
};
#endif

#if ANNBENCH_HAS_AVX512
struct FoursVnni : projection_tiles::IntegersVnni {
  ANNBENCH_TARGET_VNNI static Register multiply_add(Register w, Register x, Register sum) {
    return _mm512_dpbusd_epi32(sum, x, w);
  }
};
#endif

#if ANNBENCH_HAS_NEON
// x less 128, whose products with w are added to again what that takes away.
struct FoursNeon : projection_tiles::IntegersNeon {
  static Register multiply_add(Register fours, std::int32_t four, Register sum) {
    const int8x16_t w = vreinterpretq_s8_s32(fours);
    const int8x16_t x = vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s32(vdupq_n_s32(four)), vdupq_n_u8(128)));
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x))), high = vpaddlq_s16(vmull_high_s8(w, x));
    const int32x4_t taken = vshlq_n_s32(vpaddlq_s16(vpaddlq_s8(w)), 7);
    return vaddq_s32(sum, vaddq_s32(vpaddq_s32(low, high), taken));
  }
};
#endif

}  // namespace byte_projection_detail

// ---- table rows

inline constexpr ByteProjectionFn byte_projection_table[isa_count] = {
    byte_projection_detail::byte_projection_scalar,
#if ANNBENCH_HAS_AVX2
    projection_tiles::project<projection_tiles::TilesAvx2<byte_projection_detail::FoursAvx2>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    projection_tiles::project<projection_tiles::TilesVnni<byte_projection_detail::FoursVnni>>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    projection_tiles::project<projection_tiles::TilesNeon<byte_projection_detail::FoursNeon>>,
#else
    nullptr,
#endif
};

}  // namespace annbench
