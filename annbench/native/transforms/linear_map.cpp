#include "transforms/linear_map.hpp"

#include <algorithm>
#include <array>

#include "transforms/byte_row.hpp"
#include "transforms/fixed_row.hpp"

namespace annbench {

LinearMap::LinearMap(std::span<const float> matrix, std::size_t dim_in, std::size_t dim_out, MapNumbers numbers)
    : dim_in_(dim_in), dim_out_(dim_out) {
  if (numbers == MapNumbers::floats) {
    packed_ = AlignedBuffer<float>(packed_projection_size(dim_in, dim_out));
    pack_projection(matrix.data(), dim_in, dim_out, packed_.data());
    return;
  }
  pack_fixed(matrix);
  if (numbers == MapNumbers::bytes) pack_bytes(matrix);
}

void LinearMap::pack_fixed(std::span<const float> matrix) {
  const std::size_t pairs = fixed_pairs(dim_in_);
  std::vector<std::int32_t> rows(dim_out_ * pairs);
  std::vector<float> units(dim_out_);
  for (std::size_t i = 0; i < dim_out_; ++i)
    units[i] = fixed_row(active_kernels(), matrix.subspan(i * dim_in_, dim_in_), rows.data() + i * pairs);
  fixed_ = {AlignedBuffer<std::int32_t>(packed_projection_size(pairs, dim_out_)), std::move(units), {}};
  pack_projection(rows.data(), pairs, dim_out_, fixed_.values.data());
}

// Unless bytes are too coarse for some row.
void LinearMap::pack_bytes(std::span<const float> matrix) {
  if (dim_in_ > byte_projection_most) return;
  const std::size_t fours = byte_fours(dim_in_);
  std::vector<std::int32_t> rows(dim_out_ * fours);
  std::vector<float> units(dim_out_);
  std::vector<std::int32_t> excess(dim_out_);
  for (std::size_t i = 0; i < dim_out_; ++i) {
    const std::span<const float> row = matrix.subspan(i * dim_in_, dim_in_);
    const double squares = active_kernels().wide_dot(row.data(), row.data(), dim_in_);
    const ByteRow made = byte_row(active_kernels(), row, squares, rows.data() + i * fours);
    if (made.unit == 0) return;
    units[i] = made.unit;
    excess[i] = 128 * made.sum;  // queries come as their signed bytes plus 128
  }
  bytes_ = {AlignedBuffer<std::int32_t>(packed_projection_size(fours, dim_out_)), std::move(units), std::move(excess)};
  pack_projection(rows.data(), fours, dim_out_, bytes_.values.data());
}

std::size_t LinearMap::nbytes() const {
  std::size_t bytes = packed_.size() * sizeof(float);
  for (const Packed* one : {&fixed_, &bytes_})
    bytes += (one->values.size() + one->excess.size()) * sizeof(std::int32_t) + one->units.size() * sizeof(float);
  return bytes;
}

void LinearMap::map(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                    Room& room) const {
  if (fixed_.units.empty())
    kernels.projection(packed_.data(), dim_in_, dim_out_, x, count, y);
  else
    map_integers(kernels, x, squares, count, y, room);
}

void LinearMap::map_integers(const KernelTable& kernels, const float* x, const double* squares, std::size_t count, float* y,
                             Room& room) const {
  constexpr std::size_t most = 48;  // rows at a time: whole tiles of every instruction set
  struct Rows {
    std::array<std::size_t, most> which{};
    std::array<float, most> units{};
    std::size_t count = 0;
  };
  const std::size_t pairs = fixed_pairs(dim_in_), fours = byte_fours(dim_in_), together = std::min(most, count);
  room.rows.resize(std::max(room.rows.size(), together * pairs));
  room.byte_rows.resize(std::max(room.byte_rows.size(), together * fours));
  room.sums.resize(std::max(room.sums.size(), together * dim_out_));
  const auto leave = [&](const Rows& rows, const Packed& w) {
    const float* const units = w.units.data();
    const std::int32_t* const excess = w.excess.data();
    for (std::size_t r = 0; r < rows.count; ++r) {
      const std::int32_t* const sums = room.sums.data() + r * dim_out_;
      float* const mine = y + rows.which[r] * dim_out_;
      const float unit = rows.units[r];
      if (w.excess.empty())
        for (std::size_t i = 0; i < dim_out_; ++i) mine[i] = static_cast<float>(sums[i]) * units[i] * unit;
      else
        for (std::size_t i = 0; i < dim_out_; ++i) mine[i] = static_cast<float>(sums[i] - excess[i]) * units[i] * unit;
    }
  };
  for (std::size_t first = 0; first < count; first += together) {
    Rows coarse, fine;
    for (std::size_t r = first; r < std::min(first + together, count); ++r) {
      const std::span<const float> row(x + r * dim_in_, dim_in_);
      std::int32_t* const mine = room.byte_rows.data() + coarse.count * fours;
      if (const float unit = bytes_.units.empty() ? 0 : byte_row(kernels, row, squares[r], mine).unit; unit != 0) {
        for (std::size_t k = 0; k < fours; ++k) mine[k] ^= static_cast<std::int32_t>(0x80808080u);
        coarse.which[coarse.count] = r;
        coarse.units[coarse.count++] = unit;
        continue;
      }
      fine.which[fine.count] = r;
      fine.units[fine.count] = fixed_row(kernels, row, squares[r], room.rows.data() + fine.count * pairs);
      ++fine.count;
    }
    if (coarse.count > 0) {
      kernels.byte_projection(bytes_.values.data(), fours, dim_out_, room.byte_rows.data(), coarse.count, room.sums.data());
      leave(coarse, bytes_);
    }
    if (fine.count > 0) {
      kernels.fixed_projection(fixed_.values.data(), pairs, dim_out_, room.rows.data(), fine.count, room.sums.data());
      leave(fine, fixed_);
    }
  }
}

}  // namespace annbench
