// A random orthogonal map in O(d log d): what low-bit codes need in front of them, at a fraction of a matrix's cost.
//
// Four rounds of random signs, a Hadamard transform of the first or the last 2^m coordinates in turn (2^m the largest power
// of two in d), and, where that is not all of them, rotations by π/4 of each coordinate of the first half with one of the
// second. As in the RaBitQ library (Gao et al., 2025), after Kac's walk. Every step is orthogonal, so the map is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"

namespace annbench {

class FastRotation {
 public:
  // Throws std::invalid_argument for dim 0.
  FastRotation(std::size_t dim, std::uint64_t seed);

  std::size_t dim() const { return dim_; }
  std::size_t nbytes() const { return signs_.size() * sizeof(float); }
  // dim() floats, in place. Every instruction set gives the same bits.
  void rotate(const KernelTable& kernels, float* v) const;
  // The inverse, which is the transpose.
  void rotate_back(const KernelTable& kernels, float* v) const;

 private:
  static constexpr std::size_t rounds = 4;

  void flip(std::size_t round, float* v) const;
  void transform(const KernelTable& kernels, std::size_t round, float* v) const;
  void mix(float* v) const;

  std::size_t dim_;
  std::size_t block_;               // the largest power of two that is not above dim
  std::vector<float> signs_;        // rounds × dim, each ±1
};

}  // namespace annbench
