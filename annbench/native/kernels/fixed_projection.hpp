// fixed_projection: sums of W·x in fixed point for many x or for one, W packed once.
//
// Contract
//   sums[r·dim_out + i] = Σ_k W[i][k]·x[r][k],  r < count, i < dim_out, k < 2·pairs
//   W and x are 16-bit integers, none of them −32768, two and two in a 32-bit integer, `pairs` of them a row; an odd number
//   is made even by a 0. The sums are exact if those of every row of W with every x, over whatever part of the inputs, stay
//   within 32 bits. Those of rows of length 2¹⁵ do, by Cauchy and Schwarz: fixed_row makes such.
//   W lies in panels of 16 outputs, packed by pack_projection. The packed form may begin at any address and is all that is
//   read of W; nothing is read beyond x or written beyond `sums`. `pairs` may be 0: the sums are then 0.
//
// A value is off by 2⁻¹⁶ of its row's length at most, in the mean as exact as IEEE halves. A product of two values takes half
// the lane of an instruction that floats take, and W half the memory; sums of integers are the same in any order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/isa.hpp"
#include "kernels/projection.hpp"
#include "support/wide_dot.hpp"

namespace annbench {

using FixedProjectionFn = void (*)(const std::int32_t* packed, std::size_t pairs, std::size_t dim_out,
                                   const std::int32_t* x, std::size_t count, std::int32_t* sums);

inline constexpr std::size_t fixed_pairs(std::size_t dim) { return (dim + 1) / 2; }

// x as 16-bit integers, of length 2¹⁵ − 2 together, fixed_pairs(x.size()) pairs of them. Returns what 1 stands for: 0 where
// x is nothing but zeros, or so short that float32 has no such number. x is finite.
inline float fixed_row(std::span<const float> x, std::int32_t* pairs) {
  constexpr double length = 32766;
  const double longest = std::sqrt(wide_dot(x.data(), x.data(), x.size()));
  const auto inverse = static_cast<float>(length / longest);
  const bool any = inverse < std::numeric_limits<float>::max();
  std::memset(pairs, 0, fixed_pairs(x.size()) * sizeof *pairs);
  constexpr std::size_t some = 64;
  std::array<std::int16_t, some> fixed;
  for (std::size_t first = 0; any && first < x.size(); first += some) {
    const std::size_t n = std::min(some, x.size() - first);
    // Added to a number of at most 2²², this leaves the nearest integer in its last bits.
    for (std::size_t k = 0; k < n; ++k)
      fixed[k] = static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(x[first + k] * inverse + 0x1.8p23f));
    std::memcpy(pairs + first / 2, fixed.data(), n * sizeof fixed[0]);
  }
  return any ? static_cast<float>(longest / length) : 0;
}

namespace fixed_projection_detail {

// `panels` panels times `rows` rows, over all inputs. The last panel may not be full.
struct Tile {
  const std::int32_t* packed;
  const std::int32_t* x;
  std::int32_t* sums;
  std::size_t pairs, dim_out;
  std::size_t outputs;  // from the first panel on
};

inline void store_part(const std::int32_t* part, std::size_t outputs, std::int32_t* sums) {
  std::memcpy(sums, part, (outputs < projection_panel ? outputs : projection_panel) * sizeof *part);
}

// All panels from `panel` on for `count` rows, a multiple of `rows`.
template <class Tiles, int rows, int panels>
void stripe(const std::int32_t* packed, std::size_t pairs, std::size_t dim_out, const std::int32_t* x, std::size_t count,
            std::int32_t* sums, std::size_t panel = 0) {
  for (; panel + panels <= projection_panels(dim_out); panel += panels)
    for (std::size_t r = 0; r < count; r += rows)
      Tiles::template run<rows, panels>(Tile{packed + projection_panel * panel * pairs, x + r * pairs,
                                             sums + r * dim_out + projection_panel * panel, pairs, dim_out,
                                             dim_out - projection_panel * panel});
  if constexpr (panels > 1) stripe<Tiles, rows, panels / 2>(packed, pairs, dim_out, x, count, sums, panel);
}

template <class Tiles>
void project(const std::int32_t* packed, std::size_t pairs, std::size_t dim_out, const std::int32_t* x, std::size_t count,
             std::int32_t* sums) {
  projection_detail::in_portions<Tiles>(count, [=]<int rows, int panels>(std::size_t r, std::size_t n) {
    stripe<Tiles, rows, panels>(packed, pairs, dim_out, x + r * pairs, n, sums + r * dim_out);
  });
}

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

// ---- AVX2: a panel is two registers

#if ANNBENCH_HAS_AVX2
namespace fixed_projection_detail {

struct TilesAvx2 {
  static constexpr int rows = 6, panels = 1, panels_of_two = 2, panels_of_one = 4;

  template <int rows, int panels>
  ANNBENCH_TARGET_AVX2 static void run(const Tile& tile) {
    __m256i sums[rows][2 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) sums[r][v] = _mm256_setzero_si256();
    const std::size_t pairs = tile.pairs;
    for (std::size_t k = 0; k < pairs; ++k) {
      __m256i w[2 * panels];
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) {
        const std::size_t panel = projection_panel * pairs * static_cast<std::size_t>(v / 2);
        w[v] = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(tile.packed + panel + projection_panel * k + 8 * (v % 2)));
      }
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const __m256i x = _mm256_set1_epi32(tile.x[static_cast<std::size_t>(r) * pairs + k]);
        ANNBENCH_UNROLL
        for (int v = 0; v < 2 * panels; ++v) sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(w[v], x));
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        alignas(32) std::int32_t part[projection_panel];
        _mm256_store_si256(reinterpret_cast<__m256i*>(part), sums[r][2 * p]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(part + 8), sums[r][2 * p + 1]);
        const std::size_t before = projection_panel * static_cast<std::size_t>(p);
        store_part(part, tile.outputs - before, tile.sums + static_cast<std::size_t>(r) * tile.dim_out + before);
      }
  }
};

}  // namespace fixed_projection_detail
#endif

// ---- AVX-512: a panel is one register

#if ANNBENCH_HAS_AVX512
namespace fixed_projection_detail {

struct TilesAvx512 {
  static constexpr int rows = 8, panels = 2, panels_of_two = 4, panels_of_one = 8;

  template <int rows, int panels>
  ANNBENCH_TARGET_AVX512 static void run(const Tile& tile) {
    __m512i sums[rows][panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_setzero_si512();
    const std::size_t pairs = tile.pairs;
    for (std::size_t k = 0; k < pairs; ++k) {
      __m512i w[panels];
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p)
        w[p] = _mm512_loadu_si512(tile.packed + projection_panel * (pairs * static_cast<std::size_t>(p) + k));
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const __m512i x = _mm512_set1_epi32(tile.x[static_cast<std::size_t>(r) * pairs + k]);
        ANNBENCH_UNROLL
        for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_add_epi32(sums[r][p], _mm512_madd_epi16(w[p], x));
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        alignas(64) std::int32_t part[projection_panel];
        _mm512_store_si512(part, sums[r][p]);
        const std::size_t before = projection_panel * static_cast<std::size_t>(p);
        store_part(part, tile.outputs - before, tile.sums + static_cast<std::size_t>(r) * tile.dim_out + before);
      }
  }
};

}  // namespace fixed_projection_detail
#endif

// ---- NEON: a panel is four registers

#if ANNBENCH_HAS_NEON
namespace fixed_projection_detail {

struct TilesNeon {
  static constexpr int rows = 4, panels = 1, panels_of_two = 1, panels_of_one = 2;

  template <int rows, int panels>
  static void run(const Tile& tile) {
    int32x4_t sums[rows][4 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) sums[r][v] = vdupq_n_s32(0);
    const std::size_t pairs = tile.pairs;
    for (std::size_t k = 0; k < pairs; ++k)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) {
        const std::size_t panel = projection_panel * pairs * static_cast<std::size_t>(v / 4);
        const int16x8_t w = vreinterpretq_s16_s32(
            vld1q_s32(tile.packed + panel + projection_panel * k + 4 * static_cast<std::size_t>(v % 4)));
        ANNBENCH_UNROLL
        for (int r = 0; r < rows; ++r) {
          const int16x8_t x = vreinterpretq_s16_s32(vdupq_n_s32(tile.x[static_cast<std::size_t>(r) * pairs + k]));
          const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(x)), high = vmull_high_s16(w, x);
          sums[r][v] = vaddq_s32(sums[r][v], vpaddq_s32(low, high));
        }
      }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        std::int32_t part[projection_panel];
        for (std::size_t v = 0; v < 4; ++v) vst1q_s32(part + 4 * v, sums[r][4 * static_cast<std::size_t>(p) + v]);
        const std::size_t before = projection_panel * static_cast<std::size_t>(p);
        store_part(part, tile.outputs - before, tile.sums + static_cast<std::size_t>(r) * tile.dim_out + before);
      }
  }
};

}  // namespace fixed_projection_detail
#endif

// ---- table rows

inline constexpr FixedProjectionFn fixed_projection_table[isa_count] = {
    fixed_projection_detail::fixed_projection_scalar,
#if ANNBENCH_HAS_AVX2
    fixed_projection_detail::project<fixed_projection_detail::TilesAvx2>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    fixed_projection_detail::project<fixed_projection_detail::TilesAvx512>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    fixed_projection_detail::project<fixed_projection_detail::TilesNeon>,
#else
    nullptr,
#endif
};

}  // namespace annbench
