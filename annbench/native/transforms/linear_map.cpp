#include "transforms/linear_map.hpp"

#include <algorithm>
#include <array>

#include "transforms/fixed_row.hpp"

namespace annbench {

LinearMap::LinearMap(std::span<const float> matrix, std::size_t dim_in, std::size_t dim_out, bool fixed)
    : dim_in_(dim_in), dim_out_(dim_out) {
  if (!fixed) {
    packed_ = AlignedBuffer<float>(packed_projection_size(dim_in, dim_out));
    pack_projection(matrix.data(), dim_in, dim_out, packed_.data());
    return;
  }
  const std::size_t pairs = fixed_pairs(dim_in);
  std::vector<std::int32_t> rows(dim_out * pairs);
  units_.resize(dim_out);
  for (std::size_t i = 0; i < dim_out; ++i)
    units_[i] = fixed_row(active_kernels(), matrix.subspan(i * dim_in, dim_in), rows.data() + i * pairs);
  fixed_ = AlignedBuffer<std::int32_t>(packed_projection_size(pairs, dim_out));
  pack_projection(rows.data(), pairs, dim_out, fixed_.data());
}

std::size_t LinearMap::nbytes() const {
  return (packed_.size() + units_.size()) * sizeof(float) + fixed_.size() * sizeof(std::int32_t);
}

void LinearMap::map(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                    Room& room) const {
  if (units_.empty())
    kernels.projection(packed_.data(), dim_in_, dim_out_, x, count, y);
  else
    map_fixed(kernels, x, squares, count, y, room);
}

void LinearMap::map_fixed(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                          Room& room) const {
  constexpr std::size_t most = 48;  // rows at a time: whole tiles of every instruction set
  const std::size_t pairs = fixed_pairs(dim_in_), together = std::min(most, count);
  room.rows.resize(std::max(room.rows.size(), together * pairs));
  room.sums.resize(std::max(room.sums.size(), together * dim_out_));
  std::array<float, most> units;
  for (std::size_t first = 0; first < count; first += together) {
    const std::size_t n = std::min(together, count - first);
    for (std::size_t r = 0; r < n; ++r)
      units[r] = fixed_row(kernels, {x + (first + r) * dim_in_, dim_in_}, squares[first + r], room.rows.data() + r * pairs);
    kernels.fixed_projection(fixed_.data(), pairs, dim_out_, room.rows.data(), n, room.sums.data());
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t i = 0; i < dim_out_; ++i)
        y[(first + r) * dim_out_ + i] = static_cast<float>(room.sums[r * dim_out_ + i]) * units_[i] * units[r];
  }
}

}  // namespace annbench
