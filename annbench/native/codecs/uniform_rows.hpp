// Vectors as rows of uniform codes, and their estimated scores: the codec that flat, inverted and graph structures share.
//
//   score(q, v) = bias_v + weight·⟨q, v⟩,   larger is nearer
//
// covers every metric: for L2 bias is −‖x‖² and weight 2 (the score is ‖q‖² less the squared distance), for inner product
// and cosine weight is 1. `bias` comes from the caller, because a transform may make v something else than x. The inner
// product is estimated from the codes with the rescale factor; the query is rounded to 8 bits, once.
//
// Factors of a row: bias, then weight·rescale·step, and for grids that are not symmetric weight·rescale·lower.
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

class UniformRows {
 public:
  // A query as the kernels take it; made once, used against any number of rows.
  struct Query {
    ByteQuery rounded;
    AlignedBuffer<std::int8_t> values;  // as the layout arranges them
    // Against 8-bit codes, what rounding left of the query, on a grid of its own: a query of 8 bits alone would lose
    // more than the codes do.
    ByteQuery rest;
    AlignedBuffer<std::int8_t> rest_values;
    float sum = 0;  // of the query on its grid or grids
  };

  // Rows for vectors of `dim` dimensions. `bits` is 4 or 8; `weight` as above. Throws std::invalid_argument.
  UniformRows(std::size_t dim, int bits, UniformFit fit, float weight);

  std::size_t dim() const { return layout_.dim(); }
  const CodeLayout& layout() const { return layout_; }
  const UniformQuantizer& quantizer() const { return quantizer_; }

  static constexpr std::size_t parts = 1;
  static constexpr std::size_t granule = 1;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const { return part == 0 ? count * layout_.row_bytes() : 0; }
  // As the concept Codec says.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  bool symmetric() const { return layout_.factors() == 2; }
  void score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                  const std::uint32_t* places, std::size_t count, float* scores) const;

  UniformQuantizer quantizer_;
  CodeLayout layout_;
  float weight_;
};

static_assert(Codec<UniformRows>);

}  // namespace annbench
