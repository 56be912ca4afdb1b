#include "codecs/product_codes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "codecs/rounded_tables.hpp"

namespace annbench {
namespace {

using Sixteen = std::array<float, product_centroids>;

// Adds f(value j, value j of a centroid) over the dimensions first … end − 1, for all 16 centroids at once. As vectors
// of 4, the least that every machine has: left to itself, the compiler takes the dimensions for lanes and gathers.
template <class F>
Sixteen over_centroids(const float* values, const float* centroids, std::size_t first, std::size_t end, F f) {
  using Four = float __attribute__((vector_size(16)));
  Four sums[4] = {};
  for (std::size_t j = first; j < end; ++j)
    for (std::size_t lane = 0; lane < 4; ++lane) {
      Four four;
      std::memcpy(&four, centroids + product_centroids * j + 4 * lane, sizeof(four));
      sums[lane] += f(values[j], four);
    }
  Sixteen found;
  std::memcpy(found.data(), sums, sizeof(sums));
  return found;
}

float float_at(const std::uint8_t* place) {
  float value;
  std::memcpy(&value, place, sizeof(value));
  return value;
}

void put_float(float value, std::uint8_t* place) { std::memcpy(place, &value, sizeof(value)); }

constexpr float l2_weight = 2;

std::size_t place_of_centroid(std::size_t start, std::size_t width, std::size_t centroid, std::size_t j) {
  return product_centroids * start + centroid * width + j;
}

}  // namespace

ProductCodes::ProductCodes(std::size_t dim, std::size_t groups, std::span<const float> codebooks, float weight,
                           bool rescale, ProductFactors factors)
    : dim_(dim), groups_(groups), weight_(weight), rescale_(rescale), factors_(factors) {
  if (groups == 0 || groups > dim || groups > max_table_groups)
    throw std::invalid_argument("groups must be 1 to dim and at most " + std::to_string(max_table_groups) + ", got " +
                                std::to_string(groups) + " with dim " + std::to_string(dim));
  if (codebooks.size() != product_centroids * dim)
    throw std::invalid_argument("codebooks must hold 16 x dim = " + std::to_string(product_centroids * dim) +
                                " floats, got " + std::to_string(codebooks.size()));
  for (const float value : codebooks)
    if (!std::isfinite(value)) throw std::invalid_argument("codebooks must be finite");
  centroids_.resize(codebooks.size());
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t start = start_of(g), width = start_of(g + 1) - start;
    for (std::size_t c = 0; c < product_centroids; ++c)
      for (std::size_t j = 0; j < width; ++j)
        centroids_[product_centroids * (start + j) + c] = codebooks[place_of_centroid(start, width, c, j)];
  }
  if (factors != ProductFactors::norms) return;
  half_norms_.resize(product_centroids * groups);
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t j = start_of(g); j < start_of(g + 1); ++j)
      for (std::size_t c = 0; c < product_centroids; ++c) {
        const float value = centroids_[product_centroids * j + c];
        half_norms_[product_centroids * g + c] += value * value / 2;
      }
}

std::size_t ProductCodes::start_of(std::size_t group) const {
  return dim_ / groups_ * group + std::min(group, dim_ % groups_);
}

void ProductCodes::nearest(const float* v, std::uint8_t* code) const {
  for (std::size_t g = 0, end = 0; g < groups_; ++g) {
    const std::size_t first = end;
    end = start_of(g + 1);
    const Sixteen distances = over_centroids(v, centroids_.data(), first, end, [](float x, auto four) {
      const auto difference = x - four;
      return difference * difference;
    });
    // In two passes without branches: which of 16 is least cannot be predicted.
    float least = distances[0];
    for (const float distance : distances) least = distance < least ? distance : least;
    std::size_t at = 0;
    for (std::size_t c = product_centroids; c-- > 0;) at = distances[c] == least ? c : at;
    code[g] = static_cast<std::uint8_t>(at);
  }
}

// How ⟨q, v⟩ is estimated from ⟨q, w⟩: scale·⟨q, w⟩ + shift.
ProductCodes::Estimate ProductCodes::estimate_of(const float* v, const std::uint8_t* code, bool anchored) const {
  if (!rescale_) return {1, 0};
  float vv = 0, vw = 0, ww = 0;
  for (std::size_t g = 0, j = 0; g < groups_; ++g)
    for (const std::size_t end = start_of(g + 1); j < end; ++j) {
      const float w = value_of(code, g, j);
      vv += v[j] * v[j];
      vw += v[j] * w;
      ww += w * w;
    }
  // A vector whose code says nothing about its direction is best taken for 0.
  const float unbiased = vw > 0 && std::isfinite(vv / vw) ? vv / vw : 0;
  if (weight_ != l2_weight || unbiased == 0) return {unbiased, 0};
  const float least_error = vw / ww, way = anchored ? 0.5f : 0.25f;
  const float scale = least_error + way * (unbiased - least_error);
  if (!std::isfinite(scale)) return {unbiased, 0};
  return {scale, 0.4f * std::max(0.0f, vv - scale * vw)};
}

void ProductCodes::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                          const MutableCodes& codes, std::size_t first) const {
  std::vector<std::uint8_t> code(groups_);
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = vectors + i * dim_;
    nearest(v, code.data());
    const std::size_t at = first + i, j = at % table_block;
    std::uint8_t* block = codes[0] + at / table_block * block_bytes();
    put_table_code(code.data(), groups_, j, block);
    if (!own_factors()) continue;
    const Estimate estimate = estimate_of(v, code.data(), anchor != nullptr);
    float exact = 0, coded = 0;
    for (std::size_t g = 0, d = 0; anchor != nullptr && g < groups_; ++g)
      for (const std::size_t end = start_of(g + 1); d < end; ++d) {
        exact += anchor[d] * v[d];
        coded += anchor[d] * value_of(code.data(), g, d);
      }
    put_float(bias[i] + weight_ * (exact - estimate.scale * coded + estimate.shift), block + nibble_bytes() + 4 * j);
    put_float(weight_ * estimate.scale, block + nibble_bytes() + 4 * (table_block + j));
  }
}

void ProductCodes::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  const std::uint8_t* source = codes[0] + from / table_block * block_bytes();
  std::uint8_t* target = codes[0] + to / table_block * block_bytes();
  std::array<std::uint8_t, max_table_groups> code;
  get_table_code(source, groups_, from % table_block, code.data());
  put_table_code(code.data(), groups_, to % table_block, target);
  if (!own_factors()) return;
  for (const std::size_t factors : {nibble_bytes(), nibble_bytes() + 4 * table_block})
    put_float(float_at(source + factors + 4 * (from % table_block)), target + factors + 4 * (to % table_block));
}

void ProductCodes::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> code(groups_);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* block = codes[0] + (first + i) / table_block * block_bytes();
    const std::size_t at = (first + i) % table_block;
    get_table_code(block, groups_, at, code.data());
    const float rescale = own_factors() ? float_at(block + nibble_bytes() + 4 * (table_block + at)) / weight_ : 1;
    for (std::size_t g = 0, j = 0; g < groups_; ++g)
      for (const std::size_t end = start_of(g + 1); j < end; ++j)
        vectors[i * dim_ + j] = rescale * value_of(code.data(), g, j);
  }
}

void ProductCodes::prepare(const KernelTable&, const float* query, Query& prepared) const {
  const std::size_t bytes = product_centroids * table_groups(groups_);
  if (prepared.tables.size() != bytes) prepared.tables = AlignedBuffer<std::uint8_t>(bytes);
  prepared.products.resize(product_centroids * groups_);
  for (std::size_t g = 0, end = 0; g < groups_; ++g) {
    const std::size_t first = end;
    end = start_of(g + 1);
    Sixteen products =
        over_centroids(query, centroids_.data(), first, end, [](float x, auto four) { return x * four; });
    for (std::size_t c = 0; !half_norms_.empty() && c < product_centroids; ++c)
      products[c] -= half_norms_[product_centroids * g + c];
    std::copy(products.begin(), products.end(), prepared.products.data() + product_centroids * g);
  }
  const TableScale scale = round_tables(prepared.products, prepared.tables.data());
  prepared.step = scale.step;
  prepared.lower = scale.lower;
}

void ProductCodes::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                         std::size_t first, std::size_t count, float* scores) const {
  const std::uint8_t* block = codes[0] + first / table_block * block_bytes();
  std::array<std::uint32_t, table_block> sums;
  for (std::size_t done = 0; done < count; done += table_block, block += block_bytes()) {
    const std::size_t some = std::min(table_block, count - done);
    kernels.table_scan(query.tables.data(), block, table_groups(groups_), table_block, sums.data());
    for (std::size_t i = 0; i < some; ++i)
      scores[done + i] = probe.offset + score_of(query, block, i, static_cast<std::int32_t>(sums[i]));
  }
}

float ProductCodes::score_of(const Query& query, const std::uint8_t* block, std::size_t at, std::int32_t sum) const {
  const float inner = query.lower + query.step * static_cast<float>(sum);
  if (!own_factors()) return weight_ * inner;
  const std::uint8_t* factors = block + nibble_bytes();
  return float_at(factors + 4 * at) + float_at(factors + 4 * (table_block + at)) * inner;
}

void ProductCodes::refine(const KernelTable&, const Query& query, const Probe& probe, const CodesView& codes,
                          const std::uint32_t* places, std::size_t count, float* scores) const {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* block = codes[0] + places[i] / table_block * block_bytes();
    const std::size_t at = places[i] % table_block;
    const std::uint32_t sum = table_sum(query.tables.data(), block, groups_, at);
    scores[i] = probe.offset + score_of(query, block, at, static_cast<std::int32_t>(sum));
  }
}

}  // namespace annbench
