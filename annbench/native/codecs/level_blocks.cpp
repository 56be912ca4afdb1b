#include "codecs/level_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace annbench {
namespace {

constexpr std::size_t values_of_four_bits = 16;
constexpr std::size_t scanned_at_once = 512;  // codes whose sums wait for a comparison, in L1

std::uint16_t excess_at(const CodesView& codes, std::size_t place) {
  std::uint16_t excess;
  std::memcpy(&excess, codes[1] + 2 * place, sizeof(excess));
  return excess;
}

// How many groups codes are cut into.
std::size_t groups_of(std::size_t dim, int bits) {
  const auto by = [dim](std::size_t dims) { return (dim + dims - 1) / dims; };
  return bits == 1 ? by(4) : bits == 2 ? by(2) : bits == 3 ? by(2) + by(4) : dim;
}

}  // namespace

LevelBlocks::LevelBlocks(std::size_t dim, int bits, float weight, LevelQuery query)
    : levels_(dim, bits, weight, query), groups_(groups_of(dim, bits)) {}

std::size_t LevelBlocks::bytes(std::size_t part, std::size_t count) const {
  if (part == 0) return (count + table_block - 1) / table_block * table_block_bytes(table_groups(groups_));
  return part == 1 && levels_.bits() > 1 ? 2 * count : 0;
}

LevelBlocks::Group LevelBlocks::group(std::size_t g) const {
  int width = levels_.bits(), shift = 0;
  if (width == 3) {
    const std::size_t pairs = (dim() + 1) / 2;
    width = g < pairs ? 2 : 1;
    shift = g < pairs ? 1 : 0;
    if (g >= pairs) g -= pairs;
  }
  const std::size_t each = 4 / static_cast<std::size_t>(width), first = each * g;
  return {first, std::min(each, dim() - first), width, shift};
}

template <class T>
T LevelBlocks::product(const Group& group, const T* query, unsigned four) const {
  T sum = 0;
  for (std::size_t i = 0; i < group.dims; ++i) {
    // The first dimension in the upper bits.
    const unsigned field = four >> (4 - group.width * static_cast<int>(i + 1)) & ((1u << group.width) - 1);
    const int level = (2 * static_cast<int>(field) - ((1 << group.width) - 1)) * (1 << group.shift);
    sum += static_cast<T>(level) * query[group.first + i];
  }
  return sum;
}

void LevelBlocks::put(const std::uint8_t* one, std::size_t place, const MutableCodes& codes) const {
  std::array<std::uint8_t, max_table_groups> fours;
  for (std::size_t g = 0; g < groups_; ++g) {
    const Group at = group(g);
    unsigned four = 0;
    for (std::size_t i = 0; i < at.dims; ++i) {
      const unsigned field = (static_cast<unsigned>(one[at.first + i]) >> at.shift) & ((1u << at.width) - 1);
      four |= field << (4 - at.width * static_cast<int>(i + 1));
    }
    fours[g] = static_cast<std::uint8_t>(four);
  }
  put_table_code(fours.data(), groups_, place, codes[0]);
  if (levels_.bits() == 1) return;
  const auto excess = static_cast<std::uint16_t>(levels_.excess_of(one));
  std::memcpy(codes[1] + 2 * place, &excess, sizeof(excess));
}

void LevelBlocks::get(const CodesView& codes, std::size_t place, std::uint8_t* one) const {
  std::array<std::uint8_t, max_table_groups> fours;
  get_table_code(codes[0], groups_, place, fours.data());
  std::fill(one, one + dim(), std::uint8_t{0});
  for (std::size_t g = 0; g < groups_; ++g) {
    const Group at = group(g);
    for (std::size_t i = 0; i < at.dims; ++i) {
      const unsigned field = static_cast<unsigned>(fours[g]) >> (4 - at.width * static_cast<int>(i + 1)) & ((1u << at.width) - 1);
      one[at.first + i] = static_cast<std::uint8_t>(one[at.first + i] | field << at.shift);
    }
  }
}

void LevelBlocks::encode(const float* vectors, const float*, const float*, std::size_t count, const MutableCodes& codes,
                         std::size_t first) const {
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    levels_.codes_of(vectors + i * dim(), one.data());
    put(one.data(), first + i, codes);
  }
}

void LevelBlocks::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  std::vector<std::uint8_t> one(dim());
  get({codes[0], codes[1]}, from, one.data());
  put(one.data(), to, codes);
}

void LevelBlocks::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    get(codes, first + i, one.data());
    const float norm = norm_at(codes, first + i);
    for (std::size_t j = 0; j < dim(); ++j) vectors[i * dim() + j] = static_cast<float>(levels_.level(one[j])) / norm;
  }
}

void LevelBlocks::prepare(const KernelTable&, const float* query, Query& prepared) const {
  const std::size_t bytes = values_of_four_bits * table_groups(groups_);
  if (prepared.tables.size() != bytes) prepared.tables = AlignedBuffer<std::uint8_t>(bytes);
  if (levels_.symmetric()) {
    prepared.codes.resize(dim());
    levels_.codes_of(query, prepared.codes.data());
    prepared.scale = levels_.scale_of(prepared.codes.data());
    fill_exact(prepared);
  } else {
    prepared.scale = levels_.scale_of(nullptr);
    fill_rounded(query, prepared);
  }
}

void LevelBlocks::fill_exact(Query& prepared) const {
  std::vector<int>& values = prepared.levels;
  values.resize(dim());
  for (std::size_t j = 0; j < dim(); ++j) values[j] = levels_.level(prepared.codes[j]);
  int offsets = 0;
  for (std::size_t g = 0; g < groups_; ++g) {
    const Group at = group(g);
    const int offset = static_cast<int>(at.dims) * levels_.largest() * ((1 << at.width) - 1) * (1 << at.shift);
    offsets += offset;
    // Products and offsets are as even or odd as there are dimensions: their sums are even.
    for (unsigned four = 0; four < values_of_four_bits; ++four)
      prepared.tables[values_of_four_bits * g + four] =
          static_cast<std::uint8_t>((product(at, values.data(), four) + offset) / 2);
  }
  prepared.step = 2;
  prepared.base = static_cast<float>(-offsets);
}

void LevelBlocks::fill_rounded(const float* query, Query& prepared) const {
  prepared.products.resize(values_of_four_bits * groups_);
  prepared.base = 0;
  float widest = 0;
  for (std::size_t g = 0; g < groups_; ++g) {
    const Group at = group(g);
    float* const products = prepared.products.data() + values_of_four_bits * g;
    for (unsigned four = 0; four < values_of_four_bits; ++four) products[four] = product(at, query, four);
    const auto [least, most] = std::minmax_element(products, products + values_of_four_bits);
    const float low = *least;
    widest = std::max(widest, *most - low);
    prepared.base += low;
    for (unsigned four = 0; four < values_of_four_bits; ++four) products[four] -= low;
  }
  prepared.step = widest / 255 >= std::numeric_limits<float>::min() ? widest / 255 : 0;
  const float inverse = prepared.step > 0 ? 1 / prepared.step : 0;
  for (std::size_t e = 0; e < prepared.products.size(); ++e) {
    const float rounded = prepared.products[e] * inverse + 0.5f;
    prepared.tables[e] = static_cast<std::uint8_t>(static_cast<int>(rounded < 255 ? rounded : 255));
  }
}

float LevelBlocks::norm_at(const CodesView& codes, std::size_t place) const {
  return levels_.norm(levels_.bits() == 1 ? 0 : excess_at(codes, place));
}

float LevelBlocks::score_of(const Query& query, float offset, std::uint32_t sum, float norm) const {
  const float inner = query.base + query.step * static_cast<float>(sum);
  return offset + query.scale.constant + query.scale.factor * inner / norm;
}

void LevelBlocks::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        std::size_t first, std::size_t count, float* scores) const {
  std::array<std::uint32_t, scanned_at_once> sums;
  const std::size_t groups = table_groups(groups_);
  // A stretch of a list may begin within a block.
  for (std::size_t done = 0; done < count;) {
    const std::size_t place = first + done, skipped = place % table_block;
    const std::size_t some = std::min(scanned_at_once - skipped, count - done);
    kernels.table_scan(query.tables.data(), codes[0] + place / table_block * table_block_bytes(groups), groups,
                       skipped + some, sums.data());
    for (std::size_t i = 0; i < some; ++i)
      scores[done + i] = score_of(query, probe.offset, sums[skipped + i], norm_at(codes, place + i));
    done += some;
  }
}

void LevelBlocks::refine(const KernelTable&, const Query& query, const Probe& probe, const CodesView& codes,
                         const std::uint32_t* places, std::size_t count, float* scores) const {
  const std::size_t block_bytes = table_block_bytes(table_groups(groups_));
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = places[i] % table_block;
    const std::uint8_t* byte = codes[0] + places[i] / table_block * block_bytes + at % 16;
    std::uint32_t sum = 0;
    for (std::size_t g = 0; g < groups_; ++g)
      sum += query.tables[values_of_four_bits * g + ((byte[16 * g] >> (at < 16 ? 0 : 4)) & 15)];
    scores[i] = score_of(query, probe.offset, sum, norm_at(codes, places[i]));
  }
}

std::size_t LevelBlocks::select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                                std::size_t first, std::size_t count, float threshold, std::uint32_t* places,
                                float* scores) const {
  std::array<std::uint32_t, scanned_at_once> sums;
  const std::size_t groups = table_groups(groups_);
  // The cosine that passes, times ‖q‖; a little less of it, so that no rounding keeps away what score_of() lets pass.
  const float needed = (threshold - probe.offset - query.scale.constant) / query.scale.factor;
  const bool prunes = needed > 0 && query.step > 0;
  std::size_t found = 0;
  for (std::size_t done = 0; done < count; done += scanned_at_once) {
    const std::size_t some = std::min(scanned_at_once, count - done), from = first + done;
    kernels.table_scan(query.tables.data(), codes[0] + from / table_block * table_block_bytes(groups), groups, some,
                       sums.data());
    for (std::size_t block = 0; block < some; block += table_block) {
      const std::size_t end = std::min(some, block + table_block);
      if (prunes) {
        std::uint16_t least = levels_.bits() == 1 ? 0 : 0xffff;
        if (levels_.bits() > 1) {
          std::array<std::uint16_t, table_block> excess;
          excess.fill(0xffff);
          std::memcpy(excess.data(), codes[1] + 2 * (from + block), 2 * (end - block));
          for (const std::uint16_t e : excess) least = std::min(least, e);
        }
        const float sum = (needed * (1 - 1e-5f) * levels_.norm(least) - query.base) / query.step - 1;
        const auto limit = static_cast<std::int32_t>(std::clamp(sum, 0.0f, 1e9f));
        std::int32_t most = 0;
        for (std::size_t i = block; i < end; ++i) most = std::max(most, static_cast<std::int32_t>(sums[i]));
        if (most < limit) continue;
      }
      for (std::size_t i = block; i < end; ++i) {
        const float score = score_of(query, probe.offset, sums[i], norm_at(codes, from + i));
        if (!(score >= threshold)) continue;
        places[found] = static_cast<std::uint32_t>(from + i);
        scores[found++] = score;
      }
    }
  }
  return found;
}

}  // namespace annbench
