// Levels (codecs/levels.hpp) as rows, scored one by one wherever they are: for graphs. A row is a code of
// kernels/packed_dot.hpp and a float, 1/‖z‖.
//
// A query of levels is a vector of small integers, which that kernel takes as they are: ⟨z_q, z⟩ = 2⟨z_q, c⟩ − largest·Σz_q
// is exact. Another query is rounded to 8 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/byte_query.hpp"
#include "codecs/codec.hpp"
#include "codecs/levels.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class LevelRows {
 public:
  struct Query {
    ByteQuery rounded;
    AlignedBuffer<std::int8_t> values;  // of packed_query_dim(dim)
    std::vector<std::uint8_t> codes;
    float factor = 0, centre = 0, constant = 0;  // score = constant + (factor·⟨values, c⟩ + centre)/‖z‖
  };

  // As Levels.
  LevelRows(std::size_t dim, int bits, float weight, LevelQuery query);

  std::size_t dim() const { return levels_.dim(); }

  static constexpr std::size_t parts = 1;
  static constexpr std::size_t granule = 1;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const { return part == 0 ? count * row_bytes_ : 0; }
  // As the concept Codec says. Biases and anchors are ignored: scores are about directions.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // Directions: of length 1.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  void score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                  const std::uint32_t* places, std::size_t count, float* scores) const;

  Levels levels_;
  std::size_t row_bytes_;
};

static_assert(Codec<LevelRows>);

}  // namespace annbench
