#include "codecs/level_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace annbench {
namespace {

constexpr std::size_t scanned_at_once = LevelBlocks::most_selected;  // codes whose sums wait for a comparison, in L1

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
    : levels_(dim, bits, weight, query),
      groups_(groups_of(dim, bits)),
      distances_(query == LevelQuery::levels &&
                 table_groups(groups_) * largest_entry(group(0)) <= most_of_table_select),
      length_shift_(std::countl_zero(static_cast<std::uint16_t>(levels_.most_excess()))) {}

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

std::uint32_t LevelBlocks::largest_entry(const Group& group) const {
  const auto largest = static_cast<std::uint32_t>(levels_.largest());
  return static_cast<std::uint32_t>(group.dims) * largest * ((1u << group.width) - 1) << group.shift;
}

template <class T>
std::array<T, table_entries> LevelBlocks::products(const Group& group, const T* query) const {
  // Linear in the bits: those of no bit set, to which every bit adds the same wherever it is set.
  std::array<T, table_entries> made;
  made[0] = 0;
  for (std::size_t i = 0; i < group.dims; ++i)
    made[0] -= static_cast<T>(((1 << group.width) - 1) * (1 << group.shift)) * query[group.first + i];
  for (int bit = 0; bit < 4; ++bit) {
    // The first dimension in the upper bits.
    const auto i = static_cast<std::size_t>((3 - bit) / group.width);
    const int weight = 2 << (bit % group.width + group.shift);
    const T more = i < group.dims ? static_cast<T>(weight) * query[group.first + i] : T{0};
    for (int four = 0; four < 1 << bit; ++four) made[static_cast<std::size_t>(four | 1 << bit)] = made[static_cast<std::size_t>(four)] + more;
  }
  return made;
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
  std::array<std::uint8_t, max_table_groups> fours;
  get_table_code(codes[0], groups_, from, fours.data());
  put_table_code(fours.data(), groups_, to, codes[0]);
  if (levels_.bits() > 1) std::memcpy(codes[1] + 2 * to, codes[1] + 2 * from, 2);
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
  const std::size_t bytes = table_entries * table_groups(groups_);
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
  const int sign = distances_ ? -1 : 1;
  int offsets = 0;
  for (std::size_t g = 0; g < groups_; ++g) {
    const Group at = group(g);
    const int offset = static_cast<int>(largest_entry(at));
    offsets += offset;
    // Products and offsets are as even or odd as there are dimensions: their differences are even.
    const std::array<int, table_entries> made = products(at, values.data());
    for (std::size_t four = 0; four < table_entries; ++four)
      prepared.tables[table_entries * g + four] = static_cast<std::uint8_t>((offset + sign * made[four]) / 2);
  }
  prepared.step = static_cast<float>(2 * sign);
  prepared.base = static_cast<float>(-sign * offsets);
}

void LevelBlocks::fill_rounded(const float* query, Query& prepared) const {
  prepared.products.resize(table_entries * groups_);
  for (std::size_t g = 0; g < groups_; ++g) {
    const std::array<float, table_entries> made = products(group(g), query);
    std::copy(made.begin(), made.end(), prepared.products.data() + table_entries * g);
  }
  const TableScale scale = round_tables(prepared.products, prepared.tables.data());
  prepared.step = scale.step;
  prepared.base = scale.lower;
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
    const std::uint8_t* block = codes[0] + places[i] / table_block * block_bytes;
    const std::uint32_t sum = table_sum(query.tables.data(), block, groups_, places[i] % table_block);
    scores[i] = score_of(query, probe.offset, sum, norm_at(codes, places[i]));
  }
}

LevelBlocks::Range LevelBlocks::range_of(const CodesView& codes, std::size_t first, std::size_t count) const {
  if (levels_.bits() == 1 || count == 0) return {};
  // With a sign where that is possible: every machine has a minimum of such words.
  const auto range = [&]<class Word>(Word least, Word most) {
    const std::uint8_t* excess = codes[1] + 2 * first;
    for (std::size_t i = 0; i < count; ++i) {
      Word each;
      std::memcpy(&each, excess + 2 * i, 2);
      least = std::min(least, each);
      most = std::max(most, each);
    }
    return Range{static_cast<std::uint32_t>(least), static_cast<std::uint32_t>(most)};
  };
  return levels_.bits() == 2 ? range(std::int16_t{0x7fff}, std::int16_t{0}) : range(std::uint16_t{0xffff}, std::uint16_t{0});
}

float LevelBlocks::passing_sum(const Query& query, float needed, float norm) const {
  return (needed * norm - query.base) / query.step + (query.step < 0 ? 1 : -1);
}

float LevelBlocks::needed_of(const Query& query, const Probe& probe, float threshold) const {
  return (threshold - probe.offset - query.scale.constant) / query.scale.factor * (1 - 1e-5f);
}

// From the shortest code to one between, of norms in equal distances, and from there to the longest.
LevelBlocks::Chords LevelBlocks::chords_of(const Range& range) const {
  const float shortest = levels_.norm(range.least), longest = levels_.norm(range.most), half = (shortest + longest) / 2;
  const auto between = static_cast<std::uint32_t>((half * half - static_cast<float>(dim())) / 8);
  const std::array<std::uint32_t, 3> excesses = {range.least, std::clamp(between, range.least, range.most), range.most};
  Chords chords{{shortest, levels_.norm(excesses[1]), longest}, {}};
  const float unit = std::ldexp(1.0f, length_shift_ - 16);  // by what a slope of 1 falls over an excess of 1
  for (std::size_t i = 0; i < 2; ++i) {
    const std::uint32_t run = excesses[i + 1] - excesses[i];
    chords.lines[i] = {run > 0 ? 1 / (static_cast<float>(run) * unit) : 0, unit * static_cast<float>(excesses[i])};
  }
  return chords;
}

SelectLimit LevelBlocks::limit_of(const Query& query, const Probe& probe, float threshold, const Chords& chords) const {
  const float needed = needed_of(query, probe, threshold);
  if (!(needed > 0)) return select_up_to(most_of_table_select);
  std::array<float, 3> sums;
  for (std::size_t i = 0; i < 3; ++i) sums[i] = passing_sum(query, needed, chords.norms[i]);
  SelectLimit limit;
  for (std::size_t i = 0; i < 2; ++i) {
    const Chords::Line& line = chords.lines[i];
    const auto slope = static_cast<std::uint16_t>(std::min((sums[i] - sums[i + 1]) * line.slope_of_fall, 65535.0f));
    const float most = sums[i] + static_cast<float>(slope) * line.fall_of_slope;
    if (most >= most_of_table_select) return select_up_to(most_of_table_select);
    limit.lines[i] = {static_cast<std::uint16_t>(std::max(most, 0.0f)), slope};
  }
  return limit;
}

void LevelBlocks::select_together(const KernelTable& kernels, std::span<const Query* const> queries,
                                  std::span<const Probe* const> probes, const CodesView& codes, std::size_t first,
                                  std::size_t count, std::span<const float> thresholds, std::uint32_t* places,
                                  float* scores, std::size_t* found) const {
  std::array<std::uint32_t, together * most_selected> sums;
  std::array<SelectLimit, together> limits;
  std::array<const std::uint8_t*, together> tables;
  const std::size_t groups = table_groups(groups_);
  const Chords chords = chords_of(range_of(codes, first, count));
  CodeLengths lengths;
  if (levels_.bits() > 1) lengths = {codes[1] + 2 * first, length_shift_};
  for (std::size_t q = 0; q < queries.size(); ++q) {
    limits[q] = limit_of(*queries[q], *probes[q], thresholds[q], chords);
    tables[q] = queries[q]->tables.data();
  }
  kernels.table_select(tables.data(), queries.size(), codes[0] + first / table_block * table_block_bytes(groups), groups,
                       count, largest_entry(group(0)), limits.data(), lengths, places, sums.data(), found);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    std::size_t kept = 0;
    for (std::size_t i = count * q; i < count * q + found[q]; ++i) {
      const std::size_t place = first + places[i];
      const float score = score_of(*queries[q], probes[q]->offset, sums[i], norm_at(codes, place));
      if (!(score >= thresholds[q])) continue;
      places[count * q + kept] = static_cast<std::uint32_t>(place);
      scores[count * q + kept++] = score;
    }
    found[q] = kept;
  }
}

std::size_t LevelBlocks::select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                                std::size_t first, std::size_t count, float threshold, std::uint32_t* places,
                                float* scores) const {
  const std::size_t groups = table_groups(groups_);
  std::size_t found = 0;
  for (std::size_t done = 0; done < count; done += scanned_at_once) {
    const std::size_t some = std::min(scanned_at_once, count - done), from = first + done;
    if (selects_together()) {
      const Query* const queries[] = {&query};
      const Probe* const probes[] = {&probe};
      std::size_t more = 0;
      select_together(kernels, queries, probes, codes, from, some, {&threshold, 1}, places + found, scores + found, &more);
      found += more;
      continue;
    }
    std::array<std::uint32_t, scanned_at_once> sums;
    kernels.table_scan(query.tables.data(), codes[0] + from / table_block * table_block_bytes(groups), groups, some,
                       sums.data());
    const float needed = needed_of(query, probe, threshold);
    for (std::size_t block = 0; block < some; block += table_block) {
      const std::size_t end = std::min(some, block + table_block);
      // Of cosines below 0 longer codes are better.
      if (needed > 0 && query.step != 0) {
        const float sum = passing_sum(query, needed, levels_.norm(range_of(codes, from + block, end - block).least));
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
