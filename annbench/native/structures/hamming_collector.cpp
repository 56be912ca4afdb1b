#include "structures/hamming_collector.hpp"

#include <algorithm>
#include <limits>

namespace annbench {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
// A tile of codes serves every query of the block from the first-level cache.
constexpr std::size_t tile_bytes = 16 << 10;
constexpr std::size_t most_tile_codes = 2048, least_tile_codes = 16;

// Up to here an entry is put in its place at once; beyond, making room for it costs more than cutting a buffer.
constexpr std::size_t most_in_order = 128;

std::size_t capacity_for(std::size_t k) { return k <= most_in_order ? k : 3 * k; }

std::size_t tile_codes(std::size_t bytes) {
  return std::clamp(tile_bytes / std::max<std::size_t>(bytes, 1), least_tile_codes, most_tile_codes);
}

}  // namespace

// ---- the best of every query

HammingBest::HammingBest(std::size_t k, std::size_t query_count)
    : k_(k),
      capacity_(capacity_for(k)),
      queries_(query_count, Query{no_limit, false, 0, 0}),
      entries_(query_count * capacity_) {}

std::size_t HammingBest::bytes(std::size_t queries, std::size_t k) {
  return queries * (sizeof(Query) + capacity_for(k) * sizeof(Entry));
}

void HammingBest::start_from(std::size_t query, const std::int64_t* ids, const double* distances, std::int64_t ties) {
  Query& state = queries_[query];
  for (std::size_t j = 0; j < k_ && ids[j] >= 0; ++j)
    entries_of(query)[state.entries++] = {ids[j], static_cast<std::uint32_t>(distances[j])};
  if (state.entries == k_) {
    state.full = true;
    state.limit = entries_of(query)[k_ - 1].distance;
    state.ties = ties;
  }
}

void HammingBest::take(std::size_t query, std::int64_t first_id, const std::uint32_t* indices,
                       const std::uint32_t* distances, std::size_t count) {
  Query& state = queries_[query];
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t distance = distances[i];
    if (distance > state.limit) continue;  // a cut has lowered it meanwhile
    if (state.full && distance == state.limit) {
      ++state.ties;
      continue;
    }
    const Entry entry{first_id + static_cast<std::int64_t>(indices[i]), distance};
    if (in_order()) {
      insert(query, entry);
    } else {
      entries_of(query)[state.entries++] = entry;
      if (state.entries == capacity_) cut(query);
    }
  }
  if (!state.full) cut(query);
}

// Entries come in increasing id, so one goes behind all that are as near.
void HammingBest::insert(std::size_t query, Entry entry) {
  Query& state = queries_[query];
  Entry* entries = entries_of(query);
  std::size_t place = state.full ? k_ - 1 : state.entries++;
  for (; place > 0 && entries[place - 1].distance > entry.distance; --place) entries[place] = entries[place - 1];
  entries[place] = entry;
  if (state.entries < k_) return;
  const std::uint32_t last = entries[k_ - 1].distance;
  // What fell out was at the limit: a tie if that is still the last distance.
  state.ties = state.full && last == state.limit ? state.ties + 1 : 0;
  state.limit = last;
  state.full = true;
}

// Keeps the k best. Ties counted so far were at the old limit: they stay ties only if it is the new one.
void HammingBest::cut(std::size_t query) {
  Query& state = queries_[query];
  if (in_order() || state.entries < k_) return;
  Entry* begin = entries_of(query);
  Entry* kth = begin + (k_ - 1);
  Entry* end = begin + state.entries;
  std::nth_element(begin, kth, end);
  const std::uint32_t distance = kth->distance;
  if (!state.full || distance != state.limit) state.ties = 0;
  state.ties += std::count_if(kth + 1, end, [distance](const Entry& entry) { return entry.distance == distance; });
  state.limit = distance;
  state.full = true;
  state.entries = k_;
}

template <class Distance>
std::int64_t HammingBest::write(std::size_t query, std::int64_t* ids, Distance* distances) {
  cut(query);
  const Query& state = queries_[query];
  Entry* entries = entries_of(query);
  std::sort(entries, entries + state.entries);
  for (std::size_t j = 0; j < k_; ++j) {
    const bool present = j < state.entries;
    ids[j] = present ? entries[j].id : -1;
    distances[j] = present ? static_cast<Distance>(entries[j].distance) : std::numeric_limits<Distance>::infinity();
  }
  return state.ties;
}

template std::int64_t HammingBest::write(std::size_t, std::int64_t*, double*);
template std::int64_t HammingBest::write(std::size_t, std::int64_t*, float*);

// ---- rows of codes

HammingCollector::HammingCollector(std::size_t k, const CodeRows& base, const std::uint8_t* queries,
                                   std::size_t query_count, const NeighborLists& known, const KernelTable& kernels)
    : k_(k),
      base_(base),
      query_codes_(queries),
      query_count_(query_count),
      kernels_(kernels),
      best_(k, query_count),
      selected_(most_tile_codes),
      selected_distances_(most_tile_codes) {
  for (std::size_t query = 0; query < query_count; ++query)
    best_.start_from(query, known.ids + query * k, known.distances + query * k, known.ties_beyond_k[query]);
}

std::size_t HammingCollector::bytes(std::size_t queries, std::size_t k) {
  return HammingBest::bytes(queries, k) + 2 * most_tile_codes * sizeof(std::uint32_t);
}

void HammingCollector::offer(std::size_t first, std::size_t count) {
  const std::size_t step = tile_codes(base_.bytes), end = first + count;
  for (std::size_t start = first; start < end; start += step) {
    const std::size_t codes = std::min(step, end - start);
    for (std::size_t query = 0; query < query_count_; ++query) {
      const std::size_t found = kernels_.hamming_select(
          query_codes_ + query * base_.bytes, base_.values + start * base_.bytes, base_.bytes, codes,
          best_.limit(query), selected_.data(), selected_distances_.data());
      best_.take(query, base_.first_id + static_cast<std::int64_t>(start), selected_.data(), selected_distances_.data(),
                 found);
    }
  }
}

void HammingCollector::finish(const NeighborLists& lists) {
  for (std::size_t query = 0; query < query_count_; ++query)
    lists.ties_beyond_k[query] = best_.write(query, lists.ids + query * k_, lists.distances + query * k_);
}

}  // namespace annbench
