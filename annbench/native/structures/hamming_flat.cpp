#include "structures/hamming_flat.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "structures/hamming_blocks.hpp"
#include "structures/hamming_collector.hpp"
#include "support/thread_pool.hpp"

namespace annbench {
namespace {

// A tile is scanned for all queries while it is in the nearest cache, beside the tables of the four at hand.
constexpr std::size_t tile_bytes = 16 << 10;
constexpr std::size_t first_tile_codes = 4 * table_block;  // until there are limits everything is selected
constexpr std::size_t most_tile_codes = 1024;
constexpr std::size_t queries_at_once = 4;
constexpr std::size_t query_block = 128;  // whose tables stay in the second cache

std::size_t in_blocks(std::size_t codes) { return (codes + table_block - 1) / table_block; }

std::size_t tile_codes(std::size_t bytes) {
  const std::size_t blocks = tile_bytes / (table_block * std::max<std::size_t>(bytes, 1));
  return std::clamp(blocks * table_block, 2 * table_block, most_tile_codes);
}

std::size_t checked_groups(std::size_t bytes) {
  if (bytes > HammingFlat::most_bytes)
    throw std::invalid_argument("codes may have " + std::to_string(HammingFlat::most_bytes) + " bytes, got " +
                                std::to_string(bytes));
  return hamming_groups(bytes);
}

}  // namespace

HammingFlat::HammingFlat(const std::uint8_t* rows, std::size_t count, std::size_t bytes)
    : count_(count),
      bytes_(bytes),
      groups_(checked_groups(bytes)),
      blocks_(in_blocks(count) * table_block_bytes(groups_)) {
  hamming_blocks_of(rows, bytes, count, blocks_.data());
}

void HammingFlat::copy_to(std::uint8_t* rows) const { hamming_rows_of(blocks_.data(), bytes_, count_, rows); }

void HammingFlat::search(const std::uint8_t* query_codes, std::size_t queries, std::size_t k, std::size_t threads,
                         std::int64_t* ids, float* distances, const KernelTable& kernels) const {
  const auto some = [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t q = begin; q < end; q += query_block)
      search_some(query_codes + q * bytes_, std::min(query_block, end - q), k, ids + q * k, distances + q * k, kernels);
  };
  const std::size_t share = queries / std::max<std::size_t>(threads, 1);
  parallel_for(queries, threads, some, std::clamp<std::size_t>(share, 1, query_block));
}

void HammingFlat::search_some(const std::uint8_t* query_codes, std::size_t queries, std::size_t k, std::int64_t* ids,
                              float* distances, const KernelTable& kernels) const {
  const std::size_t table_bytes = 16 * groups_, full_tile = tile_codes(bytes_);
  AlignedBuffer<std::uint8_t> tables(queries * table_bytes);
  for (std::size_t q = 0; q < queries; ++q)
    hamming_tables_of(query_codes + q * bytes_, bytes_, tables.data() + q * table_bytes);
  HammingBest best(k, queries);
  const auto indices = std::make_unique_for_overwrite<std::uint32_t[]>(queries_at_once * full_tile);
  const auto found_distances = std::make_unique_for_overwrite<std::uint32_t[]>(queries_at_once * full_tile);
  std::size_t tile = std::min(first_tile_codes, full_tile);
  for (std::size_t first = 0, codes; first < count_; first += codes, tile = std::min(2 * tile, full_tile)) {
    codes = std::min(tile, count_ - first);
    const std::uint8_t* blocks = blocks_.data() + first / table_block * table_block_bytes(groups_);
    for (std::size_t q = 0; q < queries; q += queries_at_once) {
      const std::size_t some = std::min(queries_at_once, queries - q);
      SelectLimit limits[queries_at_once];
      std::size_t found[queries_at_once];
      const std::uint8_t* of_queries[queries_at_once];
      for (std::size_t i = 0; i < some; ++i) {
        limits[i] = select_up_to(best.limit(q + i));
        of_queries[i] = tables.data() + (q + i) * table_bytes;
      }
      kernels.table_select(of_queries, some, blocks, groups_, codes, largest_hamming_entry, limits, {},
                           indices.get(), found_distances.get(), found);
      for (std::size_t i = 0; i < some; ++i)
        if (found[i] > 0)
          best.take(q + i, static_cast<std::int64_t>(first), indices.get() + i * codes,
                    found_distances.get() + i * codes, found[i]);
    }
  }
  for (std::size_t q = 0; q < queries; ++q) best.write(q, ids + q * k, distances + q * k);
}

}  // namespace annbench
