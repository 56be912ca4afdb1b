// What making a graph and changing one share: the choice among near nodes, and the way to every node.
//
// Robust pruning: Subramanya et al., DiskANN, NeurIPS 2019.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "structures/graph.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// Room to prune in, made once and used for many nodes.
struct PruneScratch {
  std::vector<std::uint8_t> dropped;
  std::vector<std::uint32_t> others, left;
  std::vector<float> scores;
};

// The robust pruning of a pool of scored nodes, nearest first, into a row of links: of two the farther is left out where
// alpha·d(nearer, farther) <= d(node, farther), on squared distances. `between(i, others, scores)` writes the scores of
// pool entries `others` against entry i; scores are squared distances with the other sign.
template <class Between>
void prune(std::span<const Scored> pool, float alpha, std::span<std::uint32_t> row, PruneScratch& s,
           const Between& between) {
  std::ranges::fill(row, Graph::none);
  s.dropped.assign(pool.size(), 0);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pool.size() && kept < row.size(); ++i) {
    if (s.dropped[i]) continue;
    row[kept++] = static_cast<std::uint32_t>(pool[i].id);
    if (kept == row.size()) return;
    s.left.clear();
    for (std::size_t j = i + 1; j < pool.size(); ++j)
      if (!s.dropped[j]) s.left.push_back(static_cast<std::uint32_t>(j));
    s.scores.resize(s.left.size());
    between(i, std::span<const std::uint32_t>(s.left), s.scores.data());
    for (std::size_t j = 0; j < s.left.size(); ++j)
      if (alpha * -s.scores[j] <= -pool[s.left[j]].score) s.dropped[s.left[j]] = 1;
  }
}

// By which node each node is reached: trees of links that grow from the entries. 4 bytes a node.
class Ways {
 public:
  static constexpr std::uint32_t unseen = Graph::none, root = Graph::none - 1;

  Ways() = default;
  // Those of a graph, breadth first.
  explicit Ways(const Graph& graph) : from_(graph.size(), unseen) {
    for (const std::uint32_t entry : graph.entries) spread(graph, entry, root);
    fresh_ = {};
  }

  std::uint32_t from(std::uint32_t node) const { return from_[node]; }
  bool reaches(std::uint32_t node) const { return from_[node] != unseen; }
  std::size_t nbytes() const { return (from_.capacity() + fresh_.capacity()) * sizeof(std::uint32_t); }

  // Memory for so many nodes, of which `more` are new: what follows needs none.
  void prepare(std::size_t nodes, std::size_t more) {
    from_.reserve(nodes <= from_.capacity() ? 0 : std::max(nodes, from_.size() + from_.size() / 2));
    fresh_.reserve(more);
  }
  // Further nodes, to which no way leads yet; as far as prepare() has made room.
  void grow(std::size_t nodes) noexcept { from_.resize(nodes, unseen); }

  // `node` is reached by `by`, and by it those that nothing else reaches yet. Needs memory for as many of those.
  void spread(const Graph& graph, std::uint32_t node, std::uint32_t by) {
    if (from_[node] != unseen) return;
    fresh_.clear();
    from_[node] = by;
    fresh_.push_back(node);
    for (std::size_t next = 0; next < fresh_.size(); ++next)
      for (const std::uint32_t to : graph.links(fresh_[next]))
        if (from_[to] == unseen) {
          from_[to] = fresh_[next];
          fresh_.push_back(to);
        }
  }

  // Puts a link from `near`, to which a way leads, to `node`, to which none does: in a gap, or in place of the farthest
  // that is not how its own target is reached. False where there is none.
  bool attach(Graph& graph, std::uint32_t near, std::uint32_t node) {
    const auto row = graph.row(near);
    auto place = std::ranges::find(row, Graph::none);
    while (place == row.end() || (*place != Graph::none && from_[*place] == near)) {
      if (place == row.begin()) return false;
      --place;
    }
    *place = node;
    spread(graph, node, near);
    return true;
  }

  // Gives every node a way, by one of the near ones that `find_near(node)` names if possible; those to which none leads
  // yet are passed over. Else by whichever has room, as with many equal vectors. Where there is no room, the node becomes
  // an entry. Returns how many nodes had no way.
  template <class FindNear>
  std::size_t complete(Graph& graph, const FindNear& find_near) {
    std::size_t without = 0;
    std::uint32_t roomy = 0;  // none before it has room
    for (std::uint32_t node = 0; node < graph.size(); ++node) {
      if (reaches(node)) continue;
      ++without;
      if (!attach_near(graph, node, find_near(node)) && !attach_anywhere(graph, node, roomy)) {
        graph.entries.push_back(node);
        spread(graph, node, root);
      }
    }
    return without;
  }

  bool attach_near(Graph& graph, std::uint32_t node, std::span<const std::uint32_t> near) {
    return std::ranges::any_of(near, [&](std::uint32_t by) { return reaches(by) && attach(graph, by, node); });
  }
  // From the node numbered `roomy` on, which moves to the one that had room.
  bool attach_anywhere(Graph& graph, std::uint32_t node, std::uint32_t& roomy) {
    for (; roomy < graph.size(); ++roomy)
      if (reaches(roomy) && attach(graph, roomy, node)) return true;
    return false;
  }

  // Replaces the links of a node by others. Whoever was reached by a link that goes is reached by another node of the new
  // row, where one links to it, or else keeps its link in place of another one. New nodes in the row have a way then, if
  // the node has one.
  void replace(Graph& graph, std::uint32_t node, std::span<const std::uint32_t> links) noexcept;

 private:
  bool passes(std::uint32_t node, std::uint32_t through) const;
  bool lead_another_way(const Graph& graph, std::uint32_t node, std::uint32_t to) noexcept;

  std::vector<std::uint32_t> from_;
  std::vector<std::uint32_t> fresh_;  // whom spread() has reached: kept for its memory
};

}  // namespace annbench
