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
//
// One row reads all of W for two operations a value, so it takes several panels side by side, enough sums to fill the
// pipeline. Many rows take a block of a panel (16 KiB) into the nearest cache and
// pass all rows over it by tiles, in which a value of W serves several rows and a value of x sixteen outputs.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"

namespace annbench {

using ProjectionFn = void (*)(const float* packed, std::size_t dim_in, std::size_t dim_out, const float* x,
                              std::size_t count, float* y);

inline constexpr std::size_t projection_panel = 16;   // outputs
inline constexpr std::size_t projection_block = 256;  // inputs

inline constexpr std::size_t projection_panels(std::size_t dim_out) {
  return (dim_out + projection_panel - 1) / projection_panel;
}
// How many values a packed W has.
inline constexpr std::size_t packed_projection_size(std::size_t dim_in, std::size_t dim_out) {
  return projection_panels(dim_out) * projection_panel * dim_in;
}

// Packs W, dim_out rows of dim_in values.
template <class Value>
void pack_projection(const Value* w, std::size_t dim_in, std::size_t dim_out, Value* packed) {
  for (std::size_t p = 0; p < projection_panels(dim_out); ++p)
    for (std::size_t k = 0; k < dim_in; ++k)
      for (std::size_t c = 0; c < projection_panel; ++c, ++packed) {
        const std::size_t i = p * projection_panel + c;
        *packed = i < dim_out ? w[i * dim_in + k] : Value{0};
      }
}

namespace projection_detail {

// A tile: `panels` panels times `rows` rows, over the inputs of one block.
struct Tile {
  const float* packed;  // the first panel at the first input of the block
  const float* x;        // the first row at the first input of the block
  float* y;              // the first row at the first output of the first panel
  std::size_t dim_in, dim_out;
  std::size_t inputs;   // of this block
  std::size_t outputs;  // from the first panel on; the last panel may not be full
  bool first;           // whether the sums are the first of these outputs, or are added to what is there
};

// Where the panels and the rows of a tile begin: at hand, so that the inner loop has no multiplications of its own.
template <int rows, int panels>
struct Starts {
  const float* panel[panels];
  const float* row[rows];

  explicit Starts(const Tile& tile) {
    for (int p = 0; p < panels; ++p) panel[p] = tile.packed + static_cast<std::size_t>(p) * projection_panel * tile.dim_in;
    for (int r = 0; r < rows; ++r) row[r] = tile.x + static_cast<std::size_t>(r) * tile.dim_in;
  }
};

// Sixteen sums of a row, where the panel is not full.
inline void finish_part(const float* sums, std::size_t outputs, bool first, float* y) {
  for (std::size_t c = 0; c < outputs; ++c) y[c] = first ? sums[c] : y[c] + sums[c];
}

// All panels from `panel` on for `count` rows, a multiple of `rows`.
template <class Tiles, int rows, int panels>
void stripe(const float* packed, std::size_t dim_in, std::size_t dim_out, const float* x, std::size_t count, float* y,
            std::size_t panel = 0) {
  for (; panel + panels <= projection_panels(dim_out); panel += panels)
    for (std::size_t k = 0; k == 0 || k < dim_in; k += projection_block) {
      const std::size_t left = dim_in - k, inputs = left < projection_block ? left : projection_block;
      for (std::size_t r = 0; r < count; r += rows)
        Tiles::template run<rows, panels>(Tile{packed + projection_panel * (panel * dim_in + k), x + r * dim_in + k,
                                               y + r * dim_out + projection_panel * panel, dim_in, dim_out, inputs,
                                               dim_out - projection_panel * panel, k == 0});
    }
  if constexpr (panels > 1) stripe<Tiles, rows, panels / 2>(packed, dim_in, dim_out, x, count, y, panel);
}

// Calls pass<rows, panels>(r, n) for the n rows from r on: whole tiles, in portions whose x stays in the second cache; then
// rows by twos; then the last one.
template <class Tiles, class Pass>
void in_portions(std::size_t count, const Pass& pass) {
  constexpr std::size_t tile = Tiles::rows, portion = 16 * tile;
  std::size_t r = 0;
  while (count - r >= tile) {
    const std::size_t left = (count - r) / tile * tile, some = left < portion ? left : portion;
    pass.template operator()<Tiles::rows, Tiles::panels>(r, some);
    r += some;
  }
  const std::size_t twos = (count - r) / 2 * 2;
  if (twos > 0) pass.template operator()<2, Tiles::panels_of_two>(r, twos);
  r += twos;
  if (r < count) pass.template operator()<1, Tiles::panels_of_one>(r, std::size_t{1});
}

template <class Tiles>
void project(const float* packed, std::size_t dim_in, std::size_t dim_out, const float* x, std::size_t count, float* y) {
  in_portions<Tiles>(count, [=]<int rows, int panels>(std::size_t r, std::size_t n) {
    stripe<Tiles, rows, panels>(packed, dim_in, dim_out, x + r * dim_in, n, y + r * dim_out);
  });
}

}  // namespace projection_detail

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

// ---- AVX2: a panel is two registers

#if ANNBENCH_HAS_AVX2
namespace projection_detail {

struct TilesAvx2 {
  static constexpr int rows = 6, panels = 1, panels_of_two = 2, panels_of_one = 4;

  template <int rows, int panels>
  ANNBENCH_TARGET_AVX2 static void run(const Tile& tile) {
    __m256 sums[rows][2 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) sums[r][v] = _mm256_setzero_ps();
    const Starts<rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k) {
      __m256 w[2 * panels];
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) w[v] = _mm256_loadu_ps(at.panel[v / 2] + projection_panel * k + 8 * (v % 2));
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const __m256 x = _mm256_broadcast_ss(at.row[r] + k);
        ANNBENCH_UNROLL
        for (int v = 0; v < 2 * panels; ++v) sums[r][v] = _mm256_fmadd_ps(w[v], x, sums[r][v]);
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        float* y = tile.y + static_cast<std::size_t>(r) * tile.dim_out + projection_panel * static_cast<std::size_t>(p);
        const std::size_t outputs = tile.outputs - projection_panel * static_cast<std::size_t>(p);
        store(sums[r][2 * p], sums[r][2 * p + 1], outputs, tile.first, y);
      }
  }

  // By value: sums whose address is taken would be written to memory for every input.
  ANNBENCH_TARGET_AVX2 static void store(__m256 low, __m256 high, std::size_t outputs, bool first, float* y) {
    if (outputs >= projection_panel) {
      _mm256_storeu_ps(y, first ? low : _mm256_add_ps(_mm256_loadu_ps(y), low));
      _mm256_storeu_ps(y + 8, first ? high : _mm256_add_ps(_mm256_loadu_ps(y + 8), high));
      return;
    }
    float part[projection_panel];
    _mm256_storeu_ps(part, low);
    _mm256_storeu_ps(part + 8, high);
    finish_part(part, outputs, first, y);
  }
};

}  // namespace projection_detail
#endif

// ---- AVX-512: a panel is one register

#if ANNBENCH_HAS_AVX512
namespace projection_detail {

struct TilesAvx512 {
  static constexpr int rows = 8, panels = 2, panels_of_two = 4, panels_of_one = 8;

  template <int rows, int panels>
  ANNBENCH_TARGET_AVX512 static void run(const Tile& tile) {
    __m512 sums[rows][panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_setzero_ps();
    const Starts<rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k) {
      __m512 w[panels];
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) w[p] = _mm512_loadu_ps(at.panel[p] + projection_panel * k);
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const __m512 x = _mm512_set1_ps(at.row[r][k]);
        ANNBENCH_UNROLL
        for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_fmadd_ps(w[p], x, sums[r][p]);
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        float* y = tile.y + static_cast<std::size_t>(r) * tile.dim_out + projection_panel * static_cast<std::size_t>(p);
        const std::size_t outputs = tile.outputs - projection_panel * static_cast<std::size_t>(p);
        store(sums[r][p], outputs, tile.first, y);
      }
  }

  ANNBENCH_TARGET_AVX512 static void store(__m512 sums, std::size_t outputs, bool first, float* y) {
    if (outputs >= projection_panel) {
      _mm512_storeu_ps(y, first ? sums : _mm512_add_ps(_mm512_loadu_ps(y), sums));
      return;
    }
    float part[projection_panel];
    _mm512_storeu_ps(part, sums);
    finish_part(part, outputs, first, y);
  }
};

}  // namespace projection_detail
#endif

// ---- NEON: a panel is four registers

#if ANNBENCH_HAS_NEON
namespace projection_detail {

struct TilesNeon {
  static constexpr int rows = 4, panels = 1, panels_of_two = 2, panels_of_one = 4;

  template <int rows, int panels>
  static void run(const Tile& tile) {
    float32x4_t sums[rows][4 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) sums[r][v] = vdupq_n_f32(0);
    const Starts<rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) {
        const float32x4_t w = vld1q_f32(at.panel[v / 4] + projection_panel * k + 4 * (v % 4));
        ANNBENCH_UNROLL
        for (int r = 0; r < rows; ++r) sums[r][v] = vfmaq_n_f32(sums[r][v], w, at.row[r][k]);
      }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        float* y = tile.y + static_cast<std::size_t>(r) * tile.dim_out + projection_panel * static_cast<std::size_t>(p);
        const std::size_t outputs = tile.outputs - projection_panel * static_cast<std::size_t>(p);
        store({sums[r][4 * p], sums[r][4 * p + 1], sums[r][4 * p + 2], sums[r][4 * p + 3]}, outputs, tile.first, y);
      }
  }

  static void store(const std::array<float32x4_t, 4>& sums, std::size_t outputs, bool first, float* y) {
    if (outputs >= projection_panel) {
      for (std::size_t v = 0; v < 4; ++v) vst1q_f32(y + 4 * v, first ? sums[v] : vaddq_f32(vld1q_f32(y + 4 * v), sums[v]));
      return;
    }
    float part[projection_panel];
    for (std::size_t v = 0; v < 4; ++v) vst1q_f32(part + 4 * v, sums[v]);
    finish_part(part, outputs, first, y);
  }
};

}  // namespace projection_detail
#endif

// ---- table rows

inline constexpr ProjectionFn projection_table[isa_count] = {
    projection_detail::projection_scalar,
#if ANNBENCH_HAS_AVX2
    projection_detail::project<projection_detail::TilesAvx2>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_AVX512
    projection_detail::project<projection_detail::TilesAvx512>,
#else
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    projection_detail::project<projection_detail::TilesNeon>,
#else
    nullptr,
#endif
};

}  // namespace annbench
