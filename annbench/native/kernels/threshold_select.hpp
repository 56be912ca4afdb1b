// threshold_select: which scores of a row are at least a threshold?
//
// Contract
//   value(i) = scores[i]                 adjust == none
//              scores[i] + terms[i]      adjust == add        (one float32 rounding)
//              scores[i] * terms[i]      adjust == multiply   (one float32 rounding)
//   Writes i and value(i) for every i < count with value(i) >= threshold, in increasing i, and returns how many.
//   A NaN value is never selected; a NaN threshold selects nothing. `terms` is not read when adjust == none.
//   `indices` and `values` hold `count` entries; nothing is written beyond the entries returned, nothing read beyond
//   `count`. No alignment is needed. Every ISA writes the same bits.
//
// Most rows of an exhaustive search select almost nothing, so the vector versions look at many scores at a time and
// pay for an entry only when there is one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"

namespace annbench {

enum class Adjust : int { none = 0, add = 1, multiply = 2 };

using ThresholdSelectFn = std::size_t (*)(const float* scores, const float* terms, Adjust adjust, std::size_t count,
                                          float threshold, std::uint32_t* indices, float* values);

namespace threshold_select_detail {

inline float value_at(const float* scores, const float* terms, Adjust adjust, std::size_t i) {
  switch (adjust) {
    case Adjust::add: return scores[i] + terms[i];
    case Adjust::multiply: return scores[i] * terms[i];
    case Adjust::none: break;
  }
  return scores[i];
}

}  // namespace threshold_select_detail

// ---- scalar reference

inline std::size_t threshold_select_scalar(const float* scores, const float* terms, Adjust adjust, std::size_t count,
                                           float threshold, std::uint32_t* indices, float* values) {
  std::size_t selected = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float value = threshold_select_detail::value_at(scores, terms, adjust, i);
    if (value >= threshold) {
      indices[selected] = static_cast<std::uint32_t>(i);
      values[selected] = value;
      ++selected;
    }
  }
  return selected;
}

// ---- AVX2: compare 32 scores, look closer only when one of them passes

#if ANNBENCH_HAS_AVX2
namespace threshold_select_detail {

template <Adjust adjust>
ANNBENCH_TARGET_AVX2 inline __m256 values_avx2(const float* scores, const float* terms, std::size_t i) {
  const __m256 score = _mm256_loadu_ps(scores + i);
  if constexpr (adjust == Adjust::add) return _mm256_add_ps(score, _mm256_loadu_ps(terms + i));
  if constexpr (adjust == Adjust::multiply) return _mm256_mul_ps(score, _mm256_loadu_ps(terms + i));
  return score;
}

template <Adjust adjust>
ANNBENCH_TARGET_AVX2 inline std::size_t select_avx2(const float* scores, const float* terms, std::size_t count,
                                                    float threshold, std::uint32_t* indices, float* values) {
  constexpr std::size_t step = 32;
  const __m256 limit = _mm256_set1_ps(threshold);
  std::size_t selected = 0;
  std::size_t i = 0;
  for (; i + step <= count; i += step) {
    const __m256 a = _mm256_cmp_ps(values_avx2<adjust>(scores, terms, i), limit, _CMP_GE_OQ);
    const __m256 b = _mm256_cmp_ps(values_avx2<adjust>(scores, terms, i + 8), limit, _CMP_GE_OQ);
    const __m256 c = _mm256_cmp_ps(values_avx2<adjust>(scores, terms, i + 16), limit, _CMP_GE_OQ);
    const __m256 d = _mm256_cmp_ps(values_avx2<adjust>(scores, terms, i + 24), limit, _CMP_GE_OQ);
    if (_mm256_movemask_ps(_mm256_or_ps(_mm256_or_ps(a, b), _mm256_or_ps(c, d))) == 0) continue;
    std::uint32_t mask = static_cast<std::uint32_t>(_mm256_movemask_ps(a)) |
                         static_cast<std::uint32_t>(_mm256_movemask_ps(b)) << 8 |
                         static_cast<std::uint32_t>(_mm256_movemask_ps(c)) << 16 |
                         static_cast<std::uint32_t>(_mm256_movemask_ps(d)) << 24;
    for (; mask != 0; mask &= mask - 1) {
      const std::size_t hit = i + static_cast<std::size_t>(__builtin_ctz(mask));
      indices[selected] = static_cast<std::uint32_t>(hit);
      values[selected] = value_at(scores, terms, adjust, hit);
      ++selected;
    }
  }
  for (; i < count; ++i) {
    const float value = value_at(scores, terms, adjust, i);
    if (value >= threshold) {
      indices[selected] = static_cast<std::uint32_t>(i);
      values[selected] = value;
      ++selected;
    }
  }
  return selected;
}

}  // namespace threshold_select_detail

ANNBENCH_TARGET_AVX2 inline std::size_t threshold_select_avx2(const float* scores, const float* terms, Adjust adjust,
                                                              std::size_t count, float threshold,
                                                              std::uint32_t* indices, float* values) {
  using namespace threshold_select_detail;
  switch (adjust) {
    case Adjust::add: return select_avx2<Adjust::add>(scores, terms, count, threshold, indices, values);
    case Adjust::multiply: return select_avx2<Adjust::multiply>(scores, terms, count, threshold, indices, values);
    case Adjust::none: break;
  }
  return select_avx2<Adjust::none>(scores, terms, count, threshold, indices, values);
}
#endif

// ---- AVX-512: compress the passing lanes in a register, store just those

#if ANNBENCH_HAS_AVX512
namespace threshold_select_detail {

template <Adjust adjust>
ANNBENCH_TARGET_AVX512 inline __m512 values_avx512(const float* scores, const float* terms, std::size_t i,
                                                   __mmask16 lanes) {
  const __m512 score = _mm512_maskz_loadu_ps(lanes, scores + i);
  if constexpr (adjust == Adjust::add) return _mm512_add_ps(score, _mm512_maskz_loadu_ps(lanes, terms + i));
  if constexpr (adjust == Adjust::multiply) return _mm512_mul_ps(score, _mm512_maskz_loadu_ps(lanes, terms + i));
  return score;
}

// Compressing to memory is microcoded on some processors; compressing in a register and a masked store is not.
ANNBENCH_TARGET_AVX512 inline std::size_t store_passing_avx512(__m512 value, __mmask16 passing, std::size_t first,
                                                               std::uint32_t* indices, float* values) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i index = _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(first)));
  const int hits = __builtin_popcount(static_cast<unsigned>(passing));
  const auto front = static_cast<__mmask16>((1u << hits) - 1u);
  _mm512_mask_storeu_epi32(indices, front, _mm512_maskz_compress_epi32(passing, index));
  _mm512_mask_storeu_ps(values, front, _mm512_maskz_compress_ps(passing, value));
  return static_cast<std::size_t>(hits);
}

template <Adjust adjust>
ANNBENCH_TARGET_AVX512 inline std::size_t select_avx512(const float* scores, const float* terms, std::size_t count,
                                                        float threshold, std::uint32_t* indices, float* values) {
  constexpr std::size_t step = 16;
  const __m512 limit = _mm512_set1_ps(threshold);
  std::size_t selected = 0;
  for (std::size_t i = 0; i < count; i += step) {
    const std::size_t left = count - i;
    const auto lanes = static_cast<__mmask16>(left >= step ? 0xffffu : (1u << left) - 1u);
    const __m512 value = values_avx512<adjust>(scores, terms, i, lanes);
    const auto passing = static_cast<__mmask16>(_mm512_cmp_ps_mask(value, limit, _CMP_GE_OQ) & lanes);
    if (passing == 0) continue;
    selected += store_passing_avx512(value, passing, i, indices + selected, values + selected);
  }
  return selected;
}

}  // namespace threshold_select_detail

ANNBENCH_TARGET_AVX512 inline std::size_t threshold_select_avx512(const float* scores, const float* terms,
                                                                  Adjust adjust, std::size_t count, float threshold,
                                                                  std::uint32_t* indices, float* values) {
  using namespace threshold_select_detail;
  switch (adjust) {
    case Adjust::add: return select_avx512<Adjust::add>(scores, terms, count, threshold, indices, values);
    case Adjust::multiply: return select_avx512<Adjust::multiply>(scores, terms, count, threshold, indices, values);
    case Adjust::none: break;
  }
  return select_avx512<Adjust::none>(scores, terms, count, threshold, indices, values);
}
#endif

// ---- NEON: compare 16 scores, look closer only when one of them passes

#if ANNBENCH_HAS_NEON
namespace threshold_select_detail {

template <Adjust adjust>
inline uint32x4_t passing_neon(const float* scores, const float* terms, std::size_t i, float32x4_t limit) {
  const float32x4_t score = vld1q_f32(scores + i);
  if constexpr (adjust == Adjust::add) return vcgeq_f32(vaddq_f32(score, vld1q_f32(terms + i)), limit);
  if constexpr (adjust == Adjust::multiply) return vcgeq_f32(vmulq_f32(score, vld1q_f32(terms + i)), limit);
  return vcgeq_f32(score, limit);
}

// Four bits a lane, in order: what NEON has instead of a move-mask.
inline std::uint64_t mask_neon(uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(a), vmovn_u32(b));
  const uint16x8_t high = vcombine_u16(vmovn_u32(c), vmovn_u32(d));
  const uint8x16_t bytes = vcombine_u8(vmovn_u16(low), vmovn_u16(high));
  return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(bytes), 4)), 0);
}

template <Adjust adjust>
inline std::size_t select_neon(const float* scores, const float* terms, std::size_t count, float threshold,
                               std::uint32_t* indices, float* values) {
  constexpr std::size_t step = 16;
  const float32x4_t limit = vdupq_n_f32(threshold);
  std::size_t selected = 0;
  std::size_t i = 0;
  for (; i + step <= count; i += step) {
    const uint32x4_t a = passing_neon<adjust>(scores, terms, i, limit);
    const uint32x4_t b = passing_neon<adjust>(scores, terms, i + 4, limit);
    const uint32x4_t c = passing_neon<adjust>(scores, terms, i + 8, limit);
    const uint32x4_t d = passing_neon<adjust>(scores, terms, i + 12, limit);
    if (vmaxvq_u32(vorrq_u32(vorrq_u32(a, b), vorrq_u32(c, d))) == 0) continue;
    for (std::uint64_t mask = mask_neon(a, b, c, d); mask != 0;) {
      const auto lane = static_cast<std::size_t>(__builtin_ctzll(mask)) / 4;
      mask &= ~(std::uint64_t{0xf} << (lane * 4));
      indices[selected] = static_cast<std::uint32_t>(i + lane);
      values[selected] = value_at(scores, terms, adjust, i + lane);
      ++selected;
    }
  }
  for (; i < count; ++i) {
    const float value = value_at(scores, terms, adjust, i);
    if (value >= threshold) {
      indices[selected] = static_cast<std::uint32_t>(i);
      values[selected] = value;
      ++selected;
    }
  }
  return selected;
}

}  // namespace threshold_select_detail

inline std::size_t threshold_select_neon(const float* scores, const float* terms, Adjust adjust, std::size_t count,
                                         float threshold, std::uint32_t* indices, float* values) {
  using namespace threshold_select_detail;
  switch (adjust) {
    case Adjust::add: return select_neon<Adjust::add>(scores, terms, count, threshold, indices, values);
    case Adjust::multiply: return select_neon<Adjust::multiply>(scores, terms, count, threshold, indices, values);
    case Adjust::none: break;
  }
  return select_neon<Adjust::none>(scores, terms, count, threshold, indices, values);
}
#endif

// ---- table row

inline constexpr ThresholdSelectFn threshold_select_table[isa_count] = {
    threshold_select_scalar,
#if ANNBENCH_HAS_AVX2
    threshold_select_avx2,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    threshold_select_avx512,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    threshold_select_neon,
#else
    nullptr,
#endif
};

}  // namespace annbench
