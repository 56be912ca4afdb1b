// The uniform code: every vector on a grid of its own with 2^bits evenly spaced values, the same grid for all its
// dimensions. LVQ, RaBitQ and OSQ are three ways to choose the grid; what is stored and how it is scored is the same.
//
//   v_j ≈ lower + step · c_j,   c_j in 0 … 2^bits − 1
//
// The reconstruction w shrinks (or stretches) v by a factor that differs from vector to vector, which ruins rankings.
// One float a vector removes it: ⟨q, v⟩ ≈ rescale · ⟨q, w⟩ with rescale = ‖v‖² / ⟨w, v⟩. This is RaBitQ's unbiased
// estimator for its own codes (Gao and Long, SIGMOD 2024), and helps the others as much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace annbench {

enum class UniformFit : int {
  min_max = 0,       // LVQ: from the smallest to the largest value (Aguerrebere et al., VLDB 2023)
  rabitq = 1,        // the symmetric grid of best cosine with v (Gao et al., SIGMOD 2025), all candidates swept
  rabitq_fast = 2,   // the same without a sweep: the scale is predicted, see fast_scale()
  osq = 3,           // coordinate descent on the error along v and across it (Lucene's optimized scalar quantization)
};

struct UniformGrid {
  float lower = 0;
  float step = 0;  // 0 for a constant vector, whose codes are all 0
};

// Codes vectors of one dimension with one number of bits and one fit. Immutable: threads may share it.
class UniformQuantizer {
 public:
  // Throws std::invalid_argument unless 1 <= bits <= 8 and dim >= 1.
  UniformQuantizer(std::size_t dim, int bits, UniformFit fit);

  std::size_t dim() const { return dim_; }
  int bits() const { return bits_; }
  int max_code() const { return (1 << bits_) - 1; }
  UniformFit fit() const { return fit_; }

  // Writes dim() codes of the finite vector v, one a byte, and returns their grid. The same v gives the same codes,
  // whatever the machine.
  UniformGrid encode(const float* v, std::uint8_t* codes) const;

  // What predicts the best scale of a vector for rabitq_fast: the mean over random vectors of their best scale times
  // their length, up to 3 bits, or times their largest value, above. The published fast mode goes by the length always;
  // at 8 bits that clips every vector with a large value, and loses 4 to 20 times as much as the sweep. This loses 5 %.
  // Found when it is first asked for: that takes longer than to read a saved index, where nobody asks.
  float fast_scale() const;

 private:
  std::size_t dim_;
  int bits_;
  UniformFit fit_;
  struct FastScale {
    std::once_flag found;
    float value = 0;
  };
  std::shared_ptr<FastScale> fast_scale_;  // of all copies
};

// ‖v‖² / ⟨w, v⟩ for the reconstruction w of the codes; 0 if that is no positive number, as for a zero vector.
float uniform_rescale(const float* v, const std::uint8_t* codes, UniformGrid grid, std::size_t dim);

// A vector's codes and what score(q, v) = bias + weight·⟨q, v⟩ is estimated by: bias + Σ_j q_j·(lower + step·code_j).
struct UniformCode {
  float bias, step, lower;
};

// Codes v (dim floats), writing the codes. `anchor` as codecs/codec.hpp says, dim floats or null.
UniformCode uniform_code(const UniformQuantizer& quantizer, const float* v, float bias, const float* anchor, float weight,
                         std::uint8_t* codes);

// The second level: the residual v − w, which lies within half a step of the first, on a grid of `bits` bits over that
// interval. Writes its codes; the grid needs no storage, `residual_grid` gives it back.
void encode_residual(const float* v, const std::uint8_t* codes, UniformGrid grid, int bits, std::size_t dim,
                     std::uint8_t* residual_codes);
UniformGrid residual_grid(UniformGrid first, int bits);

}  // namespace annbench
