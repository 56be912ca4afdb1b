#include "structures/graph_pruning.hpp"

#include <array>

namespace annbench {
namespace {

constexpr std::size_t longest_look = 128;  // steps of a way that are followed to see where it comes from

}  // namespace

// Whether the way to `node` may come through another one: it does, or is too long to tell.
bool Ways::passes(std::uint32_t node, std::uint32_t through) const {
  for (std::size_t step = 0; step < longest_look; ++step) {
    if (node == through) return true;
    if (node == root) return false;
    node = from_[node];
    if (node == unseen) return true;
  }
  return true;
}

// Lets another link of `node` lead to `to`: of those whose target links to it, one that has a way already, or else one that
// is reached by `node` from now on.
bool Ways::lead_another_way(const Graph& graph, std::uint32_t node, std::uint32_t to) noexcept {
  for (const bool has_way : {true, false})
    for (const std::uint32_t by : graph.links(node)) {
      const auto row = graph.links(by);
      if (reaches(by) != has_way || std::ranges::find(row, to) == row.end() || (has_way && passes(by, to))) continue;
      spread(graph, by, node);
      from_[to] = by;
      return true;
    }
  return false;
}

void Ways::replace(Graph& graph, std::uint32_t node, std::span<const std::uint32_t> links) noexcept {
  const auto row = graph.row(node);
  std::array<std::uint32_t, Graph::max_degree> before;
  const std::size_t had = graph.links(node).size();
  std::copy_n(row.begin(), had, before.begin());
  std::fill(std::ranges::copy(links, row.begin()).out, row.end(), Graph::none);
  if (!reaches(node)) return;
  for (const std::uint32_t gone : std::span(before).first(had)) {
    if (from_[gone] != node || std::ranges::find(row, gone) != row.end()) continue;
    if (lead_another_way(graph, node, gone)) continue;
    // There is room: whoever is reached by this node was in the row before, or stands for one who was.
    auto place = std::ranges::find(row, Graph::none);
    while (place == row.end() || (*place != Graph::none && from_[*place] == node)) --place;
    *place = gone;
  }
  for (const std::uint32_t to : graph.links(node)) spread(graph, to, node);
}

}  // namespace annbench
