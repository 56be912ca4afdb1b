// Blocks of a file in memory, as many as a budget allows: those asked for last stay, about.
//
// A block is found by its number. The cache is made of shards that threads lock one at a time, and a shard evicts by
// the clock algorithm: its hand passes over blocks that were asked for since it came by last. All memory is taken when
// the cache is made; nothing that it does later can fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "support/aligned_buffer.hpp"

namespace annbench {

inline constexpr std::size_t block_bytes = 4096;  // a page of the system's own cache, and of most disks

class BlockCache {
 public:
  // At most `budget` bytes, of which about 1 % goes into finding blocks, and not more than `most_blocks` need. Without
  // room for one block it keeps nothing.
  BlockCache(std::size_t budget, std::uint64_t most_blocks);

  // Copies `bytes` bytes from `begin` on of a block; false where it is not here.
  bool get(std::uint64_t block, std::size_t begin, std::size_t bytes, std::uint8_t* to);
  // Keeps the first `bytes` bytes of a block, in place of another if there is no room.
  void put(std::uint64_t block, const std::uint8_t* data, std::size_t bytes);
  // Makes the processor fetch what get() will look at first.
  void ask_for(std::uint64_t block) const;

  std::size_t capacity() const { return slots_.size(); }  // blocks
  std::size_t nbytes() const;

 private:
  static constexpr std::uint32_t none = 0xffffffffu;

  struct Slot {
    std::uint64_t block;
    std::uint32_t next;  // in the same bucket
    bool wanted;         // since the hand came by
  };
  struct alignas(cache_line) Shard {
    std::mutex mutex;
    std::size_t used = 0, hand = 0;
  };

  std::size_t shard_of(std::uint64_t hash) const { return (hash >> 40) & (shard_count_ - 1); }
  std::size_t bucket_of(std::uint64_t hash) const {
    return shard_of(hash) * buckets_ + ((hash >> 8) & (buckets_ - 1));
  }
  std::uint32_t find(std::uint64_t hash, std::uint64_t block) const;
  std::uint32_t free_slot(Shard& shard, std::size_t first);
  void unlink(std::uint32_t slot);

  std::size_t shard_count_ = 0, per_shard_ = 0, buckets_ = 0;  // slots and buckets of a shard
  std::unique_ptr<Shard[]> shards_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> heads_;  // the first slot of every bucket
  AlignedBuffer<std::uint8_t> data_;
};

}  // namespace annbench
