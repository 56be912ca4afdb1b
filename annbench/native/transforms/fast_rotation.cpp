#include "transforms/fast_rotation.hpp"

#include <bit>
#include <cmath>
#include <random>
#include <stdexcept>

namespace annbench {

FastRotation::FastRotation(std::size_t dim, std::uint64_t seed)
    : dim_(dim), block_(std::bit_floor(dim)), signs_(rounds * dim) {
  if (dim == 0) throw std::invalid_argument("dim must be at least 1");
  std::mt19937_64 random(seed);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < signs_.size(); ++i) {
    if (i % 64 == 0) bits = random();
    signs_[i] = (bits >> (i % 64)) & 1 ? -1.0f : 1.0f;
  }
}

void FastRotation::rotate(const KernelTable& kernels, float* v) const {
  for (std::size_t round = 0; round < rounds; ++round) {
    flip(round, v);
    transform(kernels, round, v);
    mix(v);
  }
}

// Each step is its own inverse: the same steps, the other way round.
void FastRotation::rotate_back(const KernelTable& kernels, float* v) const {
  for (std::size_t round = rounds; round-- > 0;) {
    mix(v);
    transform(kernels, round, v);
    flip(round, v);
  }
}

void FastRotation::flip(std::size_t round, float* v) const {
  const float* signs = signs_.data() + round * dim_;
  for (std::size_t i = 0; i < dim_; ++i) v[i] *= signs[i];
}

void FastRotation::transform(const KernelTable& kernels, std::size_t round, float* v) const {
  float* block = round % 2 == 0 ? v : v + (dim_ - block_);
  kernels.hadamard(block, block_);
  const float scale = 1 / std::sqrt(static_cast<float>(block_));
  for (std::size_t i = 0; i < block_; ++i) block[i] *= scale;
}

void FastRotation::mix(float* v) const {
  if (block_ == dim_) return;  // the transform has mixed everything with everything
  const std::size_t half = dim_ / 2, second = dim_ - half;
  constexpr float root = 0.70710678f;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = v[i], b = v[second + i];
    v[i] = (a + b) * root;
    v[second + i] = (a - b) * root;
  }
}

}  // namespace annbench
