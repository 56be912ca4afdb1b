// BEBR's recurrent binarization (Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD 2023), as it was trained:
//
//   b_0 = sgn(W(f)),   r_t = R_t(b_t)/‖R_t(b_t)‖,   b_{t+1} = b_t + 2^−(t+1)·sgn(T_t(f − r_t)),   sgn(0) = 1
//
// of f = scale·x, x being what an index hands on: of length 1, or less a mean.
//
// W (dim_in → dim), T_t (dim_in → dim) and R_t (dim → dim_in) are linear maps with a bias, plus what a perceptron gives:
// layers with a bias, and max(0, ·) between two. Batch norms of training have gone into the layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/dispatch.hpp"
#include "transforms/linear_map.hpp"

namespace annbench {

class RecurrentBinarizer {
 public:
  // `shape` is dim_in, dim, steps, and then of W, T_0 …, R_0 … how many layers each has and the widths between them;
  // `values` are the scale and the maps in the same order: matrix, bias, and matrix and bias of every layer, by rows of
  // outputs.
  // Throws std::invalid_argument where these do not fit each other, or a value is not finite.
  RecurrentBinarizer(std::span<const std::uint32_t> shape, std::span<const float> values);
  RecurrentBinarizer(RecurrentBinarizer&&) = default;  // its maps cannot be copied
  RecurrentBinarizer& operator=(RecurrentBinarizer&&) = default;

  std::size_t dim_in() const { return dim_in_; }
  std::size_t dim() const { return dim_; }
  std::size_t steps() const { return residual_.size(); }
  std::size_t nbytes() const;

  // To work in, for one call at a time; kept for its memory.
  struct Room {
    LinearMap::Room linear;
    std::vector<float> scaled, rest, back, layers[2];
  };
  // codes[r] = b_u of x[r], for `count` rows.
  void map(const KernelTable& kernels, const float* x, std::size_t count, float* codes, Room& room) const;

 private:
  // A matrix and a bias.
  struct Affine {
    LinearMap matrix;
    std::vector<float> bias;

    void map(const KernelTable& kernels, const float* x, std::size_t count, float* y, LinearMap::Room& room) const;
  };
  struct Perceptron {
    Affine linear;
    std::vector<Affine> layers;

    std::size_t nbytes() const;
    void map(const KernelTable& kernels, const float* x, std::size_t count, float* y, Room& room) const;
  };
  class Parser;

  std::size_t dim_in_ = 0, dim_ = 0;
  float scale_ = 1;
  std::vector<Perceptron> first_, residual_, reconstruct_;  // one first
};

}  // namespace annbench
