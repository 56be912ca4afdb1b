#include "structures/query_links.hpp"

#include <algorithm>

#include "support/require.hpp"
#include "support/thread_pool.hpp"

namespace annbench {

QueryLinks::QueryLinks(const NodeVectors& vectors, const KernelTable& kernels, const Graph& graph, std::size_t most)
    : vectors_(vectors), kernels_(kernels), most_(most), made_(graph.size()) {
  require(most < graph.degree(), "links for queries leave room for another one in each row");
}

// Which of the nearest link to a nearer one, and have a link from a nearer one.
void QueryLinks::find_ways(const Graph& graph, std::span<const std::uint32_t> nearest, Scratch& s) const {
  s.ranks.clear();
  for (std::size_t rank = 0; rank < nearest.size(); ++rank) s.ranks.emplace_back(nearest[rank], rank);
  std::ranges::sort(s.ranks);
  s.leads.assign(nearest.size(), false);
  s.led.assign(nearest.size(), false);
  for (std::size_t rank = 0; rank < nearest.size(); ++rank)
    for (const std::uint32_t to : graph.links(nearest[rank])) {
      const auto found = std::ranges::lower_bound(s.ranks, to, {}, &std::pair<std::uint32_t, std::size_t>::first);
      if (found == s.ranks.end() || found->first != to) continue;
      if (found->second < rank) s.leads[rank] = true;
      if (found->second > rank) s.led[found->second] = true;
    }
}

// Of those that are nearer to the query, the one nearest to the node is what it is linked with.
std::vector<QueryLinks::Link> QueryLinks::missing(const Graph& graph, std::span<const std::uint32_t> nearest,
                                                  Scratch& s) const {
  const std::size_t dim = vectors_.dim();
  find_ways(graph, nearest, s);
  s.rows.resize(nearest.size() * dim);
  s.scores.resize(nearest.size());
  for (std::size_t rank = 0; rank < nearest.size(); ++rank) vectors_.read(nearest[rank], s.rows.data() + rank * dim);
  std::vector<Link> links;
  for (std::size_t rank = 1; rank < nearest.size(); ++rank) {
    const std::uint32_t node = nearest[rank];
    const bool leads = s.leads[rank] || !has_room(node), led = s.led[rank];
    if (leads && led) continue;
    kernels_.float32_squared_l2(s.rows.data() + rank * dim, s.rows.data(), dim, nullptr, rank, s.scores.data());
    std::size_t to = 0, from = rank;
    for (std::size_t i = 0; i < rank; ++i) {
      if (s.scores[i] < s.scores[to]) to = i;
      if (has_room(nearest[i]) && (from == rank || s.scores[i] < s.scores[from])) from = i;
    }
    if (!leads) links.emplace_back(node, nearest[to]);
    if (!led && from < rank) links.emplace_back(nearest[from], node);
  }
  return links;
}

void QueryLinks::put(Graph& graph, Link link) {
  const auto [from, to] = link;
  const auto row = graph.row(from);
  const std::size_t count = graph.links(from).size();
  if (!has_room(from) || std::ranges::find(row, to) != row.end()) return;
  if (count < row.size()) {
    row[count] = to;
  } else {
    const auto others = row.end() - made_[from];
    std::copy(others, row.end(), others - 1);
    row.back() = to;
  }
  ++made_[from];
}

void QueryLinks::link(Graph& graph, std::span<const std::vector<std::uint32_t>> nearest, std::size_t threads) {
  std::vector<std::vector<Link>> links(nearest.size());
  parallel_for(nearest.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch s;
    for (std::size_t q = begin; q < end; ++q) links[q] = missing(graph, nearest[q], s);
  });
  for (const std::vector<Link>& some : links)
    for (const Link& link : some) put(graph, link);
}

}  // namespace annbench
