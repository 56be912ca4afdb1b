// Product quantization with 4 bits a sub-space: the dimensions are cut into groups, every group of a vector is replaced
// by the nearest of 16 centroids, and a query finds its inner products with all centroids in tables of 16 bytes
// (kernels/table_scan.hpp).
//
//   ⟨q, v⟩ ≈ scale · ⟨q, w⟩ + shift,   w the centroids of v
//
// Centroids are means of what they stand for, so that w is shorter than v, by more where a vector is coded badly. Two
// scales make up for that: ‖v‖² / ⟨v, w⟩, as for the uniform code (codecs/uniform.hpp), exact for queries in the
// direction of v however long they are, and the smaller ⟨v, w⟩ / ‖w‖², of least error over all directions. Inner
// product and cosine take the first, without a shift. For L2 the first is worse than none where queries differ from v
// mostly along v, as vectors without an anchor do: there the scale lies a quarter of the way from the second to the
// first, and half the way with an anchor; the shift is 0.4 of what is then missing at q = v, because neighbours are
// near v, but not as near as its code. (ADC, whose score is −‖q − w‖², is a scale of 1 and a shift of about half.)
// These shares are what ranks best on image and text embeddings. Without rescaling this is product quantization with
// the exact ‖v‖ (Jégou, Douze and Schmid, 2011), looked up as in Quick ADC (André, Kermarrec and Le Scouarnec, 2017).
//
// Codes lie in blocks of 32: their nibbles, then 32 biases, then 32 factors weight·scale. Codes are padded to groups of
// four, so that only multiples of 4 waste nothing.
//
// With few bits a vector, 8 bytes of factors are better spent on groups. Without them the score is what codes alone say:
// weight·(⟨q, w⟩ − ‖w‖²/2), by the squared norms of centroids within the tables (for L2 that is ADC: ‖q‖² − ‖q − w‖²), or
// weight·⟨q, w⟩. Biases are ignored; there are no anchors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

inline constexpr std::size_t product_centroids = 16;

// What a score is made of beside ⟨q, w⟩: a bias and a scale of each vector, the norm that the code has, or nothing.
enum class ProductFactors : int { own = 0, norms = 1, none = 2 };

class ProductCodes {
 public:
  struct Query {
    AlignedBuffer<std::uint8_t> tables;  // 16 bytes a group
    std::vector<float> products;         // before they are rounded: kept for its memory
    float step = 0;                      // of the bytes, the same for all groups
    float lower = 0;                     // Σ over the groups of the smallest product, which byte 0 stands for; less norms
  };

  // `codebooks` holds, group after group, 16 centroids of the group's width: 16·dim finite floats. Of dimensions that
  // `groups` does not divide, the first groups have one more. `weight` 2 is L2. Throws std::invalid_argument.
  ProductCodes(std::size_t dim, std::size_t groups, std::span<const float> codebooks, float weight, bool rescale = true,
               ProductFactors factors = ProductFactors::own);

  std::size_t dim() const { return dim_; }
  std::size_t groups() const { return groups_; }
  // Where a group's dimensions begin; start_of(groups()) is dim().
  std::size_t start_of(std::size_t group) const;

  static constexpr std::size_t parts = 1;
  static constexpr std::size_t granule = table_block;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const {
    return part == 0 ? (count + table_block - 1) / table_block * block_bytes() : 0;
  }
  // As the concept Codec says.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
              const MutableCodes& codes, std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, scaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  std::size_t nibble_bytes() const { return table_block_bytes(table_groups(groups_)); }
  std::size_t block_bytes() const { return nibble_bytes() + (own_factors() ? 2 * table_block * sizeof(float) : 0); }
  bool own_factors() const { return factors_ == ProductFactors::own; }
  // Of code `at` in a block, from the sum of its table entries.
  float score_of(const Query& query, const std::uint8_t* block, std::size_t at, std::int32_t sum) const;
  struct Estimate {
    float scale, shift;
  };
  void nearest(const float* v, std::uint8_t* code) const;
  Estimate estimate_of(const float* v, const std::uint8_t* code, bool anchored) const;
  float value_of(const std::uint8_t* code, std::size_t group, std::size_t j) const {
    return centroids_[product_centroids * j + code[group]];
  }

  std::size_t dim_, groups_;
  std::vector<float> centroids_;  // value j of all 16 centroids side by side
  std::vector<float> half_norms_;  // of every centroid ‖w‖²/2, 16 a group; empty unless they are scored
  float weight_;
  bool rescale_;
  ProductFactors factors_;
};

static_assert(Codec<ProductCodes>);

}  // namespace annbench
