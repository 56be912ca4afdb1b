// Choosing the links of a node among near ones, and giving links back: what making a graph and changing one share.
//
// Distances are squared L2 between what is stored of the vectors. For cosine and inner products these have length 1: of
// near ones by inner product, which are long ones, links are chosen by their directions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/graph_pruning.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// How many near nodes are looked for, or all candidates where that is more: with 140, searches for a recall of 0.99 score
// 1 to 3 % more codes; with 200, 1 to 3 % fewer, and making links takes a fifth longer.
inline constexpr std::size_t near_sight = 160;
// Of the nodes there are, at most one in so many is linked at once.
inline constexpr std::size_t new_share = 50;

// The vectors behind the nodes. Several threads may read at once.
class NodeVectors {
 public:
  virtual ~NodeVectors() = default;
  virtual std::size_t dim() const = 0;
  // dim() floats; of any node that has a code, linked or not.
  virtual void read(std::uint32_t node, float* vector) const = 0;
  // Asks for the memory of one that is read soon.
  virtual void ask_for(std::uint32_t) const {}
  // Of vectors that are scaled to length 1 here: the square of the length that they had.
  virtual float squared_length(std::uint32_t) const { return 1; }
};

// The links of a row up to the first gap, and links put into a row, gaps behind them.
std::span<const std::uint32_t> filled(std::span<const std::uint32_t> row);
void put_links(std::span<const std::uint32_t> links, std::span<std::uint32_t> row);

// As a score; codes of an altered file may stand for no number, and lie far from everything.
float score_of_distance(float squared);

// One node at a time, of one thread; made once and used for many.
class LinkChooser {
 public:
  LinkChooser(const NodeVectors& vectors, const KernelTable& kernels, float alpha)
      : vectors_(vectors), kernels_(kernels), alpha_(alpha) {}

  // The candidates of a node: the caller's to fill; measure() leaves each once, and not the node itself.
  std::vector<std::uint32_t> nodes;

  // Measures how far the candidates are from a node.
  void measure(std::uint32_t node);
  // What was measured, and the place-th nearest of it.
  std::size_t measured() const { return pool_.size(); }
  std::uint32_t nearest(std::size_t place) const { return nodes[pool_[place].id]; }
  // Leaves the `count` nearest.
  void keep(std::size_t count) { if (count < pool_.size()) pool_.resize(count); }
  // Robust pruning of what was measured into a row of links.
  void choose(std::span<std::uint32_t> row) { choose(row, 0); }
  // Puts the nearest of what was measured, or of what choose_where_needed() has pruned, into the gaps of a row that was chosen
  // of it, until there are `most` links.
  void fill(std::span<std::uint32_t> row, std::size_t most) const;
  // All of the candidates, which are distinct and others than the node, if they fit into a row, as they come; else what
  // pruning leaves for the first `degree` places. The first `settled` of them leave each other in, as known from before.
  // Returns how many links of the row do so now.
  std::size_t choose_where_needed(std::uint32_t node, std::span<std::uint32_t> row, std::size_t degree, std::size_t settled);

 private:
  void score(std::uint32_t node);
  void choose(std::span<std::uint32_t> row, std::size_t settled);

  const NodeVectors& vectors_;
  const KernelTable& kernels_;
  float alpha_;
  std::vector<float> own_, rows_, scores_;
  std::vector<Scored> pool_;  // named by place in `nodes`, as the rows are
  PruneScratch pruning_;
};

// Links back, by the nodes that get them.
class LinksBack {
 public:
  void add(std::uint32_t target, std::uint32_t source) { pairs_.emplace_back(target, source); }
  // Once all are there.
  void group();

  // Targets rise, and so do the sources of each.
  std::size_t size() const { return begins_.size() - 1; }
  std::uint32_t target(std::size_t i) const { return pairs_[begins_[i]].first; }
  // Puts the sources of a target, where they are not there yet, behind `nodes`.
  void append_sources(std::size_t i, std::vector<std::uint32_t>& nodes) const;

 private:
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs_;
  std::vector<std::size_t> begins_ = {0};
};

}  // namespace annbench
