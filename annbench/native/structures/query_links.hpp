// Links for queries that are unlike the vectors: those nearest to one may be far from one another, and then no links
// chosen by the distances between vectors join them. Of what is nearest to a training query, every node is linked to one
// that is nearer to it, and has a link from such a one: from any of them a search comes to all others on ways along which
// nothing is farther from the query than both ends. That training queries should make links is the idea of OOD-DiskANN
// (Jaiswal et al., arXiv 2211.12850) and RoarGraph (Chen et al., VLDB 2024), which link what is nearest to one by other
// rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "structures/graph.hpp"
#include "structures/graph_links.hpp"

namespace annbench {

class QueryLinks {
 public:
  // At most `most` such links a row, fewer than the degree. 2 bytes a node. Throws std::invalid_argument.
  QueryLinks(const NodeVectors& vectors, const KernelTable& kernels, const Graph& graph, std::size_t most);

  // Links what is nearest to each of some queries, nearest first, each node once; by what the graph was before. A new
  // link takes a gap, or the place of the farthest link that is no such one. The same whatever the number of threads.
  void link(Graph& graph, std::span<const std::vector<std::uint32_t>> nearest, std::size_t threads);

 private:
  using Link = std::pair<std::uint32_t, std::uint32_t>;  // from, to
  struct Scratch {
    std::vector<std::pair<std::uint32_t, std::size_t>> ranks;  // of nodes, by node
    std::vector<bool> leads, led;  // by rank: to a nearer node, from one
    std::vector<float> rows, scores;
  };

  bool has_room(std::uint32_t node) const { return made_[node] < most_; }
  void find_ways(const Graph& graph, std::span<const std::uint32_t> nearest, Scratch& s) const;
  std::vector<Link> missing(const Graph& graph, std::span<const std::uint32_t> nearest, Scratch& s) const;
  void put(Graph& graph, Link link);

  const NodeVectors& vectors_;
  const KernelTable& kernels_;
  std::size_t most_;
  std::vector<std::uint16_t> made_;  // such links of a node: the last of its row
};

}  // namespace annbench
