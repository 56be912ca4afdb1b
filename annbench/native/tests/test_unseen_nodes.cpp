#include "kernels/unseen_nodes.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Nodes = std::vector<std::uint32_t>;

// Against the words of the contract; all memory ends at a guard page.
void compare(std::size_t nodes, std::size_t count, std::size_t end, std::uint32_t share, std::mt19937& random) {
  Nodes row(nodes);
  std::iota(row.begin(), row.end(), 0u);
  std::ranges::shuffle(row, random);
  row.resize(std::min(count, nodes));
  for (std::size_t i = 1; i < row.size(); ++i)
    if (random() % 8 == 0) row[i] = row[random() % i];
  if (end < row.size()) row[end] = no_node;
  if (end + 1 < row.size()) row[end + 1] = no_node;
  std::vector<std::uint64_t> before((nodes + 63) / 64);
  for (std::size_t node = 0; node < nodes; ++node)
    before[node / 64] |= std::uint64_t{random() % 10 < share ? 1u : 0u} << node % 64;
  std::vector<std::uint64_t> after = before;
  Nodes expected;
  for (std::size_t i = 0; i < std::min(end, row.size()); ++i) {
    if ((after[row[i] / 64] >> row[i] % 64 & 1) == 0) expected.push_back(row[i]);
    after[row[i] / 64] |= std::uint64_t{1} << row[i] % 64;
  }
  const Guarded<std::uint32_t> guarded(row);
  for (const KernelTable* kernels : available_kernels()) {
    Guarded<std::uint64_t> seen(before);
    Guarded<std::uint32_t> unseen(row.size() + unseen_slack);
    const std::size_t found = kernels->unseen_nodes(guarded.data(), row.size(), seen.data(), unseen.data());
    check(found == expected.size() && std::equal(expected.begin(), expected.end(), unseen.data()) &&
              std::equal(after.begin(), after.end(), seen.data()),
          "unseen nodes " + std::string(isa_name(kernels->isa)) + " of " + std::to_string(row.size()) + " of " + std::to_string(nodes));
  }
}

}  // namespace

void test_unseen_nodes() {
  std::mt19937 random(78);
  for (const std::size_t nodes : {1, 31, 64, 65, 100, 5000})  // the fewer, the more of a row share a word
    for (std::size_t count = 0; count <= 70; ++count)
      for (const std::uint32_t share : {0u, 5u, 10u}) {
        compare(nodes, count, count, share, random);
        compare(nodes, count, random() % (count + 1), share, random);
      }
}

}  // namespace annbench::tests
