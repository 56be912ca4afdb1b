// Links for the gaps that pruning leaves. What lies apart keeps few links, since all that is near it lies one way, and is
// left out by those whose rows are full of nearer nodes: some nodes are led to by one link only, and hardly ever found. So
// in the end every node gets links from those near it, until there are half as many as a row has room for, and whatever
// room there is then is taken by the nearest that are not linked to. Rows take the same memory, full or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "structures/graph.hpp"

namespace annbench {

class GapLinks {
 public:
  // Of each of some nodes of a graph up to `sight` near ones, nearest first, the node itself perhaps among them; the same
  // whatever the number of threads.
  using Near = std::function<std::vector<std::vector<std::uint32_t>>(
      const Graph& graph, std::span<const std::uint32_t> nodes, std::size_t sight, std::size_t threads)>;

  // For the graph that step() is given. 4 bytes a node for each link that it has room for, at most 192, and 4 more.
  GapLinks(const Graph& graph, Near near);

  // Does a part of the work, a fraction of a second of it; false when there is nothing left to do. The same whatever the
  // number of threads.
  bool step(Graph& graph, std::size_t threads);

 private:
  enum class Pass { count, look, lead, fill, done };

  void count_some(const Graph& graph);
  void look_around(const Graph& graph, std::size_t threads);
  void lead_to_some(Graph& graph);
  void fill_some(Graph& graph, std::size_t threads);
  bool link(Graph& graph, std::uint32_t from, std::uint32_t to);
  std::span<std::uint32_t> near_of(std::size_t node);

  Near find_near_;
  std::size_t sight_, wanted_;         // near nodes that are looked for; links to a node
  std::vector<std::uint16_t> led_;     // links to a node that there are, counted up to as many
  std::vector<std::uint16_t> filled_;  // links of a node
  std::vector<std::uint32_t> near_;    // sight_ of each node, filled up with `none`
  Pass pass_ = Pass::count;
  std::size_t turn_ = 0;  // of the near nodes, which one is asked for a link
  std::uint32_t next_ = 0;
};

}  // namespace annbench
