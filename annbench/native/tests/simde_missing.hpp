// The AVX-512 intrinsics that our kernels use and SIMDe (as of 0.7.4) does not spell out. Tests only.
// After the operation sections of the instruction-set reference: a lane whose mask bit is 0 is not accessed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "support/half.hpp"

using __mmask8 = std::uint8_t;
using __mmask16 = std::uint16_t;

namespace annbench::simde_missing {

inline simde__m512 maskz_loadu_ps(__mmask16 mask, const void* from) {
  float lanes[16] = {};
  for (int i = 0; i < 16; ++i)
    if ((mask >> i) & 1) std::memcpy(lanes + i, static_cast<const float*>(from) + i, sizeof(float));
  return simde_mm512_loadu_ps(lanes);
}

inline simde__m512i maskz_loadu_epi64(__mmask8 mask, const void* from) {
  std::int64_t lanes[8] = {};
  for (int i = 0; i < 8; ++i)
    if ((mask >> i) & 1) std::memcpy(lanes + i, static_cast<const std::int64_t*>(from) + i, sizeof(std::int64_t));
  return simde_mm512_loadu_si512(lanes);
}

inline simde__m512i mask_expandloadu_epi64(simde__m512i other, __mmask8 mask, const void* from) {
  std::int64_t lanes[8];
  std::memcpy(lanes, &other, sizeof(lanes));
  const auto* next = static_cast<const std::int64_t*>(from);
  for (int i = 0; i < 8; ++i)
    if ((mask >> i) & 1) std::memcpy(lanes + i, next++, sizeof(std::int64_t));
  return simde_mm512_loadu_si512(lanes);
}

inline simde__m512i mulhi_epu16(simde__m512i a, simde__m512i b) {
  std::uint16_t of_a[32], of_b[32];
  std::memcpy(of_a, &a, sizeof of_a);
  std::memcpy(of_b, &b, sizeof of_b);
  for (int i = 0; i < 32; ++i) of_a[i] = static_cast<std::uint16_t>(std::uint32_t{of_a[i]} * of_b[i] >> 16);
  return simde_mm512_loadu_si512(of_a);
}

template <class T, class Vector>
inline void mask_storeu(void* to, __mmask16 mask, Vector value) {
  T lanes[16];
  static_assert(sizeof(lanes) == sizeof(value));
  std::memcpy(lanes, &value, sizeof(lanes));
  for (int i = 0; i < 16; ++i)
    if ((mask >> i) & 1) std::memcpy(static_cast<T*>(to) + i, lanes + i, sizeof(T));
}

inline simde__m512d cvtps_pd(simde__m256 value) {
  float narrow[8];
  double wide[8];
  std::memcpy(narrow, &value, sizeof(narrow));
  for (int i = 0; i < 8; ++i) wide[i] = static_cast<double>(narrow[i]);
  return simde_mm512_loadu_pd(wide);
}

inline simde__m512 cvtepi32_ps(simde__m512i value) {
  std::int32_t integers[16];
  float lanes[16];
  std::memcpy(integers, &value, sizeof(integers));
  for (int i = 0; i < 16; ++i) lanes[i] = static_cast<float>(integers[i]);
  return simde_mm512_loadu_ps(lanes);
}

inline simde__m512 cvtph_ps(simde__m256i value) {
  std::uint16_t halves[16];
  float lanes[16];
  std::memcpy(halves, &value, sizeof(halves));
  for (int i = 0; i < 16; ++i) lanes[i] = float_of_half(halves[i]);
  return simde_mm512_loadu_ps(lanes);
}

// SIMDe has it, but rounds twice.
inline simde__m512 fmadd_ps(simde__m512 a, simde__m512 b, simde__m512 c) {
  float x[16], y[16], z[16];
  std::memcpy(x, &a, sizeof(x));
  std::memcpy(y, &b, sizeof(y));
  std::memcpy(z, &c, sizeof(z));
  for (int i = 0; i < 16; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return simde_mm512_loadu_ps(z);
}

// The lanes of a vector as numbers of type T, each made what `make` says, as lanes of another.
template <class To, class T, class Vector, class Make>
inline To each(Vector value, Make make) {
  constexpr std::size_t count = sizeof(value) / sizeof(T);
  T lanes[count];
  std::memcpy(lanes, &value, sizeof(value));
  decltype(make(lanes[0])) made[count];
  for (std::size_t i = 0; i < count; ++i) made[i] = make(lanes[i]);
  To all;
  static_assert(sizeof(all) == sizeof(made));
  std::memcpy(&all, made, sizeof(made));
  return all;
}

inline simde__m512i srai_epi32(simde__m512i value, unsigned by) {
  return each<simde__m512i, std::int32_t>(value, [by](std::int32_t lane) { return lane >> by; });
}
inline simde__m512i cvtps_epi32(simde__m512 value) {
  return each<simde__m512i, float>(value, [](float lane) { return static_cast<std::int32_t>(std::nearbyint(lane)); });
}
inline simde__m128i cvtepi32_epi8(simde__m512i value) {
  return each<simde__m128i, std::int32_t>(value, [](std::int32_t lane) { return static_cast<std::int8_t>(lane); });
}
inline simde__m256i cvtepi32_epi16(simde__m512i value) {
  return each<simde__m256i, std::int32_t>(value, [](std::int32_t lane) { return static_cast<std::int16_t>(lane); });
}

inline __mmask8 cmplt_epu64_mask(simde__m512i a, simde__m512i b) {
  std::uint64_t x[8], y[8];
  std::memcpy(x, &a, sizeof(x));
  std::memcpy(y, &b, sizeof(y));
  unsigned mask = 0;
  for (int i = 0; i < 8; ++i) mask |= static_cast<unsigned>(x[i] < y[i]) << i;
  return static_cast<__mmask8>(mask);
}

inline simde__m256i maskz_loadu_epi16(__mmask16 mask, const void* from) {
  std::int16_t lanes[16] = {};
  for (int i = 0; i < 16; ++i)
    if ((mask >> i) & 1) std::memcpy(lanes + i, static_cast<const std::int16_t*>(from) + i, sizeof(std::int16_t));
  simde__m256i all;
  std::memcpy(&all, lanes, sizeof(all));
  return all;
}

inline std::int32_t reduce_add_epi32(simde__m512i value) {
  std::int32_t lanes[16], sum = 0;
  std::memcpy(lanes, &value, sizeof(lanes));
  for (const std::int32_t lane : lanes) sum += lane;
  return sum;
}
inline float reduce_max_ps(simde__m512 value) {
  float lanes[16];
  std::memcpy(lanes, &value, sizeof(lanes));
  float largest = lanes[0];
  for (const float lane : lanes) largest = largest < lane ? lane : largest;
  return largest;
}

inline float reduce_add_ps(simde__m512 value) {
  float lanes[16];
  std::memcpy(lanes, &value, sizeof(lanes));
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

inline simde__m256 cvtpd_ps(simde__m512d value) {
  double wide[8];
  float narrow[8];
  std::memcpy(wide, &value, sizeof(wide));
  for (int i = 0; i < 8; ++i) narrow[i] = static_cast<float>(wide[i]);
  return simde_mm256_loadu_ps(narrow);
}

inline simde__m512i cvtepi8_epi32(simde__m128i value) {
  std::int8_t narrow[16];
  std::int32_t wide[16];
  std::memcpy(narrow, &value, sizeof(narrow));
  for (int i = 0; i < 16; ++i) wide[i] = narrow[i];
  return simde_mm512_loadu_si512(wide);
}

inline simde__m512i maskz_alignr_epi64(__mmask8 mask, simde__m512i high, simde__m512i low, int by) {
  std::int64_t both[16], lanes[8];
  std::memcpy(both, &low, sizeof(lanes));
  std::memcpy(both + 8, &high, sizeof(lanes));
  for (int i = 0; i < 8; ++i) lanes[i] = ((mask >> i) & 1) != 0 ? both[i + by] : 0;
  return simde_mm512_loadu_si512(lanes);
}

}  // namespace annbench::simde_missing

#undef _mm512_maskz_loadu_ps
#undef _mm512_maskz_loadu_epi64
#undef _mm512_mask_expandloadu_epi64
#undef _mm512_maskz_expandloadu_epi64
#undef _mm512_mask_storeu_ps
#undef _mm512_mask_storeu_epi32
#undef _mm512_mulhi_epu16
#undef _mm512_cvtps_pd
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtph_ps
#undef _mm512_fmadd_ps
#undef _mm512_madd_epi16
#undef _mm512_srai_epi32
#undef _mm512_cvtps_epi32
#undef _mm512_cvtepi32_epi8
#undef _mm512_cvtepi32_epi16
#undef _mm512_cmplt_epu64_mask
#undef _mm512_reduce_add_epi32
#undef _mm512_reduce_max_ps
#undef _mm256_maskz_loadu_epi16
#undef _mm512_reduce_add_ps
#define _mm512_cvtpd_ps(value) annbench::simde_missing::cvtpd_ps(value)
#define _mm512_cvtepi8_epi32(value) annbench::simde_missing::cvtepi8_epi32(value)
#define _mm512_maskz_alignr_epi64(mask, high, low, by) annbench::simde_missing::maskz_alignr_epi64(mask, high, low, by)
#define _mm512_alignr_epi64(high, low, by) annbench::simde_missing::maskz_alignr_epi64(0xff, high, low, by)
#define _mm512_maskz_loadu_ps(mask, from) annbench::simde_missing::maskz_loadu_ps(mask, from)
#define _mm512_maskz_loadu_epi64(mask, from) annbench::simde_missing::maskz_loadu_epi64(mask, from)
#define _mm512_mask_expandloadu_epi64(other, mask, from) annbench::simde_missing::mask_expandloadu_epi64(other, mask, from)
#define _mm512_maskz_expandloadu_epi64(mask, from) \
  annbench::simde_missing::mask_expandloadu_epi64(simde_mm512_setzero_si512(), mask, from)
#define _mm512_mask_storeu_ps(to, mask, value) annbench::simde_missing::mask_storeu<float>(to, mask, value)
#define _mm512_mask_storeu_epi32(to, mask, value) annbench::simde_missing::mask_storeu<std::int32_t>(to, mask, value)
#define _mm512_mulhi_epu16(a, b) annbench::simde_missing::mulhi_epu16(a, b)
#define _mm512_cvtps_pd(value) annbench::simde_missing::cvtps_pd(value)
#define _mm512_cvtepi32_ps(value) annbench::simde_missing::cvtepi32_ps(value)
#define _mm512_cvtph_ps(value) annbench::simde_missing::cvtph_ps(value)
#define _mm512_reduce_add_ps(value) annbench::simde_missing::reduce_add_ps(value)
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)  // there, under a name with two more parameters
#define _mm512_fmadd_ps(a, b, c) annbench::simde_missing::fmadd_ps(a, b, c)
#define _mm512_srai_epi32(value, by) annbench::simde_missing::srai_epi32(value, by)
#define _mm512_cvtps_epi32(value) annbench::simde_missing::cvtps_epi32(value)
#define _mm512_cvtepi32_epi8(value) annbench::simde_missing::cvtepi32_epi8(value)
#define _mm512_cvtepi32_epi16(value) annbench::simde_missing::cvtepi32_epi16(value)
#define _mm512_cmplt_epu64_mask(a, b) annbench::simde_missing::cmplt_epu64_mask(a, b)
#define _mm512_reduce_add_epi32(value) annbench::simde_missing::reduce_add_epi32(value)
#define _mm512_reduce_max_ps(value) annbench::simde_missing::reduce_max_ps(value)
#define _mm256_maskz_loadu_epi16(mask, from) annbench::simde_missing::maskz_loadu_epi16(mask, from)
