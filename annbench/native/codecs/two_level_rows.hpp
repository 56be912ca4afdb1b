// Vectors as rows of uniform codes on two levels (LVQ 4x4, 4x8, Aguerrebere et al., VLDB 2023): rows of 4 or 8 bits
// that are scanned, and rows with the residuals, 4 or 8 bits more, that are read where the first level's bound passes.
//
//   first    ⟨q, v⟩ ≈ rescale₁·⟨q, w⟩       w = lower + step·c
//   both     ⟨q, v⟩ ≈ rescale₂·⟨q, w + r⟩   r = step·(c₂/(2^bits₂ − 1) − ½), a grid that needs no storage
//
// What score() adds to the first estimate is probe.epsilon·probe.distance times error_v, the standard deviation of
// weight·⟨d, v − rescale₁·w⟩ over directions d of length 1 across v (codecs/reconstruction.hpp). For a grid that clips
// nothing it is about weight·rescale₁·step/√12, the deviation of what rounding leaves in a cell; stored for every
// vector, because RaBitQ's sweep and OSQ's descent clip, and by how much depends on the vector. The rounding of the
// query needs no room of its own: both levels are scored against the same rounded query.
//
// min_max is the fit that two levels are for. The others clip, and what lies more than half a step beyond the first
// grid the second does not reach: measured on random vectors at 4x8, both levels' errors are 4 to 9 times smaller than
// the first's, with min_max 240 times.
//
// Factors of a row of part 0: bias₁, weight·rescale₁·step, for grids that are not symmetric weight·rescale₁·lower,
// error. Of part 1: bias₂, weight·rescale₂·step, and weight·rescale₂·lower likewise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/byte_query.hpp"
#include "codecs/code_layout.hpp"
#include "codecs/codec.hpp"
#include "codecs/uniform.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class TwoLevelRows {
 public:
  struct Query {
    ByteQuery rounded;
    AlignedBuffer<std::int8_t> first, second;  // as the two layouts arrange it
  };

  // Each level has 4 or 8 bits. Throws std::invalid_argument.
  TwoLevelRows(std::size_t dim, int first_bits, int residual_bits, UniformFit fit, float weight);

  std::size_t dim() const { return first_.dim(); }
  const CodeLayout& layout(std::size_t part) const { return part == 0 ? first_ : second_; }

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = 1;
  static constexpr bool staged = true;

  std::size_t bytes(std::size_t part, std::size_t count) const {
    return part < parts ? count * layout(part).row_bytes() : 0;
  }
  // As the concept Codec says.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
              const MutableCodes& codes, std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for by one level or by both, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, int levels, float* vectors) const;
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
    decode(codes, first, count, 2, vectors);
  }

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  // Upper bounds, by the first level.
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  // Estimates, by both.
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  bool symmetric() const { return second_.factors() == 2; }
  // What is added to a code so that the symmetric grid is step times it; 0 for other grids, which have a lower end.
  float centre() const { return symmetric() ? -0.5f * static_cast<float>(quantizer_.max_code()) : 0.0f; }
  float residual_codes() const { return static_cast<float>((1 << second_.bits()) - 1); }

  UniformQuantizer quantizer_;
  CodeLayout first_, second_;
  float weight_;
};

static_assert(Codec<TwoLevelRows>);

}  // namespace annbench
