#include "kernels/nearest_keys.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "structures/nearest_first.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Keys = std::vector<std::uint64_t>;
using Scores = std::vector<float>;
using Nodes = std::vector<std::uint32_t>;

// What stays by the words of the contract, and the place of the smallest new one.
Keys kept(const Keys& before, const Scores& scores, const Nodes& nodes, std::size_t capacity, std::uint64_t beyond,
          std::size_t& first) {
  Keys fresh;
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (scores[i] == scores[i] && node_key(scores[i], nodes[i]) < beyond) fresh.push_back(node_key(scores[i], nodes[i]));
  Keys all = before;
  all.insert(all.end(), fresh.begin(), fresh.end());
  std::ranges::sort(all);
  if (all.size() > capacity) all.resize(capacity);
  first = size_max;
  for (std::size_t i = all.size(); i-- > 0;)
    if (std::ranges::find(fresh, all[i]) != fresh.end()) first = i;
  return all;
}

// Round after round, until many have gone; what is kept ends with its room at a guard page, as do scores and nodes.
void compare(std::size_t capacity, std::size_t together, int kinds, std::mt19937& random) {
  for (const KernelTable* kernels : available_kernels()) {
    const std::string name = "nearest keys " + std::string(isa_name(kernels->isa)) + " of " + std::to_string(capacity) + ", " +
                             std::to_string(together) + " at a time";
    Guarded<std::uint64_t> one(capacity + offer_slack), other(capacity + offer_slack);
    std::uint64_t *keys = one.data(), *spare = other.data();
    Keys expected;
    std::uint32_t node = 0;
    std::size_t size = 0;
    for (int round = 0; round < 12; ++round) {
      Scores scores(together);
      Nodes nodes(together);
      for (std::size_t i = 0; i < together; ++i) {
        nodes[i] = node = (node + 2'123'456'789) % (1u << 31);  // large ones and small ones, none twice
        scores[i] = static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(kinds)) - kinds / 2);
        if (random() % 16 == 0) scores[i] = -0.0f;
        if (random() % 16 == 0) scores[i] = std::numeric_limits<float>::quiet_NaN();
        if (random() % 16 == 0) scores[i] = (random() % 2 == 0 ? 1.0f : -1.0f) * std::numeric_limits<float>::infinity();
      }
      const Guarded<float> offered_scores(scores);
      const Guarded<std::uint32_t> offered_nodes(nodes);
      std::size_t first = 0;
      const std::uint64_t beyond = round % 3 == 2 ? node_key(static_cast<float>(kinds / 4), node) : beyond_all;
      expected = kept(expected, scores, nodes, capacity, beyond, first);
      const Offered offered =
          kernels->offer_keys(offered_scores.data(), offered_nodes.data(), together, keys, spare, size, capacity, beyond);
      if (offered.keys != keys) std::swap(keys, spare);
      size = offered.size;
      check(size == expected.size() && std::equal(expected.begin(), expected.end(), keys) && offered.keys == keys, name);
      check(offered.first == first, name + ": the place of the smallest new one");
    }
  }
}

void check_keys() {
  const float infinity = std::numeric_limits<float>::infinity();
  const Scores falling = {infinity, 3e38f, 2, 1, 1e-40f, 0, -1e-40f, -1, -3e38f, -infinity};
  for (std::size_t i = 0; i + 1 < falling.size(); ++i)
    check(node_key(falling[i], 0x7fffffff) < node_key(falling[i + 1], 0), "keys ascend as scores fall");
  check(node_key(1, 6) < node_key(1, 7), "of equal scores the smaller node is nearer");
  check(node_key(-0.0f, 5) == node_key(0.0f, 5), "zeros are one score");
  for (const float score : falling) check(key_score(node_key(score, 12)) == score, "a key has its score");
  for (std::size_t i = 0; i + 1 < falling.size(); ++i)
    check((node_key(falling[i], 0x7fffffff) | 1) < key_beyond(falling[i]) && key_beyond(falling[i]) <= node_key(falling[i + 1], 0),
          "beyond a score is what is farther");
  check(key_node(node_key(1, 0x7fffffff)) == 0x7fffffff && key_node(node_key(1, 9) | 1) == 9, "a key has its node");
}

// A mark in the lowest bit stays with its key.
void check_marks() {
  for (const KernelTable* kernels : available_kernels()) {
    Keys keys = {node_key(5, 1) | 1, node_key(4, 2), node_key(3, 3) | 1};
    keys.resize(4 + offer_slack);
    Keys spare(keys.size());
    const float scores[] = {3.5f, 4.5f};
    const std::uint32_t nodes[] = {8, 9};
    const Offered offered = kernels->offer_keys(scores, nodes, 2, keys.data(), spare.data(), 3, 4, beyond_all);
    const Keys expected = {node_key(5, 1) | 1, node_key(4.5f, 9), node_key(4, 2), node_key(3.5f, 8)};
    check(offered.size == 4 && offered.first == 1 && std::equal(expected.begin(), expected.end(), offered.keys),
          "nearest keys by hand " + std::string(isa_name(kernels->isa)));
  }
}

// What was found, of so many kinds of scores, by either way of sorting.
void check_order(std::size_t count, int kinds, std::mt19937& random) {
  std::vector<Scored> found;
  for (std::size_t i = 0; i < count; ++i) {
    const float score = static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(kinds)) - kinds / 2);
    found.push_back({i % 50 == 49 ? -std::numeric_limits<float>::infinity() : score, std::uint64_t{random()} << 20});
  }
  std::vector<Scored> expected = found;
  std::ranges::sort(expected, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
  for (const KernelTable* kernels : available_kernels()) {
    std::vector<Scored> sorted = found;
    NearestFirst order;
    order.sort(*kernels, sorted);
    const bool same = std::ranges::equal(sorted, expected, [](const Scored& a, const Scored& b) { return a.score == b.score && a.id == b.id; });
    check(same, "nearest first " + std::string(isa_name(kernels->isa)) + " of " + std::to_string(count));
  }
}

}  // namespace

void test_nearest_keys() {
  check_keys();
  check_marks();
  std::mt19937 random(77);
  for (const int kinds : {1, 5, 100'000})
    for (const std::size_t capacity : {1, 2, 7, 8, 9, 15, 33, 64, 100, 257})
      for (const std::size_t together : {0, 1, 3, 8, 15, 16, 17, 31, 32}) compare(capacity, together, kinds, random);
  for (const int kinds : {1, 3, 1'000'000})
    for (const std::size_t count : {0, 1, 2, 15, 31, 32, 33, 64, 100, 255, 256, 257, 1000}) check_order(count, kinds, random);
}

}  // namespace annbench::tests
