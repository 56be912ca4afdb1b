#include "structures/graph_builder.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "structures/graph_walk.hpp"
#include "support/require.hpp"
#include "support/thread_pool.hpp"

namespace annbench {
namespace {

constexpr std::size_t repair_ef = 64;  // nodes near an unreachable one that are asked for room

}  // namespace

// What choosing the links of one node needs; `pool` are its candidates.
struct GraphBuilder::Scratch {
  std::vector<std::uint32_t> nodes, places;
  std::vector<float> vector, scores;
  std::vector<Scored> pool;
  std::vector<bool> dropped;
  FloatRows::Query query;
};

GraphBuilder::GraphBuilder(std::size_t nodes, std::size_t dim, std::size_t degree, float alpha, float scale,
                           const KernelTable* kernels)
    : rows_(dim, FloatType::float16, FloatScore::squared_l2, 1, scale), alpha_(alpha),
      kernels_(kernels == nullptr ? active_kernels() : *kernels), graph_(0, 1) {
  require(nodes <= Graph::max_nodes, "a graph has at most 2^31 nodes");
  require(degree >= 1 && degree <= Graph::max_degree, "a node has 1 to 1024 links");
  require(alpha >= 1 && alpha <= 10, "alpha must be 1 to 10");
  vectors_ = AlignedBuffer<std::uint8_t>(rows_.bytes(0, nodes));
  graph_ = Graph(nodes, degree);
}

void GraphBuilder::put(std::size_t first, const float* vectors, std::size_t count) {
  require(first <= size() && count <= size() - first, "there are no such nodes");
  rows_.encode(vectors, nullptr, nullptr, count, {vectors_.data(), nullptr}, first);
}

// Scores scratch.nodes against a node, and puts them into the pool: nearest first, once each, without the node itself.
void GraphBuilder::measure(std::uint32_t node, Scratch& s) const {
  std::ranges::sort(s.nodes);
  s.nodes.erase(std::unique(s.nodes.begin(), s.nodes.end()), s.nodes.end());
  std::erase(s.nodes, node);
  s.vector.resize(dim());
  rows_.decode(codes(), node, 1, s.vector.data());
  rows_.prepare(s.vector.data(), s.query);
  s.scores.resize(s.nodes.size());
  rows_.refine(kernels_, s.query, {}, codes(), s.nodes.data(), s.nodes.size(), s.scores.data());
  s.pool.clear();
  for (std::size_t i = 0; i < s.nodes.size(); ++i) s.pool.push_back({s.scores[i], s.nodes[i]});
  std::ranges::sort(s.pool, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
}

// The robust pruning of the pool, into a row of links.
void GraphBuilder::choose(Scratch& s, std::span<std::uint32_t> row) const {
  std::ranges::fill(row, Graph::none);
  s.dropped.assign(s.pool.size(), false);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < s.pool.size() && kept < row.size(); ++i) {
    if (s.dropped[i]) continue;
    const auto nearer = static_cast<std::uint32_t>(s.pool[i].id);
    row[kept++] = nearer;
    if (kept == row.size()) return;
    s.nodes.clear();
    s.places.clear();
    for (std::size_t j = i + 1; j < s.pool.size(); ++j) {
      if (s.dropped[j]) continue;
      s.places.push_back(static_cast<std::uint32_t>(j));
      s.nodes.push_back(static_cast<std::uint32_t>(s.pool[j].id));
    }
    rows_.decode(codes(), nearer, 1, s.vector.data());
    rows_.prepare(s.vector.data(), s.query);
    s.scores.resize(s.nodes.size());
    rows_.refine(kernels_, s.query, {}, codes(), s.nodes.data(), s.nodes.size(), s.scores.data());
    // Scores are distances with the other sign.
    for (std::size_t j = 0; j < s.nodes.size(); ++j)
      if (alpha_ * -s.scores[j] <= -s.pool[s.places[j]].score) s.dropped[s.places[j]] = true;
  }
}

void GraphBuilder::link(std::size_t first, std::size_t count, const std::int64_t* candidates, std::size_t per_node,
                        std::size_t threads) {
  require(first <= size() && count <= size() - first, "there are no such nodes");
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch scratch;
    for (std::size_t i = begin; i < end; ++i) {
      scratch.nodes.clear();
      for (std::size_t c = 0; c < per_node; ++c) {
        const std::int64_t candidate = candidates[i * per_node + c];
        if (candidate >= 0 && static_cast<std::size_t>(candidate) < size())
          scratch.nodes.push_back(static_cast<std::uint32_t>(candidate));
      }
      measure(static_cast<std::uint32_t>(first + i), scratch);
      choose(scratch, graph_.row(first + i));
    }
  });
}

// Every node also gets those that link to it, as far as they fit or are chosen.
Graph GraphBuilder::with_links_back(std::size_t threads) const {
  const std::size_t n = size(), degree = graph_.degree();
  std::vector<std::uint64_t> begins(n + 1, 0);
  for (std::size_t node = 0; node < n; ++node)
    for (const std::uint32_t to : graph_.links(node)) ++begins[to + 1];
  for (std::size_t node = 0; node < n; ++node) begins[node + 1] += begins[node];
  std::vector<std::uint32_t> back(begins[n]);
  std::vector<std::uint64_t> next(begins.begin(), begins.end() - 1);
  for (std::size_t node = 0; node < n; ++node)
    for (const std::uint32_t to : graph_.links(node)) back[next[to]++] = static_cast<std::uint32_t>(node);

  Graph whole(n, degree);
  parallel_for(n, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch scratch;
    for (std::size_t node = begin; node < end; ++node) {
      const auto own = graph_.links(node);
      scratch.nodes.assign(own.begin(), own.end());
      scratch.nodes.insert(scratch.nodes.end(), back.begin() + static_cast<std::ptrdiff_t>(begins[node]),
                           back.begin() + static_cast<std::ptrdiff_t>(begins[node + 1]));
      measure(static_cast<std::uint32_t>(node), scratch);
      const auto row = whole.row(node);
      if (scratch.pool.size() > degree)
        choose(scratch, row);
      else
        std::ranges::transform(scratch.pool, row.begin(), [](const Scored& s) { return static_cast<std::uint32_t>(s.id); });
    }
  });
  return whole;
}

// A node that no search can come to gets a link from a near one that one can: in a gap, or in place of a link that is
// not how its target is reached itself.
void GraphBuilder::make_reachable(Graph& graph) {
  constexpr std::uint32_t unseen = Graph::none, root = Graph::none - 1;
  std::vector<std::uint32_t> from(graph.size(), unseen), reached;
  const auto spread = [&](std::uint32_t start, std::uint32_t parent) {
    if (from[start] != unseen) return;
    from[start] = parent;
    std::size_t next = reached.size();
    reached.push_back(start);
    for (; next < reached.size(); ++next)
      for (const std::uint32_t to : graph.links(reached[next]))
        if (from[to] == unseen) {
          from[to] = reached[next];
          reached.push_back(to);
        }
  };
  // Puts a link in the first gap, or in place of the farthest that can be spared.
  const auto attach = [&](std::uint32_t near, std::uint32_t node) {
    const auto row = graph.row(near);
    auto place = std::ranges::find(row, Graph::none);
    while (place == row.end() || (*place != Graph::none && from[*place] == near)) {
      if (place == row.begin()) return false;
      --place;
    }
    *place = node;
    return true;
  };
  for (const std::uint32_t entry : graph.entries) spread(entry, root);
  std::vector<float> vector(dim());
  std::size_t roomy = 0;  // before it, no node that was reached has room
  Walker<FloatRows> walker(rows_, kernels_, graph, codes());
  for (std::uint32_t node = 0; node < graph.size(); ++node) {
    if (from[node] != unseen) continue;
    ++repaired_;
    rows_.decode(codes(), node, 1, vector.data());
    walker.start(vector.data(), repair_ef, repair_ef);
    walker.search();
    std::uint32_t by = root;
    for (std::size_t i = 0; i < walker.found().size() && by == root; ++i)
      if (attach(walker.found().node(i), node)) by = walker.found().node(i);
    // Where all near nodes are full, as with many equal vectors, whichever has room.
    for (; by == root && roomy < reached.size(); roomy += by == root ? 1 : 0)
      if (attach(reached[roomy], node)) by = reached[roomy];
    if (by == root) graph.entries.push_back(node);
    spread(node, by);
  }
}

Graph GraphBuilder::finish(std::span<const std::uint32_t> entries, std::size_t threads) {
  require(!entries.empty() || size() == 0, "a search needs an entry to begin at");
  for (const std::uint32_t entry : entries) require(entry < size(), "an entry is no node");
  Graph graph = with_links_back(threads);
  graph.entries.assign(entries.begin(), entries.end());
  std::ranges::sort(graph.entries);
  graph.entries.erase(std::unique(graph.entries.begin(), graph.entries.end()), graph.entries.end());
  make_reachable(graph);
  graph_ = Graph(0, 1);
  vectors_ = {};
  return graph;
}

}  // namespace annbench
