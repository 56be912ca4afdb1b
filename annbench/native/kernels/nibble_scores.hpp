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

// Rows of up to three lines, as those of graphs are, have versions of their own: no loops, no products for addresses.

#if ANNBENCH_HAS_AVX512
namespace nibble_scores_detail {

// What the lines at `at` of four rows add to their sums.
ANNBENCH_TARGET_VNNI inline void add_lines(const std::int8_t* query, const std::uint8_t* const* row, std::size_t at,
                                           __m512i (&sums)[4]) {
  const __m512i low = _mm512_loadu_si512(query + 2 * at), high = _mm512_loadu_si512(query + 2 * at + code_line);
  ANNBENCH_UNROLL
  for (std::size_t r = 0; r < 4; ++r)
    sums[r] = code_dot_detail::add_nibbles(sums[r], _mm512_loadu_si512(row[r] + at), low, high);
}

// The sums of four rows, in four lanes each, that stand one beside the other; of so many lines, 0: of as many as there are.
template <std::size_t lines>
ANNBENCH_TARGET_VNNI inline __m512i four_rows(const std::int8_t* query, const std::uint8_t* const* row, std::size_t bytes) {
  __m512i sums[4];
  ANNBENCH_UNROLL
  for (std::size_t r = 0; r < 4; ++r) sums[r] = _mm512_setzero_si512();
  if constexpr (lines == 0) {
    for (std::size_t at = 0; at < bytes; at += code_line) add_lines(query, row, at, sums);
  } else {
    ANNBENCH_UNROLL
    for (std::size_t line = 0; line < lines; ++line) add_lines(query, row, line * code_line, sums);
  }
  return code_dot_detail::sums_in_lanes(sums[0], sums[1], sums[2], sums[3]);
}

// The sums of the even lanes and of the odd ones, of a and then of b.
ANNBENCH_TARGET_VNNI inline __m512i add_lanes(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

// Sixteen scores; of the rows from `first` on, where not all of these are `whole` the last one fills up.
template <std::size_t lines, bool gathered, bool whole>
[[gnu::always_inline]] ANNBENCH_TARGET_VNNI inline __m512 sixteen_scores(const std::int8_t* query, const ScoreTerms& terms,
                                                                         const std::uint8_t* base, std::size_t row_bytes,
                                                                         const std::uint32_t* rows, std::size_t first,
                                                                         std::size_t count) {
  const std::size_t bytes = lines > 0 ? lines * code_line : row_bytes;
  __m512i sums[4];
  __m512i factors[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};  // of eight rows each: bias and scale in turns
  ANNBENCH_UNROLL
  for (std::size_t g = 0; g < 4; ++g) {
    sums[g] = _mm512_setzero_si512();
    if (!whole && first + 4 * g >= count) continue;
    const std::uint8_t* row[4];
    ANNBENCH_UNROLL
    for (std::size_t r = 0; r < 4; ++r) {
      std::size_t i = first + 4 * g + r;
      if (!whole && i >= count) i = count - 1;
      row[r] = base + (gathered ? rows[i] : i) * bytes;
      std::int64_t tail;
      std::memcpy(&tail, row[r] + bytes - 8, 8);
      factors[g / 2] = _mm512_mask_set1_epi64(factors[g / 2], static_cast<__mmask8>(1u << (g % 2 * 4 + r)), tail);
    }
    sums[g] = four_rows<lines>(query, row, bytes);
  }
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const __m512 bias = _mm512_castsi512_ps(_mm512_permutex2var_epi32(factors[0], even, factors[1]));
  const __m512 scale = _mm512_castsi512_ps(_mm512_permutex2var_epi32(factors[0], odd, factors[1]));
  const __m512 products = _mm512_cvtepi32_ps(add_lanes(add_lanes(sums[0], sums[1]), add_lanes(sums[2], sums[3])));
  const __m512 inner = _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(terms.step), products), _mm512_set1_ps(terms.centre));
  return _mm512_add_ps(_mm512_add_ps(_mm512_set1_ps(terms.offset), bias), _mm512_mul_ps(scale, inner));
}

template <std::size_t lines, bool gathered>
ANNBENCH_TARGET_VNNI inline void scores_vnni(const std::int8_t* query, const ScoreTerms& terms, const std::uint8_t* base,
                                             std::size_t bytes, const std::uint32_t* rows, std::size_t count, float* out) {
  const ScoreTerms t = terms;
  std::size_t first = 0;
  for (; count - first >= 16; first += 16) {
    const __m512 scores = sixteen_scores<lines, gathered, true>(query, t, base, bytes, rows, first, count);
    _mm512_storeu_ps(out + first, scores);
  }
  if (first == count) return;
  const __m512 scores = sixteen_scores<lines, gathered, false>(query, t, base, bytes, rows, first, count);
  // Not all with a mask: what was written so is read again the later.
  _mm512_mask_storeu_ps(out + first, static_cast<__mmask16>((1u << (count - first)) - 1), scores);
}

}  // namespace nibble_scores_detail

ANNBENCH_TARGET_VNNI inline void nibble_scores_vnni(const std::int8_t* query, const ScoreTerms& terms,
                                                    const std::uint8_t* base, std::size_t bytes, const std::uint32_t* rows,
                                                    std::size_t count, float* out) {
  using namespace nibble_scores_detail;
  if (rows == nullptr) return scores_vnni<0, false>(query, terms, base, bytes, rows, count, out);
  switch (bytes / code_line) {
    case 1: return scores_vnni<1, true>(query, terms, base, bytes, rows, count, out);
    case 2: return scores_vnni<2, true>(query, terms, base, bytes, rows, count, out);
    case 3: return scores_vnni<3, true>(query, terms, base, bytes, rows, count, out);
    default: return scores_vnni<0, true>(query, terms, base, bytes, rows, count, out);
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
