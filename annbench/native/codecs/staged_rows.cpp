#include "codecs/staged_rows.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/packed_dot.hpp"

namespace annbench {
namespace {

constexpr std::size_t asked_rows = 8;  // packed_dot asks for those that follow
constexpr std::size_t refine_codes = 64;
constexpr std::size_t factor_bytes = 8;

void fill_up(const ByteQuery& rounded, std::size_t dim, AlignedBuffer<std::int8_t>& values) {
  if (values.size() != packed_query_dim(dim)) values = AlignedBuffer<std::int8_t>(packed_query_dim(dim));
  std::memcpy(values.data(), rounded.values.data(), dim);
  std::fill(values.data() + dim, values.data() + values.size(), std::int8_t{0});
}

}  // namespace

StagedRows::StagedRows(std::size_t dim, int bits, UniformFit fit, float weight)
    : signs_(dim, weight), quantizer_(dim, bits, fit), weight_(weight) {
  if (bits < 2) throw std::invalid_argument("a code in two stages has 2 to 8 bits, got " + std::to_string(bits));
  if (fit != UniformFit::rabitq && fit != UniformFit::rabitq_fast)
    throw std::invalid_argument("a code in two stages needs a grid that is symmetric: one of RaBitQ's fits");
  row_bytes_ = packed_plane_bytes(dim, bits - 1) + factor_bytes;
}

void StagedRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                        const MutableCodes& codes, std::size_t first) const {
  signs_.encode(vectors, bias, anchor, count, codes, first);
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    const UniformCode code = uniform_code(quantizer_, vectors + i * dim(), bias[i], anchor, weight_, one.data());
    const std::array<float, 2> factors = {code.bias, code.step};
    std::uint8_t* row = codes[1] + (first + i) * row_bytes_;
    put_packed(one.data(), dim(), low_bits(), row);
    std::memcpy(row + row_bytes_ - factor_bytes, factors.data(), factor_bytes);
  }
}

void StagedRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  signs_.move(codes, from, to);
  std::memmove(codes[1] + to * row_bytes_, codes[1] + from * row_bytes_, row_bytes_);
}

void StagedRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> low(dim());
  signs_.decode(codes, first, count, vectors);  // for what is above 0
  const int top = 1 << low_bits();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes[1] + (first + i) * row_bytes_;
    get_packed(row, dim(), low_bits(), low.data());
    float step;
    std::memcpy(&step, row + row_bytes_ - factor_bytes + sizeof(float), sizeof step);
    float* const v = vectors + i * dim();
    for (std::size_t j = 0; j < dim(); ++j) {
      const int code = (v[j] > 0 ? top : 0) + low[j];
      v[j] = step * (static_cast<float>(code) - (static_cast<float>(top) - 0.5f)) / weight_;
    }
  }
}

void StagedRows::prepare(const KernelTable& kernels, const float* query, Query& prepared) const {
  signs_.prepare(kernels, query, prepared.signs);
  signs_.prepare_halves(prepared.signs);
  prepared.rounded.round(kernels, query, dim());
  fill_up(prepared.rounded, dim(), prepared.values);
  prepared.sum = prepared.rounded.sum;
  if (!fine()) return;
  prepared.rest.round_rest(kernels, query, dim(), prepared.rounded);
  fill_up(prepared.rest, dim(), prepared.rest_values);
  prepared.sum += prepared.rest.sum;
}

void StagedRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       std::size_t first, std::size_t count, float* bounds) const {
  signs_.bounds(kernels, query.signs, probe, codes, first, count, bounds);
}

void StagedRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        const std::uint32_t* places, std::size_t count, float* scores) const {
  const PackedRows rows{codes[1], row_bytes_, dim(), low_bits()};
  const auto top = static_cast<float>(1 << low_bits());
  const float middle = 0.5f * (top - 1) * query.sum;
  std::array<std::int32_t, refine_codes> products, rests{};
  std::array<float, refine_codes> halves;
  for (std::size_t first = 0; first < count; first += refine_codes) {
    const std::size_t block = std::min(refine_codes, count - first);
    signs_.halves(query.signs, codes, places + first, block, halves.data());
    kernels.packed_dot(query.values.data(), rows, places + first, block, products.data());
    if (fine()) kernels.packed_dot(query.rest_values.data(), rows, places + first, block, rests.data());
    for (std::size_t i = 0; i < block; ++i) {
      float factors[2];
      std::memcpy(factors, codes[1] + (places[first + i] + std::size_t{1}) * row_bytes_ - factor_bytes, factor_bytes);
      const float low = query.rounded.step * static_cast<float>(products[i]) +
                        query.rest.step * static_cast<float>(rests[i]) - middle;
      scores[first + i] = probe.offset + factors[0] + factors[1] * (top * halves[i] + low);
    }
  }
}

std::size_t StagedRows::select(const KernelTable& kernels, const Query& query, const Probe& probe,
                               const CodesView& codes, std::size_t first, std::size_t count, float threshold,
                               std::uint32_t* places, float* bounds) const {
  const std::size_t found =
      signs_.select_bounds(kernels, query.signs, probe, codes, first, count, threshold, places, bounds);
  for (std::size_t i = 0; i < std::min(found, asked_rows); ++i)
    prefetch(codes[1] + places[i] * row_bytes_, row_bytes_);
  return found;
}

}  // namespace annbench
