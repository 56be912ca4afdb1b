// What making a graph and changing one share: the choice among near nodes, and the way to every node.
//
// Robust pruning: Subramanya et al., DiskANN, NeurIPS 2019.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "structures/graph.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// Room to prune in, made once and used for many nodes: of the pool, who is kept, and to whom one is compared.
struct PruneScratch {
  std::vector<std::uint32_t> kept, others;
};

// The robust pruning of a pool of scored nodes, nearest first, into a row of links: of two the farther is left out where
// alpha·d(nearer, farther) <= d(node, farther), on squared distances. `between(i, others, scores)` writes the scores of
// pool entries `others`, at most prune_together, against entry i; scores are squared distances with the other sign. Two
// entries that are `settled(i)` are known to leave each other in, from a pruning before.
inline constexpr std::size_t prune_together = 8;

template <class Between, class Settled>
void prune(std::span<const Scored> pool, float alpha, std::span<std::uint32_t> row, PruneScratch& s,
           const Between& between, const Settled& settled) {
  std::ranges::fill(row, Graph::none);
  s.kept.clear();
  std::array<float, prune_together> scores;
  for (std::uint32_t i = 0; i < pool.size() && s.kept.size() < row.size(); ++i) {
    s.others.clear();
    for (const std::uint32_t by : s.kept)
      if (!(settled(i) && settled(by))) s.others.push_back(by);
    bool left_out = false;
    for (std::size_t first = 0; first < s.others.size() && !left_out; first += prune_together) {
      const auto some = std::span<const std::uint32_t>(s.others).subspan(first, std::min(prune_together, s.others.size() - first));
      between(i, some, scores.data());
      for (std::size_t j = 0; j < some.size(); ++j) left_out = left_out || alpha * -scores[j] <= -pool[i].score;
    }
    if (left_out) continue;
    row[s.kept.size()] = static_cast<std::uint32_t>(pool[i].id);
    s.kept.push_back(i);
  }
}

// By which node each node is reached: trees of links that grow from the entries. 4 bytes a node.
class Ways {
 public:
  static constexpr std::uint32_t unseen = Graph::none, root = Graph::none - 1;

  Ways() = default;
  // Those of a graph, breadth first.
  explicit Ways(const Graph& graph) {
    begin(graph);
    go_on(graph, graph.size());
    fresh_ = {};
  }
  // The same in parts: from the entries of a graph, and on by at most `most` nodes. False when there are no more.
  void begin(const Graph& graph) {
    from_.assign(graph.size(), unseen);
    fresh_.clear();
    next_ = 0;
    for (const std::uint32_t entry : graph.entries) reach(entry, root);
  }
  bool go_on(const Graph& graph, std::size_t most) {
    for (; next_ < fresh_.size() && most > 0; ++next_, --most)
      for (const std::uint32_t to : graph.links(fresh_[next_])) reach(to, fresh_[next_]);
    return next_ < fresh_.size();
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
    fresh_.clear();
    next_ = 0;
    reach(node, by);
    go_on(graph, graph.size());
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
    std::uint32_t roomy = 0;
    for (std::uint32_t node = 0; node < graph.size(); ++node) {
      if (reaches(node)) continue;
      ++without;
      lead_to(graph, node, find_near(node), roomy);
    }
    return without;
  }
  // The same for one node. No node before the one numbered `roomy` has room.
  void lead_to(Graph& graph, std::uint32_t node, std::span<const std::uint32_t> near, std::uint32_t& roomy) {
    if (attach_near(graph, node, near) || attach_anywhere(graph, node, roomy)) return;
    graph.entries.push_back(node);
    spread(graph, node, root);
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
  void reach(std::uint32_t node, std::uint32_t by) {
    if (from_[node] != unseen) return;
    from_[node] = by;
    fresh_.push_back(node);
  }
  bool passes(std::uint32_t node, std::uint32_t through) const;
  bool lead_another_way(const Graph& graph, std::uint32_t node, std::uint32_t to) noexcept;

  std::vector<std::uint32_t> from_;
  std::vector<std::uint32_t> fresh_;  // whom spread() has reached: kept for its memory
  std::size_t next_ = 0;              // of those, which one is gone on from
};

}  // namespace annbench
