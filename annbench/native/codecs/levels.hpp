// Recurrent binary codes as integers (Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD 2023): b_u is a sum of
// u + 1 signs of falling weights, so that z = 2^u·b_u has odd values within ±(2^(u+1) − 1). A code of u + 1 bits a dimension
// is c = (z + 2^(u+1) − 1)/2, its leading bits the code of fewer steps.
//
// An index holds directions z/‖z‖: scores are cosines between codes, the metric's constant aside,
//
//   score(q, v) = weight·⟨z_q, z_v⟩ / (‖z_q‖‖z_v‖) + (L2, weight 2: −1, as of vectors of length 1)
//
// from integers that are exact. With a query that is not binarized (asymmetric) it is weight·⟨q, z_v⟩/‖z_v‖.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "codecs/uniform.hpp"

namespace annbench {

inline constexpr int max_level_bits = 4;
// The excess of a length (below) then fits into 16 bits: with 4 bits a dimension adds up to 28.
inline constexpr std::size_t max_level_dim = 2048;

enum class LevelQuery : int {
  levels = 0,  // binarized as what is looked for: SDC
  values = 1,  // as it is
};

// What the codecs of levels share: how vectors become levels, and scores of their products.
class Levels {
 public:
  // Throws std::invalid_argument unless 1 <= bits <= 4 and 1 <= dim <= max_level_dim.
  Levels(std::size_t dim, int bits, float weight, LevelQuery query);

  std::size_t dim() const { return quantizer_.dim(); }
  int bits() const { return quantizer_.bits(); }
  int largest() const { return quantizer_.max_code(); }  // of levels
  bool symmetric() const { return query_ == LevelQuery::levels; }
  float weight() const { return weight_; }

  // Codes c of the levels that v points to; where v has no such direction, of those of best cosine with it.
  void codes_of(const float* v, std::uint8_t* codes) const;
  int level(std::uint8_t code) const { return 2 * code - largest(); }

  // ‖z‖² = dim + 8·excess of a code: what is stored of its length.
  std::uint32_t excess_of(const std::uint8_t* codes) const;
  std::uint32_t most_excess() const { return static_cast<std::uint32_t>(static_cast<int>(dim()) * ((largest() * largest() - 1) / 8)); }
  float norm(std::uint32_t excess) const { return std::sqrt(static_cast<float>(static_cast<std::uint32_t>(dim()) + 8 * excess)); }

  // score = constant + factor·⟨q, z⟩/‖z‖.
  struct Scale {
    float factor = 0, constant = 0;
  };
  // For a query of these codes; null for one that is not binarized.
  Scale scale_of(const std::uint8_t* query_codes) const;

 private:
  UniformQuantizer quantizer_;
  float weight_;
  LevelQuery query_;
};

}  // namespace annbench
