// A matrix that queries are mapped by, laid out for it once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class LinearMap {
 public:
  // `matrix` is dim_out rows of dim_in finite floats. With `fixed` it works in 16-bit fixed point
  // (kernels/fixed_projection.hpp): half the memory, and a half to two thirds of the time, each output off by some 2⁻¹⁶ of
  // the lengths of its row and of the query. Every instruction set gives the same bits.
  LinearMap(std::span<const float> matrix, std::size_t dim_in, std::size_t dim_out, bool fixed);

  // To work in, for one call at a time; kept for its memory.
  struct Room {
    std::vector<std::int32_t> rows, sums;
  };

  std::size_t nbytes() const;
  // y[r] = matrix·x[r] for `count` rows of finite x, whose squared lengths are given.
  void map(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y, Room& room) const;

 private:
  void map_fixed(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                 Room& room) const;

  std::size_t dim_in_, dim_out_;
  AlignedBuffer<float> packed_;
  AlignedBuffer<std::int32_t> fixed_;  // instead
  std::vector<float> units_;           // with it: what 1 stands for in a row
};

}  // namespace annbench
