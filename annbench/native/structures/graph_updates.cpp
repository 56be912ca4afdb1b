#include "structures/graph_updates.hpp"

#include <algorithm>
#include <limits>

#include "support/thread_pool.hpp"
#include "support/wide_dot.hpp"

namespace annbench {
namespace {

constexpr std::size_t nodes_an_entry = 256;
constexpr std::size_t most_dead = 128;  // that are gone through in place of one link
constexpr std::size_t most_near = 512;  // living nodes that are measured in place of the links of one

void put(std::span<const std::uint32_t> links, std::span<std::uint32_t> row) {
  std::fill(std::ranges::copy(links, row.begin()).out, row.end(), Graph::none);
}

// As a score; codes of an altered file may stand for no number, and lie far from everything.
float score_of(float squared_distance) {
  return squared_distance >= 0 ? -squared_distance : -std::numeric_limits<float>::infinity();
}

std::span<const std::uint32_t> filled(std::span<const std::uint32_t> row) {
  return row.first(static_cast<std::size_t>(std::ranges::find(row, Graph::none) - row.begin()));
}

// Where living nodes come to lie when there are no dead ones between them: those behind the end fill the holes.
std::vector<std::pair<std::uint32_t, std::uint32_t>> moves_of(const Graph& graph) {
  const std::size_t left = graph.size() - graph.dead();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> moves;
  std::size_t from = left;
  for (std::size_t to = 0; to < left; ++to) {
    if (graph.living(to)) continue;
    while (!graph.living(from)) ++from;
    moves.emplace_back(static_cast<std::uint32_t>(from++), static_cast<std::uint32_t>(to));
  }
  return moves;
}

}  // namespace

// What choosing the links of one node needs. `nodes` are its candidates, whose vectors lie in `rows`; the pool names them
// by their place there.
struct GraphUpdates::Scratch {
  std::vector<std::uint32_t> nodes, places, dead;
  std::vector<float> own, rows, squares, scores;
  std::vector<Scored> pool;
  PruneScratch pruning;
};

GraphUpdates::GraphUpdates(const Graph& graph, std::unique_ptr<const NodeVectors> vectors, const KernelTable& kernels,
                           bool equally_long)
    : vectors_(std::move(vectors)), kernels_(kernels), equally_long_(equally_long) {
  if (!equally_long_) return;
  lengths_.squares.reserve(graph.size());
  enter(Graph(0, graph.degree()), graph.size());
}

void GraphUpdates::take(Ways ways, Graph& graph) {
  ways_ = std::move(ways);
  ways_.complete(graph, [&](std::uint32_t node) { return graph.links(node); });
  ways_known_ = true;
}

void GraphUpdates::prepare(Graph& graph, std::size_t count) {
  const std::size_t nodes = graph.size() + count;
  graph.prepare(nodes, true);
  graph.entries.reserve(graph.entries.size() + 2 * count);  // in the worst case, and by the rule
  ways_.prepare(nodes, count);
  if (equally_long_ && lengths_.squares.capacity() < nodes)
    lengths_.squares.reserve(std::max(nodes, graph.size() + graph.size() / 2));
}

void GraphUpdates::enter(const Graph& graph, std::size_t count) {
  if (!equally_long_) return;
  std::vector<float> vector(vectors_->dim());
  lengths_.squares.resize(graph.size());  // an insertion may have failed
  for (std::size_t node = graph.size(); node < graph.size() + count; ++node) {
    vectors_->read(static_cast<std::uint32_t>(node), vector.data());
    lengths_.squares.push_back(dot(vector.data(), vector.data(), vector.size()));
    lengths_.longest = std::max(lengths_.longest, lengths_.squares.back());
  }
}

// Scores scratch.nodes against a node, and puts them into the pool: nearest first, once each, without the node itself.
void GraphUpdates::measure(std::uint32_t node, Scratch& s) const {
  const std::size_t dim = vectors_->dim();
  std::ranges::sort(s.nodes);
  s.nodes.erase(std::unique(s.nodes.begin(), s.nodes.end()), s.nodes.end());
  std::erase(s.nodes, node);
  const std::size_t count = s.nodes.size();
  s.own.resize(dim);
  s.rows.resize(count * dim);
  s.scores.resize(count);
  vectors_->read(node, s.own.data());
  for (std::size_t i = 0; i < count; ++i) vectors_->read(s.nodes[i], s.rows.data() + i * dim);
  kernels_.float32_squared_l2(s.own.data(), s.rows.data(), dim, nullptr, count, s.scores.data());
  s.pool.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const float apart = equally_long_ ? lengths_.apart(lengths_.squares[node], lengths_.squares[s.nodes[i]]) : 0;
    s.pool.push_back({score_of(s.scores[i] + apart), i});
  }
  std::ranges::sort(s.pool, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
}

// As many of the pool as fit into a row of links, or those that pruning leaves.
void GraphUpdates::choose(const GraphGrowth& growth, Scratch& s, std::span<std::uint32_t> row) const {
  const std::size_t dim = vectors_->dim();
  prune(s.pool, growth.alpha, row, s.pruning,
        [&](std::size_t nearer, std::span<const std::uint32_t> others, float* scores) {
          s.places.clear();
          for (const std::uint32_t other : others) s.places.push_back(static_cast<std::uint32_t>(s.pool[other].id));
          const std::size_t by = s.pool[nearer].id;
          kernels_.float32_squared_l2(s.rows.data() + by * dim, s.rows.data(), dim, s.places.data(), others.size(), scores);
          for (std::size_t i = 0; i < others.size(); ++i) {
            const auto square = [&](std::size_t place) { return lengths_.squares[s.nodes[place]]; };
            scores[i] = score_of(scores[i] + (equally_long_ ? lengths_.apart(square(by), square(s.places[i])) : 0));
          }
        });
  for (std::uint32_t& link : row)
    if (link != Graph::none) link = s.nodes[link];
}

Insertion GraphUpdates::plan(const Graph& graph, const GraphGrowth& growth,
                             std::vector<std::vector<std::uint32_t>> near, std::size_t threads) const {
  const std::size_t dim = vectors_->dim(), degree = graph.degree(), count = near.size();
  Insertion plan{graph.size(), count, std::move(near), {}, std::vector<std::uint32_t>(count * degree)};
  std::vector<float> batch(count * dim);
  for (std::size_t i = 0; i < count; ++i)
    vectors_->read(static_cast<std::uint32_t>(plan.first + i), batch.data() + i * dim);
  // What comes together is no part of the graph yet, and may be near all the same.
  const std::size_t together = std::min(count, growth.candidates / 2 + 1);
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch s;
    for (std::size_t i = begin; i < end; ++i) {
      const auto node = static_cast<std::uint32_t>(plan.first + i);
      s.scores.resize(count);
      kernels_.float32_squared_l2(batch.data() + i * dim, batch.data(), dim, nullptr, count, s.scores.data());
      s.pool.clear();
      for (std::size_t j = 0; j < count; ++j) s.pool.push_back({score_of(s.scores[j]), plan.first + j});
      const auto nearer = [](const Scored& a, const Scored& b) { return a.nearer_than(b); };
      std::ranges::nth_element(s.pool, s.pool.begin() + static_cast<std::ptrdiff_t>(together - 1), nearer);
      s.nodes = plan.near[i];
      for (const Scored& one : std::span(s.pool).first(together)) s.nodes.push_back(static_cast<std::uint32_t>(one.id));
      measure(node, s);
      s.pool.resize(std::min(s.pool.size(), growth.candidates));
      choose(growth, s, std::span(plan.links).subspan(i * degree, degree));
    }
  });
  for (std::size_t i = 0; i < count; ++i) plan.nodes.push_back(static_cast<std::uint32_t>(plan.first + i));
  link_back(graph, growth, plan, threads);
  return plan;
}

// Whoever a new node links to links to it as well: in a gap, or pruned anew.
void GraphUpdates::link_back(const Graph& graph, const GraphGrowth& growth, Insertion& plan, std::size_t threads) const {
  const std::size_t degree = graph.degree();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> back;
  for (std::size_t i = 0; i < plan.count; ++i)
    for (const std::uint32_t to : filled(std::span(plan.links).subspan(i * degree, degree)))
      back.emplace_back(to, plan.nodes[i]);
  std::ranges::sort(back);
  std::vector<std::size_t> begins, places;  // of a target, where its pairs begin and which row is its own
  for (std::size_t b = 0; b < back.size(); ++b) {
    if (b > 0 && back[b].first == back[b - 1].first) continue;
    begins.push_back(b);
    const bool fresh = back[b].first >= plan.first;
    places.push_back(fresh ? back[b].first - plan.first : plan.nodes.size());
    if (!fresh) plan.nodes.push_back(back[b].first);
  }
  begins.push_back(back.size());
  plan.links.resize(plan.nodes.size() * degree);
  parallel_for(places.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch s;
    for (std::size_t t = begin; t < end; ++t) {
      const std::uint32_t target = back[begins[t]].first;
      const auto row = std::span(plan.links).subspan(places[t] * degree, degree);
      const auto before = target >= plan.first ? filled(row) : graph.links(target);
      s.nodes.assign(before.begin(), before.end());
      for (std::size_t b = begins[t]; b < begins[t + 1]; ++b)
        if (std::ranges::find(s.nodes, back[b].second) == s.nodes.end()) s.nodes.push_back(back[b].second);
      if (s.nodes.size() <= degree) {
        put(s.nodes, row);
        continue;
      }
      measure(target, s);
      choose(growth, s, row);
    }
  });
}

void GraphUpdates::insert(Graph& graph, const GraphGrowth& growth, const Insertion& plan) noexcept {
  const std::size_t degree = graph.degree(), end = plan.first + plan.count;
  const auto links = [&](std::size_t i) { return filled(std::span(plan.links).subspan(i * degree, degree)); };
  graph.grow(end);
  ways_.grow(end);
  for (std::size_t i = 0; i < plan.count; ++i) put(links(i), graph.row(plan.first + i));
  for (std::size_t i = plan.count; i < plan.nodes.size(); ++i) ways_.replace(graph, plan.nodes[i], links(i));
  for (std::size_t i = 0; i < plan.count; ++i) {
    const auto node = static_cast<std::uint32_t>(plan.first + i);
    const std::size_t there = graph.entries.size();
    if (there < std::min(growth.entries, 1 + node / nodes_an_entry) ||
        (there < 2 * growth.entries && longest(node))) {
      graph.entries.push_back(node);
      ways_.spread(graph, node, Ways::root);
    }
    if (ways_.reaches(node) || ways_.attach_near(graph, node, links(i)) || ways_.attach_near(graph, node, plan.near[i]))
      continue;
    if (ways_.attach_anywhere(graph, node, roomy_)) continue;
    roomy_ = 0;  // room that there was not at first
    if (ways_.attach_anywhere(graph, node, roomy_)) continue;
    graph.entries.push_back(node);
    ways_.spread(graph, node, Ways::root);
  }
}

// Whether by inner product it may be the answer to queries that pass far from what it is linked to.
bool GraphUpdates::longest(std::uint32_t node) const {
  return equally_long_ && lengths_.squares[node] >= lengths_.longest && lengths_.longest > 0;
}

// The living that `node` links to, and those that dead ones link to that it comes to by dead ones alone.
void GraphUpdates::gather_living(const Graph& graph, std::uint32_t node, Scratch& s) const {
  s.nodes.clear();
  s.dead.clear();
  const auto look = [&](std::uint32_t from) {
    for (const std::uint32_t to : graph.links(from)) {
      if (graph.living(to))
        s.nodes.push_back(to);
      else if (s.dead.size() < most_dead && std::ranges::find(s.dead, to) == s.dead.end())
        s.dead.push_back(to);
    }
  };
  look(node);
  for (std::size_t i = 0; i < s.dead.size() && s.nodes.size() < most_near; ++i) look(s.dead[i]);
}

Clearing GraphUpdates::clear(const Graph& graph, const GraphGrowth& growth, std::size_t threads) const {
  const std::size_t left = graph.size() - graph.dead();
  Clearing clearing{Graph(left, graph.degree()), {}, moves_of(graph)};
  std::vector<std::uint32_t> now(graph.size(), Graph::none), before(left);
  for (std::size_t node = 0; node < left; ++node) now[node] = before[node] = static_cast<std::uint32_t>(node);
  for (const auto& [from, to] : clearing.moves) now[from] = to, before[to] = from;
  parallel_for(left, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Scratch s;
    for (std::size_t node = begin; node < end; ++node) {
      const auto row = clearing.graph.row(node);
      const auto links = graph.links(before[node]);
      if (std::ranges::all_of(links, [&](std::uint32_t to) { return graph.living(to); })) {
        put(links, row);
      } else {
        gather_living(graph, before[node], s);
        measure(before[node], s);
        // As many as in the build: rows stay as full. By inner product, though, far ones are what answers lie behind.
        if (!equally_long_) s.pool.resize(std::min(s.pool.size(), std::max(growth.candidates, row.size())));
        if (s.pool.size() > row.size())
          choose(growth, s, row);
        else
          std::ranges::transform(s.pool, row.begin(), [&](const Scored& one) { return s.nodes[one.id]; });
      }
      for (std::uint32_t& link : row)
        if (link != Graph::none) link = now[link];
    }
  });
  std::vector<std::uint32_t>& entries = clearing.graph.entries;
  Scratch s;
  for (const std::uint32_t entry : graph.entries) {
    if (graph.living(entry)) {
      entries.push_back(now[entry]);
      continue;
    }
    gather_living(graph, entry, s);
    measure(entry, s);
    if (!s.pool.empty()) entries.push_back(now[s.nodes[s.pool.front().id]]);
  }
  if (entries.empty() && left > 0) entries.push_back(0);
  std::ranges::sort(entries);
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  clearing.ways = Ways(clearing.graph);
  clearing.ways.complete(clearing.graph, [&](std::uint32_t node) {
    const Graph& made = clearing.graph;
    s.nodes.assign(made.links(node).begin(), made.links(node).end());
    for (const std::uint32_t near : made.links(node))
      s.nodes.insert(s.nodes.end(), made.links(near).begin(), made.links(near).end());
    return std::span<const std::uint32_t>(s.nodes);
  });
  return clearing;
}

void GraphUpdates::replace(Graph& graph, Clearing clearing) noexcept {
  for (const auto& [from, to] : clearing.moves)
    if (equally_long_) lengths_.squares[to] = lengths_.squares[from];
  graph = std::move(clearing.graph);
  if (equally_long_) lengths_.squares.resize(graph.size());
  ways_ = std::move(clearing.ways);
  ways_known_ = true;
  roomy_ = 0;
}

}  // namespace annbench
