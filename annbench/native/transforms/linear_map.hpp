// A matrix that queries are mapped by, laid out for it once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

// What the products of a map are of.
//   floats  as they are
//   fixed   16-bit fixed point (kernels/fixed_projection.hpp): half the memory, and a half to two thirds of the time, each
//           output off by some 2⁻¹⁶ of the lengths of its row and of the query
//   bytes   with VNNI half the time again, each output off by some 2⁻¹⁰ of these lengths (kernels/byte_projection.hpp): for
//           what codes of few bits are compared with. A query of which bytes would lose more than byte_error is mapped in fixed point,
//           as all are where the matrix has such rows.
enum class MapNumbers { floats, fixed, bytes };

class LinearMap {
 public:
  // `matrix` is dim_out rows of dim_in finite floats. Every instruction set gives the same bits but for floats, and every
  // query the same by itself as among others.
  LinearMap(std::span<const float> matrix, std::size_t dim_in, std::size_t dim_out, MapNumbers numbers);

  // To work in, for one call at a time; kept for its memory.
  struct Room {
    std::vector<std::int32_t> rows, byte_rows, sums;
  };

  std::size_t nbytes() const;
  // y[r] = matrix·x[r] for `count` rows of finite x, whose squared lengths are given.
  void map(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y, Room& room) const;

 private:
  // W in integers: of every output, what 1 stands for in its sums, and what these have too much: empty for nothing.
  struct Packed {
    AlignedBuffer<std::int32_t> values;
    std::vector<float> units;
    std::vector<std::int32_t> excess;
  };

  void pack_fixed(std::span<const float> matrix);
  void pack_bytes(std::span<const float> matrix);
  void map_integers(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                    Room& room) const;

  std::size_t dim_in_, dim_out_;
  AlignedBuffer<float> packed_;
  Packed fixed_, bytes_;  // instead; bytes_ may be empty
};

}  // namespace annbench
