#include "structures/graph_builder.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "structures/graph_pruning.hpp"
#include "structures/graph_walk.hpp"
#include "support/require.hpp"
#include "support/thread_pool.hpp"

namespace annbench {
namespace {

constexpr std::size_t repair_ef = 64;  // nodes near an unreachable one that are asked for room

}  // namespace

// What choosing the links of one node needs; `pool` are its candidates.
struct GraphBuilder::Scratch {
  std::vector<std::uint32_t> nodes;
  std::vector<float> vector, scores;
  std::vector<Scored> pool;
  PruneScratch pruning;
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

void GraphBuilder::choose(Scratch& s, std::span<std::uint32_t> row) const {
  prune(s.pool, alpha_, row, s.pruning, [&](std::size_t nearer, std::span<const std::uint32_t> others, float* scores) {
    s.nodes.clear();
    for (const std::uint32_t other : others) s.nodes.push_back(static_cast<std::uint32_t>(s.pool[other].id));
    rows_.decode(codes(), s.pool[nearer].id, 1, s.vector.data());
    rows_.prepare(s.vector.data(), s.query);
    rows_.refine(kernels_, s.query, {}, codes(), s.nodes.data(), s.nodes.size(), scores);
  });
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

// A node that no search can come to gets a link from a near one that one can.
void GraphBuilder::make_reachable(Graph& graph) {
  std::vector<float> vector(dim());
  std::vector<std::uint32_t> near;
  Walker<FloatRows> walker(rows_, kernels_, graph, codes());
  repaired_ = Ways(graph).complete(graph, [&](std::uint32_t node) {
    rows_.decode(codes(), node, 1, vector.data());
    walker.start(vector.data(), {repair_ef, repair_ef, repair_ef});
    walker.search();
    near.clear();
    for (std::size_t i = 0; i < walker.found().size(); ++i) near.push_back(walker.found().node(i));
    return std::span<const std::uint32_t>(near);
  });
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
