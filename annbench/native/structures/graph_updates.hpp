// Changing a graph that searches go along: new nodes are linked in, dead ones are cleared out.
//
// What is to be done is found out beside the graph, while searches go on; doing it needs no memory and little time. Both
// give the same graph whatever the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/graph_links.hpp"
#include "structures/graph_pruning.hpp"

namespace annbench {

// How a graph is made larger: alpha as in graph_pruning.hpp, the near nodes that links are chosen among, and the entries
// that it gets, one for every 256 nodes, until it has so many; for inner products also vectors longer than any before,
// until it has twice as many.
struct GraphGrowth {
  float alpha = 1.1f;
  std::size_t candidates = 64;
  std::size_t entries = 64;
};

// What links new nodes in. Nodes are the new ones, and then those that get links back, rising.
struct Insertion {
  std::size_t first = 0, count = 0;
  std::vector<std::vector<std::uint32_t>> near;  // of each new node, nearest first
  std::vector<std::uint32_t> nodes;
  std::vector<std::uint32_t> links;  // a row each
  std::vector<float> squares;        // by direction: squared lengths of the new nodes
};

// A graph without the dead. Living nodes behind its end have moved: first to last, from where to where.
struct Clearing {
  Graph graph;
  Ways ways;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> moves;
};

class GraphUpdates {
 public:
  // `by_direction`: vectors are scaled to length 1, and how near they are is no matter of that alone. All are read then,
  // for their lengths.
  GraphUpdates(const Graph& graph, std::shared_ptr<const NodeVectors> vectors, const KernelTable& kernels,
               bool by_direction);

  std::size_t nbytes() const { return ways_.nbytes(); }

  // Whether it is known how every node is reached, as it must be before the first insertion.
  bool ways_known() const { return ways_known_; }
  // The ways of this graph. Where one is missing, as in an altered file, the graph changes.
  void take(Ways ways, Graph& graph);

  // Memory for `count` nodes more, so that insert() needs none. Throws std::bad_alloc and changes nothing.
  void prepare(Graph& graph, std::size_t count);
  // How the nodes behind the graph's end, each with the near living ones in it, are to be linked: with those, with each
  // other, and back.
  Insertion plan(const Graph& graph, const GraphGrowth& growth, std::vector<std::vector<std::uint32_t>> near,
                 std::size_t threads) const;
  void insert(Graph& graph, const GraphGrowth& growth, const Insertion& insertion) noexcept;

  // Living nodes that link to dead ones get the links of those to choose among instead. Takes the links once more.
  Clearing clear(const Graph& graph, const GraphGrowth& growth, std::size_t threads) const;
  // After the codes have moved.
  void replace(Graph& graph, Clearing clearing) noexcept;

 private:
  LinkChooser chooser(const GraphGrowth& growth) const { return {*vectors_, kernels_, growth.alpha}; }
  void link_back(const Graph& graph, const GraphGrowth& growth, Insertion& insertion, std::size_t threads) const;

  std::shared_ptr<const NodeVectors> vectors_;
  const KernelTable& kernels_;
  bool by_direction_;
  float longest_ = 0;  // squared length of the longest vector there was
  Ways ways_;
  bool ways_known_ = false;
  std::uint32_t roomy_ = 0;  // before it, no node has had room for another
};

}  // namespace annbench
