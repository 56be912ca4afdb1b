#include "structures/gap_links.hpp"

#include <algorithm>
#include <utility>

#include "structures/graph_links.hpp"
#include "support/thread_pool.hpp"

namespace annbench {
namespace {

constexpr std::size_t most_sight = 48;  // near nodes: with 32, searches take up to a tenth more hops
constexpr std::size_t looked_at_once = 1 << 12, linked_at_once = 1 << 18;  // nodes

}  // namespace

GapLinks::GapLinks(const Graph& graph, Near near)
    : find_near_(std::move(near)), sight_(std::min(graph.degree(), most_sight)), wanted_(graph.degree() / 2),
      led_(graph.size()), filled_(graph.size()), near_(graph.size() * sight_, Graph::none) {}

bool GapLinks::step(Graph& graph, std::size_t threads) {
  switch (pass_) {
    case Pass::count: count_some(graph); break;
    case Pass::look: look_around(graph, threads); break;
    case Pass::lead: lead_to_some(graph); break;
    case Pass::fill: fill_some(graph, threads); break;
    case Pass::done: return false;
  }
  if (next_ < graph.size()) return true;
  next_ = 0;
  pass_ = static_cast<Pass>(static_cast<int>(pass_) + 1);
  return pass_ != Pass::done;
}

void GapLinks::count_some(const Graph& graph) {
  const std::size_t end = std::min(graph.size(), next_ + linked_at_once);
  for (; next_ < end; ++next_) {
    const auto links = graph.links(next_);
    filled_[next_] = static_cast<std::uint16_t>(links.size());
    for (const std::uint32_t to : links) led_[to] = static_cast<std::uint16_t>(led_[to] + (led_[to] < wanted_ ? 1 : 0));
  }
}

void GapLinks::look_around(const Graph& graph, std::size_t threads) {
  std::vector<std::uint32_t> nodes;
  for (; next_ < graph.size() && nodes.size() < looked_at_once; ++next_)
    if (led_[next_] < wanted_ || filled_[next_] < graph.degree()) nodes.push_back(next_);
  const auto found = find_near_(graph, nodes, sight_, threads);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    put_links(std::span(found[i]).first(std::min(sight_, found[i].size())), near_of(nodes[i]));
}

// One near node a node in turns: the room in the rows that many are near to is for all of them.
void GapLinks::lead_to_some(Graph& graph) {
  const std::size_t end = std::min(graph.size(), next_ + linked_at_once);
  for (; next_ < end; ++next_) {
    const std::uint32_t by = near_of(next_)[turn_];
    if (by != Graph::none && led_[next_] < wanted_ && link(graph, by, next_)) ++led_[next_];
  }
  if (next_ == graph.size() && ++turn_ < sight_) next_ = 0;
}

void GapLinks::fill_some(Graph& graph, std::size_t threads) {
  const std::size_t first = next_, count = std::min(linked_at_once, graph.size() - first);
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t node = first + begin; node < first + end; ++node)
      for (const std::uint32_t to : filled(near_of(node))) link(graph, static_cast<std::uint32_t>(node), to);
  });
  next_ += static_cast<std::uint32_t>(count);
}

// False where there is no gap, which most rows are known for without a look at them, or that link already.
bool GapLinks::link(Graph& graph, std::uint32_t from, std::uint32_t to) {
  std::uint16_t& count = filled_[from];
  if (from == to || count == graph.degree()) return false;
  const auto row = graph.row(from);
  const auto links = row.first(count);
  if (std::ranges::find(links, to) != links.end()) return false;
  row[count++] = to;
  return true;
}

std::span<std::uint32_t> GapLinks::near_of(std::size_t node) { return std::span(near_).subspan(node * sight_, sight_); }

}  // namespace annbench
