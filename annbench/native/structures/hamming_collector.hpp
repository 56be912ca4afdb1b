// The exact k nearest codes of packed bits for a block of queries, with the ties at the k-th distance counted.
//
// Distances are integers, so the only rounding anywhere is none: a kernel drops what is beyond the k-th best so far. Of
// the rest, few are kept in order; where k is large they are buffered, and cut back to k when the buffer is full. Codes
// must be offered in increasing id; then whatever comes later at exactly the k-th distance is a tie and nothing more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/neighbor_collector.hpp"

namespace annbench {

// The k best of what a kernel selected, for each of some queries.
class HammingBest {
 public:
  HammingBest(std::size_t k, std::size_t query_count);

  // Takes over the list of a query over codes of lower ids: k ids and distances, −1 where there are fewer.
  void start_from(std::size_t query, const std::int64_t* ids, const double* distances, std::int64_t ties);

  // What a code may differ in, to be selected: falls as codes come in.
  std::uint32_t limit(std::size_t query) const { return queries_[query].limit; }
  // Offers `count` codes of ids first_id + indices[i], in increasing order.
  void take(std::size_t query, std::int64_t first_id, const std::uint32_t* indices, const std::uint32_t* distances,
            std::size_t count);
  // Writes a list: k ids and distances, −1 and infinity where there are fewer. Returns the ties at the last distance.
  template <class Distance>
  std::int64_t write(std::size_t query, std::int64_t* ids, Distance* distances);

  // Bytes that are allocated, at most.
  static std::size_t bytes(std::size_t queries, std::size_t k);

 private:
  struct Entry {
    std::int64_t id;
    std::uint32_t distance;
    bool operator<(const Entry& other) const {
      return distance != other.distance ? distance < other.distance : id < other.id;
    }
  };
  struct Query {
    std::uint32_t limit;  // the k-th best distance, as of the last cut where entries are buffered
    bool full;            // k codes lie within the limit
    std::size_t entries;
    std::int64_t ties;
  };

  Entry* entries_of(std::size_t query) { return entries_.data() + query * capacity_; }
  bool in_order() const { return capacity_ == k_; }
  void insert(std::size_t query, Entry entry);
  void cut(std::size_t query);

  std::size_t k_, capacity_;
  std::vector<Query> queries_;
  std::vector<Entry> entries_;
};

// Consecutive codes of the base, in memory; code i has id first_id + i.
struct CodeRows {
  const std::uint8_t* values = nullptr;
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::int64_t first_id = 0;
};

// Over rows of codes as they come, without a copy.
class HammingCollector {
 public:
  // Starts from `known`, the lists over codes of lower ids, which is copied. `queries` is (query_count, base.bytes);
  // base and queries are referred to until the collector dies.
  HammingCollector(std::size_t k, const CodeRows& base, const std::uint8_t* queries, std::size_t query_count,
                   const NeighborLists& known, const KernelTable& kernels);

  // Compares all queries with codes [first, first + count) of the base.
  void offer(std::size_t first, std::size_t count);

  // Writes the lists.
  void finish(const NeighborLists& lists);

  // Bytes that a collector allocates, at most.
  static std::size_t bytes(std::size_t queries, std::size_t k);

 private:
  std::size_t k_;
  CodeRows base_;
  const std::uint8_t* query_codes_;
  std::size_t query_count_;
  const KernelTable& kernels_;
  HammingBest best_;
  std::vector<std::uint32_t> selected_, selected_distances_;
};

}  // namespace annbench
