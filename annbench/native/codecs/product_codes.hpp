// Product quantization with 4 bits a sub-space: the dimensions are cut into groups, every group of a vector is replaced by
// the nearest of 16 centroids, and a query finds its inner products with all centroids in tables of 16 bytes
// (kernels/table_scan.hpp).
//
//   ⟨q, v⟩ ≈ rescale · Σ_g ⟨q_g, centroid of v in g⟩,   rescale = ‖v‖² / ⟨v, w⟩ for the reconstruction w
//
// Centroids are means of what they stand for, so that w is shorter than v, by more where a vector is coded badly. The
// factor takes that out, as for the uniform code (codecs/uniform.hpp); without it this is plain product quantization
// (Jégou, Douze and Schmid, 2011) with the tables of Quick ADC (André, Kermarrec and Le Scouarnec, 2017).
//
// Codes lie in blocks of 32: their nibbles, then 32 biases, then 32 factors weight·rescale. Codes are padded to groups of
// four, so that only multiples of 4 waste nothing.
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

class ProductCodes {
 public:
  struct Query {
    AlignedBuffer<std::uint8_t> tables;  // 16 bytes a group
    std::vector<float> products;         // before they are rounded: kept for its memory
    float step = 0;                      // of the bytes, the same for all groups
    float lower = 0;                     // Σ over the groups of the smallest product, which byte 0 stands for
  };

  // `codebooks` holds, group after group, 16 centroids of the group's width: 16·dim finite floats. Of dimensions that
  // `groups` does not divide, the first groups have one more. Throws std::invalid_argument.
  ProductCodes(std::size_t dim, std::size_t groups, std::span<const float> codebooks, float weight, bool rescale = true);

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
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  std::size_t nibble_bytes() const { return table_block_bytes(table_groups(groups_)); }
  std::size_t block_bytes() const { return nibble_bytes() + 2 * table_block * sizeof(float); }
  void nearest(const float* v, std::uint8_t* code) const;
  float value_of(const std::uint8_t* code, std::size_t group, std::size_t j) const {
    return centroids_[product_centroids * j + code[group]];
  }

  std::size_t dim_, groups_;
  std::vector<float> centroids_;  // value j of all 16 centroids side by side
  float weight_;
  bool rescale_;
};

static_assert(Codec<ProductCodes>);

}  // namespace annbench
