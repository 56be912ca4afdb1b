#include "codecs/level_rows.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace annbench {
namespace {

constexpr std::size_t score_block = 256;  // products that wait for their factors

float inverse_at(const std::uint8_t* row, std::size_t row_bytes) {
  float value;
  std::memcpy(&value, row + row_bytes - sizeof(value), sizeof(value));
  return value;
}

}  // namespace

LevelRows::LevelRows(std::size_t dim, int bits, float weight, LevelQuery query)
    : levels_(dim, bits, weight, query), row_bytes_(packed_plane_bytes(dim, bits) + sizeof(float)) {}

void LevelRows::encode(const float* vectors, const float*, const float*, std::size_t count, const MutableCodes& codes,
                       std::size_t first) const {
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    levels_.codes_of(vectors + i * dim(), one.data());
    std::uint8_t* row = codes[0] + (first + i) * row_bytes_;
    put_packed(one.data(), dim(), levels_.bits(), row);
    const float inverse = 1 / levels_.norm(levels_.excess_of(one.data()));
    std::memcpy(row + row_bytes_ - sizeof(inverse), &inverse, sizeof(inverse));
  }
}

void LevelRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  std::memmove(codes[0] + to * row_bytes_, codes[0] + from * row_bytes_, row_bytes_);
}

void LevelRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes[0] + (first + i) * row_bytes_;
    get_packed(row, dim(), levels_.bits(), one.data());
    const float inverse = inverse_at(row, row_bytes_);
    for (std::size_t j = 0; j < dim(); ++j) vectors[i * dim() + j] = static_cast<float>(levels_.level(one[j])) * inverse;
  }
}

void LevelRows::prepare(const KernelTable& kernels, const float* query, Query& prepared) const {
  const std::size_t padded = packed_query_dim(dim());
  if (prepared.values.size() != padded) prepared.values = AlignedBuffer<std::int8_t>(padded);
  std::fill(prepared.values.data() + dim(), prepared.values.data() + padded, std::int8_t{0});
  float step = 1, sum = 0;
  Levels::Scale scale;
  if (levels_.symmetric()) {
    prepared.codes.resize(dim());
    levels_.codes_of(query, prepared.codes.data());
    scale = levels_.scale_of(prepared.codes.data());
    int levels = 0;
    for (std::size_t j = 0; j < dim(); ++j) {
      prepared.values[j] = static_cast<std::int8_t>(levels_.level(prepared.codes[j]));
      levels += prepared.values[j];
    }
    sum = static_cast<float>(levels);
  } else {
    prepared.rounded.round(kernels, query, dim());
    std::copy(prepared.rounded.values.begin(), prepared.rounded.values.end(), prepared.values.data());
    scale = levels_.scale_of(nullptr);
    step = prepared.rounded.step;
    sum = prepared.rounded.sum;
  }
  prepared.factor = 2 * scale.factor * step;
  prepared.centre = -scale.factor * static_cast<float>(levels_.largest()) * sum;
  prepared.constant = scale.constant;
}

void LevelRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                      std::size_t first, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0] + first * row_bytes_, nullptr, count, scores);
}

void LevelRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       const std::uint32_t* places, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0], places, count, scores);
}

void LevelRows::score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                           const std::uint32_t* places, std::size_t count, float* scores) const {
  std::array<std::int32_t, score_block> products;
  for (std::size_t first = 0; first < count; first += score_block) {
    const std::size_t block = std::min(score_block, count - first);
    const std::uint8_t* base = places == nullptr ? rows + first * row_bytes_ : rows;
    const std::uint32_t* gathered = places == nullptr ? nullptr : places + first;
    kernels.packed_dot(query.values.data(), {base, row_bytes_, dim(), levels_.bits()}, gathered, block, products.data());
    for (std::size_t i = 0; i < block; ++i) {
      const std::uint8_t* row = base + (gathered == nullptr ? i : gathered[i]) * row_bytes_;
      const float inner = query.factor * static_cast<float>(products[i]) + query.centre;
      scores[first + i] = offset + query.constant + inner * inverse_at(row, row_bytes_);
    }
  }
}

}  // namespace annbench
