// The exact k nearest codes of packed bits for a block of queries, with the ties at the k-th distance counted.
//
// Distances are integers, so the only rounding anywhere is none: `hamming_select` drops what is beyond the k-th best so
// far, the rest is buffered and cut back to k when the buffer is full. Codes must be offered in increasing id; then
// whatever comes later at exactly the k-th distance is a tie and nothing more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/neighbor_collector.hpp"

namespace annbench {

// Consecutive codes of the base, in memory; code i has id first_id + i.
struct CodeRows {
  const std::uint8_t* values = nullptr;
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::int64_t first_id = 0;
};

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
  struct Entry {
    std::int64_t id;
    std::uint32_t distance;
    bool operator<(const Entry& other) const {
      return distance != other.distance ? distance < other.distance : id < other.id;
    }
  };
  struct Query {
    std::uint32_t limit;  // the k-th best distance, as of the last cut
    bool full;            // k codes lie within the limit
    std::size_t entries;
    std::int64_t ties;
  };

  Entry* entries_of(std::size_t query) { return entries_.data() + query * capacity_; }
  void compare(std::size_t query, std::size_t first, std::size_t count);
  void cut(std::size_t query);

  std::size_t k_, capacity_;
  CodeRows base_;
  const std::uint8_t* query_codes_;
  const KernelTable& kernels_;
  std::vector<Query> queries_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> selected_, selected_distances_;
};

}  // namespace annbench
