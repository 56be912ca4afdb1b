// Making a graph from near neighbours: robust pruning (graph_pruning.hpp), links back, and a way to every node.
//
// Distances are squared L2 between the vectors that the builder is given, in halves: unit vectors for cosine; for inner
// products vectors with a further dimension that makes all of them equally long.
//
// The same vectors and candidates give the same graph, whatever the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/float_rows.hpp"
#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/top_k.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class GraphBuilder {
 public:
  // For `nodes` vectors of `dim` dimensions. Of two neighbours of a node the farther is left out where
  // alpha·d(nearer, farther) <= d(node, farther), on squared distances. `scale` is that of the halves
  // (FloatRows::scale_for). Takes nodes·(2·dim + 4·degree) bytes, and as much as the links again in finish(). Throws
  // std::invalid_argument.
  GraphBuilder(std::size_t nodes, std::size_t dim, std::size_t degree, float alpha, float scale,
               const KernelTable* kernels = nullptr);

  std::size_t size() const { return graph_.size(); }
  std::size_t dim() const { return rows_.dim(); }

  // The vectors of nodes first … first + count − 1. Throws std::invalid_argument.
  void put(std::size_t first, const float* vectors, std::size_t count);
  // Chooses the links of nodes first … first + count − 1 among candidates (count × per_node; other numbers than those of
  // nodes are passed over), once all vectors are there.
  void link(std::size_t first, std::size_t count, const std::int64_t* candidates, std::size_t per_node,
            std::size_t threads);
  // Adds links back, makes every node reachable from the entries, and gives the graph away; the builder is of no use
  // then. Where no link can be replaced, a node becomes an entry itself.
  Graph finish(std::span<const std::uint32_t> entries, std::size_t threads);

  // Nodes that finish() had to make reachable.
  std::size_t repaired() const { return repaired_; }

 private:
  struct Scratch;

  void measure(std::uint32_t node, Scratch& scratch) const;
  void choose(Scratch& scratch, std::span<std::uint32_t> row) const;
  Graph with_links_back(std::size_t threads) const;
  void make_reachable(Graph& graph);
  CodesView codes() const { return {vectors_.data(), nullptr}; }

  FloatRows rows_;
  float alpha_;
  const KernelTable& kernels_;
  AlignedBuffer<std::uint8_t> vectors_;
  Graph graph_;
  std::size_t repaired_ = 0;
};

}  // namespace annbench
