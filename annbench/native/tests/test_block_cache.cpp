#include <random>
#include <vector>

#include "io/block_cache.hpp"
#include "support/thread_pool.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Block = std::vector<std::uint8_t>;

// What a block holds, by its number.
Block block_of(std::uint64_t number) {
  Block block(block_bytes);
  for (std::size_t i = 0; i < block.size(); ++i)
    block[i] = static_cast<std::uint8_t>(number * 31 + i * (number % 7 + 1));
  return block;
}

void put(BlockCache& cache, std::uint64_t number) { cache.put(number, block_of(number).data(), block_bytes); }

// Whether a block is there; as it must be then.
bool holds(BlockCache& cache, std::uint64_t number, std::size_t begin = 0, std::size_t bytes = block_bytes) {
  Block found(bytes, 0);
  if (!cache.get(number, begin, bytes, found.data())) return false;
  const Block whole = block_of(number);
  check(std::equal(found.begin(), found.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin)),
        "a block is what was put in, block " + std::to_string(number));
  return true;
}

void check_budgets() {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::size_t budget = random() % (round < 100 ? 20'000 : 4'000'000);
    const std::uint64_t blocks = 1 + random() % 1000;
    BlockCache cache(budget, blocks);
    const std::string what = std::to_string(budget) + " bytes for " + std::to_string(blocks) + " blocks: ";
    check(cache.nbytes() <= budget, what + "not more than the budget");
    check(cache.capacity() <= blocks + blocks / 8, what + "not more than is of use");
    check(budget < block_bytes + 256 || cache.capacity() >= 1, what + "one block at least");
    const std::size_t affordable = budget / (block_bytes + 64);
    check(cache.capacity() + 16 >= std::min<std::uint64_t>(affordable, blocks), what + "the budget is used");
    std::size_t held = 0;
    for (std::uint64_t number = 0; number < 20; ++number) put(cache, number);
    for (std::uint64_t number = 0; number < 20; ++number) held += holds(cache, number) ? 1 : 0;
    check(held <= cache.capacity() && (cache.capacity() == 0 || held > 0), what + "what is held");
  }
}

void check_eviction() {
  BlockCache cache(8 * (block_bytes + 64), 1000);
  check(cache.capacity() == 8, "8 blocks");
  for (std::uint64_t number = 0; number < 8; ++number) put(cache, 100 + number);
  for (std::uint64_t number = 0; number < 8; ++number)
    check(holds(cache, 100 + number, 17, 300), "all have their place");
  // The hand takes away what the look above gave to all, then takes the first; from then on who is asked for stays.
  put(cache, 200);
  check(!holds(cache, 100), "the first goes when all were asked for alike");
  for (std::uint64_t number = 0; number < 1000; ++number) {
    check(holds(cache, 200), "what is asked for all the time stays");
    put(cache, 1000 + number);
  }
  check(holds(cache, 1999), "what was put in last is there");
  put(cache, 200);
  check(holds(cache, 200), "twice is once");
  check(!holds(cache, 101), "what nobody asks for goes");
}

}  // namespace

void test_block_cache_threads() {
  BlockCache cache(300 * (block_bytes + 64), 100'000);
  parallel_for(8, 4, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t job = begin; job < end; ++job) {
      std::mt19937_64 random(job);
      for (int round = 0; round < 3000; ++round) {
        const std::uint64_t number = random() % 900;
        if (!holds(cache, number, random() % 100, 1 + random() % 3900)) put(cache, number);
      }
    }
  });
}

void test_block_cache() {
  check_budgets();
  check_eviction();
  test_block_cache_threads();
}

}  // namespace annbench::tests
