// An exhaustive index of packed bits under Hamming distance: exact, as fast as memory is for one query, and for many as
// fast as their tables are looked up (kernels/table_select.hpp). Codes take their own bytes, filled up to 2, and nothing
// else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class HammingFlat {
 public:
  // Copies `count` codes of `bytes` bytes. Throws std::invalid_argument for codes of more than most_bytes.
  HammingFlat(const std::uint8_t* rows, std::size_t count, std::size_t bytes);

  std::size_t size() const { return count_; }
  std::size_t code_bytes() const { return bytes_; }
  std::size_t nbytes() const { return blocks_.size(); }
  // Writes the codes as they came, size() · code_bytes().
  void copy_to(std::uint8_t* rows) const;

  // The k nearest of each of `queries` codes, nearest first, of equally near ones the lower id: k ids and distances each,
  // −1 and infinity where there are fewer. Threads share the queries. May run in several threads at once.
  void search(const std::uint8_t* query_codes, std::size_t queries, std::size_t k, std::size_t threads,
              std::int64_t* ids, float* distances, const KernelTable& kernels) const;

  static constexpr std::size_t most_bytes = 8188;  // whose distances fit into 16 bits, as 2^14 − 8 groups of 4

 private:
  void search_some(const std::uint8_t* query_codes, std::size_t queries, std::size_t k, std::int64_t* ids,
                   float* distances, const KernelTable& kernels) const;

  std::size_t count_, bytes_, groups_;
  AlignedBuffer<std::uint8_t> blocks_;
};

}  // namespace annbench
