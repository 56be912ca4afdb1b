// What projections in floats and in fixed point share: W in panels of 16 outputs, and passing rows over them by tiles.
//
// One row reads all of W for two operations a value, so it takes several panels side by side, enough sums to fill the
// pipeline. Many rows take a block of a panel (16 KiB) into the nearest cache and pass all rows over it by tiles, in which
// a value of W serves several rows and a value of x sixteen outputs.
//
// Tiles<Arithmetic> of an instruction set adds up W·x of a tile. Arithmetic is what it does with the registers of one kind
// of Number; a panel is as many of them as hold 16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"

namespace annbench {

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
template <class Number>
void pack_projection(const Number* w, std::size_t dim_in, std::size_t dim_out, Number* packed) {
  for (std::size_t p = 0; p < projection_panels(dim_out); ++p)
    for (std::size_t k = 0; k < dim_in; ++k)
      for (std::size_t c = 0; c < projection_panel; ++c, ++packed) {
        const std::size_t i = p * projection_panel + c;
        *packed = i < dim_out ? w[i * dim_in + k] : Number{0};
      }
}

namespace projection_tiles {

// `panels` panels times `rows` rows, over the inputs of one block.
template <class Number>
struct Tile {
  const Number* packed;  // the first panel at the first input of the block
  const Number* x;       // the first row at the first input of the block
  Number* y;             // the first row at the first output of the first panel
  std::size_t dim_in, dim_out;
  std::size_t inputs;   // of this block
  std::size_t outputs;  // from the first panel on; the last panel may not be full
  bool first;           // whether the sums are the first of these outputs, or are added to what is there
};

// Where the panels and the rows of a tile begin: at hand, so that the inner loop has no multiplications of its own.
template <class Number, int rows, int panels>
struct Starts {
  const Number* panel[panels];
  const Number* row[rows];

  explicit Starts(const Tile<Number>& tile) {
    for (int p = 0; p < panels; ++p) panel[p] = tile.packed + static_cast<std::size_t>(p) * projection_panel * tile.dim_in;
    for (int r = 0; r < rows; ++r) row[r] = tile.x + static_cast<std::size_t>(r) * tile.dim_in;
  }
};

// Where the sums of a row go that a panel has made.
template <class Number>
struct Place {
  Number* y;
  std::size_t outputs;

  Place(const Tile<Number>& tile, int row, int panel)
      : y(tile.y + static_cast<std::size_t>(row) * tile.dim_out + projection_panel * static_cast<std::size_t>(panel)),
        outputs(tile.outputs - projection_panel * static_cast<std::size_t>(panel)) {}

  bool full() const { return outputs >= projection_panel; }
  // Seldom: its code is better not in every place that may need it.
  [[gnu::noinline]] void store_part(const Number* sums, bool first) const {
    for (std::size_t c = 0; c < outputs; ++c) y[c] = first ? sums[c] : y[c] + sums[c];
  }
};

// `panels` panels from `panel` on for `count` rows, a multiple of `rows`.
template <class Tiles, int rows, int panels, class Number>
void pass(const Number* packed, std::size_t dim_in, std::size_t dim_out, const Number* x, std::size_t count, Number* y,
          std::size_t panel) {
  for (std::size_t k = 0; k == 0 || k < dim_in; k += projection_block) {
    const std::size_t left = dim_in - k, inputs = left < projection_block ? left : projection_block;
    for (std::size_t r = 0; r < count; r += rows)
      Tiles::template run<rows, panels>(Tile<Number>{packed + projection_panel * (panel * dim_in + k), x + r * dim_in + k,
                                                     y + r * dim_out + projection_panel * panel, dim_in, dim_out, inputs,
                                                     dim_out - projection_panel * panel, k == 0});
  }
}

// All panels from `panel` on for `count` rows, a multiple of `rows`.
template <class Tiles, int rows, int panels, class Number>
void stripe(const Number* packed, std::size_t dim_in, std::size_t dim_out, const Number* x, std::size_t count, Number* y,
            std::size_t panel = 0) {
  for (; panel + panels <= projection_panels(dim_out); panel += panels)
    pass<Tiles, rows, panels>(packed, dim_in, dim_out, x, count, y, panel);
  if constexpr (panels > 1) stripe<Tiles, rows, panels / 2>(packed, dim_in, dim_out, x, count, y, panel);
}

// `panels` panels, `most` of them or fewer, from `panel` on for one row.
template <class Tiles, int most, class Number>
void pass_of_one(std::size_t panels, const Number* packed, std::size_t dim_in, std::size_t dim_out, const Number* x, Number* y,
                 std::size_t panel) {
  if (panels == most) return pass<Tiles, 1, most>(packed, dim_in, dim_out, x, 1, y, panel);
  if constexpr (most > 1) pass_of_one<Tiles, most - 1>(panels, packed, dim_in, dim_out, x, y, panel);
}

// One row: as few passes as there are registers for, alike in length, because a pass over few panels has so few sums that
// each waits for itself.
template <class Tiles, class Number>
void one_row(const Number* packed, std::size_t dim_in, std::size_t dim_out, const Number* x, Number* y) {
  std::size_t panel = 0, left = projection_panels(dim_out);
  for (std::size_t passes = (left + Tiles::panels_of_one - 1) / Tiles::panels_of_one; passes > 0; --passes) {
    const std::size_t some = (left + passes - 1) / passes;
    pass_of_one<Tiles, Tiles::panels_of_one>(some, packed, dim_in, dim_out, x, y, panel);
    panel += some;
    left -= some;
  }
}

// Whole tiles, in portions whose x stays in the second cache; then rows by twos; then the last one.
template <class Tiles, class Number>
void project(const Number* packed, std::size_t dim_in, std::size_t dim_out, const Number* x, std::size_t count, Number* y) {
  constexpr std::size_t tile = Tiles::rows, portion = 16 * tile;
  std::size_t r = 0;
  while (count - r >= tile) {
    const std::size_t left = (count - r) / tile * tile, some = left < portion ? left : portion;
    stripe<Tiles, Tiles::rows, Tiles::panels>(packed, dim_in, dim_out, x + r * dim_in, some, y + r * dim_out);
    r += some;
  }
  const std::size_t twos = (count - r) / 2 * 2;
  if (twos > 0) stripe<Tiles, 2, Tiles::panels_of_two>(packed, dim_in, dim_out, x + r * dim_in, twos, y + r * dim_out);
  r += twos;
  if (r < count) one_row<Tiles>(packed, dim_in, dim_out, x + r * dim_in, y + r * dim_out);
}

}  // namespace projection_tiles

// What arithmetics share whose Numbers are integers of 32 bits, of several values each.
namespace projection_tiles {

#if ANNBENCH_HAS_AVX2
struct IntegersAvx2 {
  using Number = std::int32_t;
  using Register = __m256i;
  ANNBENCH_TARGET_AVX2 static Register zero() { return _mm256_setzero_si256(); }
  ANNBENCH_TARGET_AVX2 static Register load(const Number* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
  ANNBENCH_TARGET_AVX2 static void store(Number* at, Register value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), value);
  }
  ANNBENCH_TARGET_AVX2 static Register all(Number values) { return _mm256_set1_epi32(values); }
  ANNBENCH_TARGET_AVX2 static Register add(Register a, Register b) { return _mm256_add_epi32(a, b); }
};
#endif

#if ANNBENCH_HAS_AVX512
struct IntegersVnni {
  using Number = std::int32_t;
  using Register = __m512i;
  ANNBENCH_TARGET_VNNI static Register zero() { return _mm512_setzero_si512(); }
  ANNBENCH_TARGET_VNNI static Register load(const Number* at) { return _mm512_loadu_si512(at); }
  ANNBENCH_TARGET_VNNI static void store(Number* at, Register value) { _mm512_storeu_si512(at, value); }
  ANNBENCH_TARGET_VNNI static Register all(Number values) { return _mm512_set1_epi32(values); }
  ANNBENCH_TARGET_VNNI static Register add(Register a, Register b) { return _mm512_add_epi32(a, b); }
};
#endif

#if ANNBENCH_HAS_NEON
struct IntegersNeon {
  using Number = std::int32_t;
  using Register = int32x4_t;
  static constexpr int panels_of_two = 1, panels_of_one = 2;
  static Register zero() { return vdupq_n_s32(0); }
  static Register load(const Number* at) { return vld1q_s32(at); }
  static void store(Number* at, Register value) { vst1q_s32(at, value); }
  static Register add(Register a, Register b) { return vaddq_s32(a, b); }
};
#endif

}  // namespace projection_tiles

// ---- AVX2: a panel is two registers

#if ANNBENCH_HAS_AVX2
namespace projection_tiles {

template <class A>
struct TilesAvx2 {
  using Number = typename A::Number;
  static constexpr int rows = 6, panels = 1, panels_of_two = 2, panels_of_one = 4;

  template <int rows, int panels>
  ANNBENCH_TARGET_AVX2 static void run(const Tile<Number>& tile) {
    typename A::Register sums[rows][2 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) sums[r][v] = A::zero();
    const Starts<Number, rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k) {
      typename A::Register w[2 * panels];
      ANNBENCH_UNROLL
      for (int v = 0; v < 2 * panels; ++v) w[v] = A::load(at.panel[v / 2] + projection_panel * k + 8 * (v % 2));
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const typename A::Register x = A::all(at.row[r][k]);
        ANNBENCH_UNROLL
        for (int v = 0; v < 2 * panels; ++v) sums[r][v] = A::multiply_add(w[v], x, sums[r][v]);
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) store(sums[r][2 * p], sums[r][2 * p + 1], Place(tile, r, p), tile.first);
  }

  // By value: sums whose address is taken would be written to memory for every input.
  ANNBENCH_TARGET_AVX2 static void store(typename A::Register low, typename A::Register high, const Place<Number>& to,
                                         bool first) {
    if (to.full()) {
      A::store(to.y, first ? low : A::add(A::load(to.y), low));
      A::store(to.y + 8, first ? high : A::add(A::load(to.y + 8), high));
      return;
    }
    Number part[projection_panel];
    A::store(part, low);
    A::store(part + 8, high);
    to.store_part(part, first);
  }
};

}  // namespace projection_tiles
#endif

// ---- AVX-512: a panel is one register. With VNNI, for the products of pairs of 16 bits.

#if ANNBENCH_HAS_AVX512
namespace projection_tiles {

template <class A>
struct TilesVnni {
  using Number = typename A::Number;
  static constexpr int rows = 8, panels = 2, panels_of_two = 4, panels_of_one = 8;

  template <int rows, int panels>
  ANNBENCH_TARGET_VNNI static void run(const Tile<Number>& tile) {
    typename A::Register sums[rows][panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) sums[r][p] = A::zero();
    const Starts<Number, rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k) {
      typename A::Register w[panels];
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) w[p] = A::load(at.panel[p] + projection_panel * k);
      ANNBENCH_UNROLL
      for (int r = 0; r < rows; ++r) {
        const typename A::Register x = A::all(at.row[r][k]);
        ANNBENCH_UNROLL
        for (int p = 0; p < panels; ++p) sums[r][p] = A::multiply_add(w[p], x, sums[r][p]);
      }
    }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) store(sums[r][p], Place(tile, r, p), tile.first);
  }

  ANNBENCH_TARGET_VNNI static void store(typename A::Register sums, const Place<Number>& to, bool first) {
    if (to.full()) {
      A::store(to.y, first ? sums : A::add(A::load(to.y), sums));
      return;
    }
    Number part[projection_panel];
    A::store(part, sums);
    to.store_part(part, first);
  }
};

}  // namespace projection_tiles
#endif

// ---- NEON: a panel is four registers

#if ANNBENCH_HAS_NEON
namespace projection_tiles {

template <class A>
struct TilesNeon {
  using Number = typename A::Number;
  static constexpr int rows = 4, panels = 1, panels_of_two = A::panels_of_two, panels_of_one = A::panels_of_one;

  template <int rows, int panels>
  static void run(const Tile<Number>& tile) {
    typename A::Register sums[rows][4 * panels];
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) sums[r][v] = A::zero();
    const Starts<Number, rows, panels> at(tile);
    const std::size_t inputs = tile.inputs;
    for (std::size_t k = 0; k < inputs; ++k)
      ANNBENCH_UNROLL
      for (int v = 0; v < 4 * panels; ++v) {
        const typename A::Register w = A::load(at.panel[v / 4] + projection_panel * k + 4 * (v % 4));
        ANNBENCH_UNROLL
        for (int r = 0; r < rows; ++r) sums[r][v] = A::multiply_add(w, at.row[r][k], sums[r][v]);
      }
    ANNBENCH_UNROLL
    for (int r = 0; r < rows; ++r)
      ANNBENCH_UNROLL
      for (int p = 0; p < panels; ++p) {
        const Place to(tile, r, p);
        Number part[projection_panel];
        Number* const y = to.full() ? to.y : part;
        ANNBENCH_UNROLL
        for (int v = 0; v < 4; ++v) {
          const typename A::Register sum = sums[r][4 * p + v];
          A::store(y + 4 * v, tile.first || !to.full() ? sum : A::add(A::load(y + 4 * v), sum));
        }
        if (!to.full()) to.store_part(part, tile.first);
      }
  }
};

}  // namespace projection_tiles
#endif

}  // namespace annbench
