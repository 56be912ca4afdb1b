// nibble_scores: what rows of 4-bit codes score against a query, for rows whose last eight bytes are two factors.
//
// Contract
//   out[i] = (offset + bias) + scale·(step·nibble_dot + centre), each operation rounded to float32, of row
//   r = rows[i], or i where rows is null: `bytes` bytes at base + r·bytes, of which the last eight are bias and scale, and
//   nibble_dot as in kernels/code_dot.hpp. Every ISA gives the same bits. Nothing is written behind `count`.
//
// What graphs are walked with. How many rows a step of a walk looks at cannot be foretold: they go by whole fours and
// sixteens, filled up with the last one, instead of in loops that end somewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/code_dot.hpp"

namespace annbench {

// What a score is made of, besides a row's own factors.
struct ScoreTerms {
  float offset, step, centre;
};

using NibbleScoresFn = void (*)(const std::int8_t* query, const ScoreTerms& terms, const std::uint8_t* base,
                                std::size_t bytes, const std::uint32_t* rows, std::size_t count, float* out);

// ---- from dot products, a block of them at a time

namespace nibble_scores_detail {

template <CodeDotFn dot>
void scores(const std::int8_t* query, const ScoreTerms& terms, const std::uint8_t* base, std::size_t bytes,
            const std::uint32_t* rows, std::size_t count, float* out) {
  constexpr std::size_t block = 256;  // products that wait for their factors, in L1 with the rows' last lines
  const ScoreTerms t = terms;
  std::array<std::int32_t, block> products;
  std::array<float, 2 * block> factors;
  for (std::size_t first = 0; first < count; first += block) {
    const std::size_t some = count - first < block ? count - first : block;
    const std::uint8_t* const begin = rows == nullptr ? base + first * bytes : base;
    const std::uint32_t* const gathered = rows == nullptr ? nullptr : rows + first;
    dot(query, begin, bytes, gathered, some, products.data());
    const std::uint8_t* const tails = begin + bytes - 8;
    if (gathered == nullptr)
      for (std::size_t i = 0; i < some; ++i) std::memcpy(&factors[2 * i], tails + i * bytes, 8);
    else
      for (std::size_t i = 0; i < some; ++i) std::memcpy(&factors[2 * i], tails + gathered[i] * bytes, 8);
    for (std::size_t i = 0; i < some; ++i)
      out[first + i] =
          t.offset + factors[2 * i] + factors[2 * i + 1] * (t.step * static_cast<float>(products[i]) + t.centre);
  }
}

}  // namespace nibble_scores_detail

// ---- AVX-512 with VNNI: sixteen scores at a time, which do not leave the registers on the way

#if ANNBENCH_HAS_AVX512
namespace nibble_scores_detail {

// The sums of four rows, and their factors: bias and scale in turns.
ANNBENCH_TARGET_VNNI inline void four_rows(const std::int8_t* query, const std::uint8_t* const* row, std::size_t bytes,
                                           __m128i& sums, __m256i& factors) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (std::size_t at = 0; at < bytes; at += code_line) {
    const __m512i low = _mm512_loadu_si512(query + 2 * at), high = _mm512_loadu_si512(query + 2 * at + code_line);
    a = code_dot_detail::add_nibbles(a, _mm512_loadu_si512(row[0] + at), low, high);
    b = code_dot_detail::add_nibbles(b, _mm512_loadu_si512(row[1] + at), low, high);
    c = code_dot_detail::add_nibbles(c, _mm512_loadu_si512(row[2] + at), low, high);
    d = code_dot_detail::add_nibbles(d, _mm512_loadu_si512(row[3] + at), low, high);
  }
  sums = code_dot_detail::reduce_vnni(a, b, c, d);
  std::int64_t tails[4];
  for (int r = 0; r < 4; ++r) std::memcpy(&tails[r], row[r] + bytes - 8, 8);
  factors = _mm256_set_epi64x(tails[3], tails[2], tails[1], tails[0]);
}

}  // namespace nibble_scores_detail

ANNBENCH_TARGET_VNNI inline void nibble_scores_vnni(const std::int8_t* query, const ScoreTerms& terms,
                                                    const std::uint8_t* base, std::size_t bytes, const std::uint32_t* rows,
                                                    std::size_t count, float* out) {
  const __m512 offset = _mm512_set1_ps(terms.offset), step = _mm512_set1_ps(terms.step);
  const __m512 centre = _mm512_set1_ps(terms.centre);
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  for (std::size_t first = 0; first < count; first += 16) {
    __m128i sums[4];
    __m256i factors[4];
    ANNBENCH_UNROLL
    for (std::size_t g = 0; g < 4; ++g) {
      sums[g] = _mm_setzero_si128();
      factors[g] = _mm256_setzero_si256();
      if (first + 4 * g >= count) continue;
      const std::uint8_t* row[4];
      ANNBENCH_UNROLL
      for (std::size_t r = 0; r < 4; ++r) {
        const std::size_t i = first + 4 * g + r < count ? first + 4 * g + r : count - 1;
        row[r] = code_dot_detail::row_of(base, bytes, rows, i);
      }
      nibble_scores_detail::four_rows(query, row, bytes, sums[g], factors[g]);
    }
    const __m512i low = _mm512_inserti64x4(_mm512_castsi256_si512(factors[0]), factors[1], 1);
    const __m512i high = _mm512_inserti64x4(_mm512_castsi256_si512(factors[2]), factors[3], 1);
    const __m512 bias = _mm512_castsi512_ps(_mm512_permutex2var_epi32(low, even, high));
    const __m512 scale = _mm512_castsi512_ps(_mm512_permutex2var_epi32(low, odd, high));
    const __m256i half = _mm256_inserti128_si256(_mm256_castsi128_si256(sums[0]), sums[1], 1);
    const __m256i rest = _mm256_inserti128_si256(_mm256_castsi128_si256(sums[2]), sums[3], 1);
    const __m512 products = _mm512_cvtepi32_ps(_mm512_inserti64x4(_mm512_castsi256_si512(half), rest, 1));
    const __m512 inner = _mm512_add_ps(_mm512_mul_ps(step, products), centre);
    const __m512 scores = _mm512_add_ps(_mm512_add_ps(offset, bias), _mm512_mul_ps(scale, inner));
    // Not all with a mask: what was written so is read again the later.
    if (count - first >= 16)
      _mm512_storeu_ps(out + first, scores);
    else
      _mm512_mask_storeu_ps(out + first, static_cast<__mmask16>((1u << (count - first)) - 1), scores);
  }
}
#endif

// ---- table row

inline constexpr NibbleScoresFn nibble_scores_table[isa_count] = {
    nibble_scores_detail::scores<nibble_dot_scalar>,
#if ANNBENCH_HAS_AVX2
    nibble_scores_detail::scores<nibble_dot_avx2>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    nibble_scores_vnni,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    nibble_scores_detail::scores<nibble_dot_neon>,
#else
    nullptr,
#endif
};

}  // namespace annbench
