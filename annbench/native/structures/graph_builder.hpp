// Making a graph from nothing by batches of insertions, as ParlayANN makes DiskANN's (Dobson et al., PPoPP 2023;
// Subramanya et al., NeurIPS 2019): the nodes of a batch look for near ones in the graph so far, robust pruning
// (graph_pruning.hpp) chooses links among those, and whoever is linked to links back. Rows have room for a quarter more
// links than they end with, so that one pruning makes room for several. In the end rows are cut to their degree, training
// queries may get links of their own (query_links.hpp), the gaps are filled (gap_links.hpp), and every node is made
// reachable.
//
// The same vectors, order, entries and queries give the same graph, whatever the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codecs/float_rows.hpp"
#include "structures/gap_links.hpp"
#include "structures/graph.hpp"
#include "structures/graph_links.hpp"
#include "structures/query_links.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

// Vectors in halves: for a build where nothing else keeps them finely enough. 2·dim bytes each.
class HalfVectors final : public NodeVectors {
 public:
  // `scale` is that of the halves (FloatRows::scale_for).
  HalfVectors(std::size_t nodes, std::size_t dim, float scale);

  std::size_t dim() const override { return rows_.dim(); }
  void read(std::uint32_t node, float* vector) const override;
  void ask_for(std::uint32_t node) const override;
  // The vectors of nodes first … first + count − 1. Throws std::invalid_argument.
  void put(std::size_t first, const float* vectors, std::size_t count);

 private:
  std::size_t nodes_;
  FloatRows rows_;
  AlignedBuffer<std::uint8_t> values_;
};

struct GraphSettings {
  std::size_t degree = 32;  // links of a node at most
  float alpha = 1.1f;       // of the pruning; with 1.2, builds take up to a third longer, for as many hops or more
  std::size_t candidates = 64;  // near nodes that the links of one are chosen among, by what is stored of the vectors
  // The nearest that a search finds and that these are told among: many where how near they are to it, by codes or by inner
  // product, says little of that; none for half as many again as candidates.
  std::size_t measured = 0;
  std::size_t query_links = 0;  // links of a node at most that are made for training queries; fewer than degree
};

// Queries to make links for. `nearest` finds the nearest nodes of `count` of them, from the one numbered `first` on: at
// most `sight` each, nearest first, each once, the same whatever the number of threads.
struct TrainingQueries {
  std::size_t count = 0;
  std::function<std::vector<std::vector<std::uint32_t>>(std::size_t first, std::size_t count, std::size_t sight,
                                                        std::size_t threads)> nearest;
};

class GraphBuilder {
 public:
  // Near nodes in a graph of each of these: the way to look along the graph so far. The node itself may be among them.
  using Near = GapLinks::Near;

  // `order` names every node once, entries first: `entries` of them, at least one of a graph that has nodes. Searches begin
  // at those. Beside the vectors it takes 6 + 5·degree bytes a node, while rows are cut 4·degree more, and then up
  // to 4·degree + 8 more than the graph. `queries` are looked at where settings.query_links asks for that, which takes less than the
  // links did before. Throws std::invalid_argument.
  GraphBuilder(std::shared_ptr<const NodeVectors> vectors, Near near, const GraphSettings& settings,
               std::vector<std::uint32_t> order, std::size_t entries, const KernelTable& kernels,
               TrainingQueries queries = {});

  // Does a part of the work, a fraction of a second of it; false when there is nothing left to do.
  bool step(std::size_t threads);
  // Nodes that have got links, of all.
  std::size_t linked() const { return linked_; }
  std::size_t size() const { return order_.size(); }
  // Training queries that links were made for.
  std::size_t asked() const { return asked_; }
  // Nodes that had to be made reachable.
  std::size_t repaired() const { return repaired_; }

  // The graph, once step() has nothing left to do; the builder is of no use then. Throws std::invalid_argument before.
  Graph take();

 private:
  enum class Phase { link, cut, ask, fill, reach, repair, done };

  LinkChooser chooser() const { return {*vectors_, kernels_, settings_.alpha}; }
  void link_batch(std::size_t threads);
  void link_back(std::span<const std::uint32_t> batch, std::size_t threads);
  void cut_rows(std::size_t threads);
  void link_queries(std::size_t threads);
  std::vector<std::vector<std::uint32_t>> nearest_of(const Graph& graph, std::span<const std::uint32_t> nodes,
                                                     std::size_t sight, std::size_t threads) const;
  void repair_some(std::size_t threads);

  std::shared_ptr<const NodeVectors> vectors_;
  Near near_;
  GraphSettings settings_;
  const KernelTable& kernels_;
  TrainingQueries queries_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint16_t> settled_;  // of a wide row, how many links are what pruning has left
  Graph wide_, graph_;  // with room for links back; as it will be
  std::optional<QueryLinks> query_links_;
  std::optional<GapLinks> gap_links_;
  Ways ways_;
  Phase phase_ = Phase::link;
  std::size_t entries_, linked_ = 0, cut_ = 0, asked_ = 0, repaired_ = 0;
  std::uint32_t next_ = 0, roomy_ = 0;
};

}  // namespace annbench
