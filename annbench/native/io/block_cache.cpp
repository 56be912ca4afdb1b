#include "io/block_cache.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "support/prefetch.hpp"

namespace annbench {
namespace {

constexpr std::size_t most_shards = 16, least_slots = 64;  // of a shard, where there are several

// Neighbours go to shards and buckets that have nothing to do with each other (the finalizer of splitmix64).
std::uint64_t hash_of(std::uint64_t block) {
  std::uint64_t x = block + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

BlockCache::BlockCache(std::size_t budget, std::uint64_t most_blocks) {
  // A slot has at most two buckets, because their number is a power of two.
  constexpr std::size_t slot_bytes = block_bytes + sizeof(Slot) + 2 * sizeof(std::uint32_t);
  // Blocks do not spread evenly over shards: where there is room for all there is some to spare.
  const std::uint64_t most = std::min<std::uint64_t>(most_blocks + most_blocks / 8, none);
  const auto slots_with = [&](std::size_t shards) {
    const std::size_t rest = budget - std::min(budget, shards * sizeof(Shard));
    return static_cast<std::size_t>(std::min<std::uint64_t>(rest / slot_bytes, most));
  };
  if (slots_with(1) == 0) return;
  shard_count_ = std::min(most_shards, std::bit_floor(std::max<std::size_t>(1, slots_with(1) / least_slots)));
  per_shard_ = slots_with(shard_count_) / shard_count_;
  buckets_ = std::bit_ceil(per_shard_);
  shards_ = std::make_unique<Shard[]>(shard_count_);
  slots_.resize(shard_count_ * per_shard_);
  heads_.assign(shard_count_ * buckets_, none);
  data_ = AlignedBuffer<std::uint8_t>(slots_.size() * block_bytes);
}

std::size_t BlockCache::nbytes() const {
  return shard_count_ * sizeof(Shard) + slots_.size() * sizeof(Slot) + heads_.size() * sizeof(std::uint32_t) +
         data_.size();
}

void BlockCache::ask_for(std::uint64_t block) const {
  if (shard_count_ > 0) prefetch(&heads_[bucket_of(hash_of(block))], sizeof(std::uint32_t));
}

std::uint32_t BlockCache::find(std::uint64_t hash, std::uint64_t block) const {
  std::uint32_t slot = heads_[bucket_of(hash)];
  while (slot != none && slots_[slot].block != block) slot = slots_[slot].next;
  return slot;
}

bool BlockCache::get(std::uint64_t block, std::size_t begin, std::size_t bytes, std::uint8_t* to) {
  if (shard_count_ == 0) return false;
  const std::uint64_t hash = hash_of(block);
  const std::lock_guard lock(shards_[shard_of(hash)].mutex);
  const std::uint32_t slot = find(hash, block);
  if (slot == none) return false;
  slots_[slot].wanted = true;
  std::memcpy(to, data_.data() + slot * block_bytes + begin, bytes);
  return true;
}

void BlockCache::put(std::uint64_t block, const std::uint8_t* data, std::size_t bytes) {
  if (shard_count_ == 0) return;
  const std::uint64_t hash = hash_of(block);
  Shard& shard = shards_[shard_of(hash)];
  const std::lock_guard lock(shard.mutex);
  if (find(hash, block) != none) return;  // another thread was faster
  const std::uint32_t slot = free_slot(shard, shard_of(hash) * per_shard_);
  std::uint32_t& head = heads_[bucket_of(hash)];
  slots_[slot] = {block, head, false};
  head = slot;
  std::memcpy(data_.data() + slot * block_bytes, data, bytes);
}

// A slot of the shard whose slots begin at `first`: one never used, or the next that nobody asked for lately.
std::uint32_t BlockCache::free_slot(Shard& shard, std::size_t first) {
  if (shard.used < per_shard_) return static_cast<std::uint32_t>(first + shard.used++);
  for (;;) {
    const auto slot = static_cast<std::uint32_t>(first + shard.hand);
    shard.hand = (shard.hand + 1) % per_shard_;
    if (std::exchange(slots_[slot].wanted, false)) continue;
    unlink(slot);
    return slot;
  }
}

void BlockCache::unlink(std::uint32_t slot) {
  std::uint32_t* link = &heads_[bucket_of(hash_of(slots_[slot].block))];
  while (*link != slot) link = &slots_[*link].next;
  *link = slots_[slot].next;
}

}  // namespace annbench
