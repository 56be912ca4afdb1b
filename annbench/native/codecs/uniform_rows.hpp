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

#include "codecs/code_layout.hpp"
#include "codecs/uniform.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class UniformRows {
 public:
  // A query as the kernels take it; made once, used against any number of rows.
  struct Query {
    AlignedBuffer<std::int8_t> values;
    float step = 0;  // of its 8-bit grid, which is symmetric about 0
    float sum = 0;   // of the values on that grid
  };

  // Rows for vectors of `dim` dimensions. `bits` is 4 or 8; `weight` as above. Throws std::invalid_argument.
  UniformRows(std::size_t dim, int bits, UniformFit fit, float weight);

  std::size_t dim() const { return layout_.dim(); }
  const CodeLayout& layout() const { return layout_; }
  const UniformQuantizer& quantizer() const { return quantizer_; }

  // Codes `count` finite vectors (row-major) with their biases into `count` rows.
  void encode(const float* vectors, const float* bias, std::size_t count, std::uint8_t* rows) const;
  // The vectors that the codes stand for, rescaled.
  void decode(const std::uint8_t* rows, std::size_t count, float* vectors) const;

  Query prepare(const float* query) const;
  // Scores of rows `ids` of `rows`, or of the first `count` where ids is null.
  void score(const KernelTable& kernels, const Query& query, const std::uint8_t* rows, const std::uint32_t* ids,
             std::size_t count, float* scores) const;

 private:
  bool symmetric() const { return layout_.factors() == 2; }

  UniformQuantizer quantizer_;
  CodeLayout layout_;
  float weight_;
};

}  // namespace annbench
