// BEBR's recurrent binarization (Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD 2023), as it was trained:
//
//   b_0 = sgn(W(f)),   r_t = R_t(b_t)/‖R_t(b_t)‖,   b_{t+1} = b_t + 2^−(t+1)·sgn(T_t(f − r_t)),   sgn(0) = 1
//
// of f = scale·x, x being what an index hands on: of length 1, or less a mean.
//
// W (dim_in → dim), T_t (dim_in → dim) and R_t (dim → dim_in) are linear maps with a bias, plus what a perceptron gives:
// layers with a bias, and max(0, ·) between two. Batch norms of training have gone into the layers.
//
// Maps work in 16-bit fixed point (transforms/linear_map.hpp): a sign may be another one where its input is within some
// 2⁻¹⁵ of the lengths of a row and of what it is multiplied by. Where R_t is linear, R_t(b) = R·b + c, and it is less work,
// nothing is reconstructed: with the first matrix A of T_t
//
//   A·(f − r) = A·f − (A·R·b + A·c)/‖R·b + c‖,   ‖R·b + c‖² = b·(RᵀR)·b + 2·(Rᵀc)·b + ‖c‖²
//
// and A·f is of the one product that f goes through, with the rows of W.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
  std::size_t steps() const { return steps_.size(); }
  std::size_t nbytes() const;

  // To work in, for one call at a time; kept for its memory.
  struct Room {
    LinearMap::Room linear;
    std::vector<double> squares;
    std::vector<float> scaled, of_input, of_code, entered, back, rest, layers[2];
  };
  // codes[r] = b_u of x[r], for `count` rows of finite values. Every instruction set gives the same codes.
  void map(const KernelTable& kernels, const float* x, std::size_t count, float* codes, Room& room) const;

 private:
  // A matrix, by rows of outputs, and a bias.
  struct Affine {
    std::size_t in = 0;
    std::vector<float> matrix, bias;
  };
  // As it is read: all that is done to the input first is in `entry`, the linear part and then the first layer.
  struct Perceptron {
    std::size_t out = 0;
    Affine entry;
    std::vector<Affine> later;

    bool is_linear() const { return later.empty(); }
  };

  struct Layer {
    LinearMap matrix;
    std::vector<float> bias;
  };
  // What is left of a perceptron behind its entry.
  struct Tail {
    std::size_t out = 0;
    std::vector<float> bias;  // of the entry
    std::vector<Layer> later;

    explicit Tail(const Perceptron& perceptron);
    std::size_t entered() const { return bias.size(); }
    std::size_t nbytes() const;
  };
  struct Step {
    explicit Step(const Perceptron& perceptron) : residual(perceptron) {}

    Tail residual;
    std::size_t of_input = 0;            // where A·f lies, if folded
    std::optional<LinearMap> folded;     // A·R and RᵀR, with
    std::vector<float> constant, slope;  // A·c, 2·Rᵀc
    float square = 0;                    // and ‖c‖²
    // Otherwise R's entry, of b, and A, of f − r.
    std::optional<LinearMap> reconstruct, first;
    std::optional<Tail> reconstruct_tail;
  };
  class Parser;

  bool fold(const Perceptron& residual, const Perceptron& reconstruct, Step& step) const;
  void map_some(const KernelTable& kernels, const float* f, std::size_t n, float* codes, Room& room) const;
  static void product(const KernelTable& kernels, const LinearMap& matrix, std::size_t in, const float* x, std::size_t n,
                      float* y, Room& room);
  // y of what a perceptron's entry gave, `stride` values a row.
  static void leave(const KernelTable& kernels, const Tail& tail, const float* entered, std::size_t stride, std::size_t n,
                    float* y, Room& room);

  std::size_t dim_in_ = 0, dim_ = 0, of_input_rows_ = 0;
  float scale_ = 1;
  std::optional<LinearMap> of_input_;
  std::optional<Tail> first_;
  std::vector<Step> steps_;
};

}  // namespace annbench
