#include "structures/graph_updates.hpp"

#include <algorithm>

#include "support/thread_pool.hpp"

namespace annbench {
namespace {

constexpr std::size_t nodes_an_entry = 256;
constexpr std::size_t most_dead = 128;  // that are gone through in place of one link
constexpr std::size_t most_near = 512;  // living nodes that are measured in place of the links of one

// How many links a row gets, by pruning and then the nearest that it has left out: what lies apart is led to by those
// (gap_links.hpp). The rest is room for links back.
std::size_t filled_degree(std::size_t degree) { return degree - degree / 4; }

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

// The living that `node` links to, and those that dead ones link to that it comes to by dead ones alone.
void gather_living(const Graph& graph, std::uint32_t node, std::vector<std::uint32_t>& living) {
  std::vector<std::uint32_t> dead;
  living.clear();
  const auto look = [&](std::uint32_t from) {
    for (const std::uint32_t to : graph.links(from)) {
      if (graph.living(to))
        living.push_back(to);
      else if (dead.size() < most_dead && std::ranges::find(dead, to) == dead.end())
        dead.push_back(to);
    }
  };
  look(node);
  for (std::size_t i = 0; i < dead.size() && living.size() < most_near; ++i) look(dead[i]);
}

}  // namespace

GraphUpdates::GraphUpdates(const Graph& graph, std::shared_ptr<const NodeVectors> vectors, const KernelTable& kernels,
                           bool by_direction)
    : vectors_(std::move(vectors)), kernels_(kernels), by_direction_(by_direction) {
  for (std::uint32_t node = 0; by_direction && node < graph.size(); ++node)
    longest_ = std::max(longest_, vectors_->squared_length(node));
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
}

Insertion GraphUpdates::plan(const Graph& graph, const GraphGrowth& growth,
                             std::vector<std::vector<std::uint32_t>> near, std::size_t threads) const {
  const std::size_t dim = vectors_->dim(), degree = graph.degree(), count = near.size();
  Insertion plan{graph.size(), count, std::move(near), {}, std::vector<std::uint32_t>(count * degree), {}};
  for (std::size_t i = 0; by_direction_ && i < count; ++i)
    plan.squares.push_back(vectors_->squared_length(static_cast<std::uint32_t>(plan.first + i)));
  std::vector<float> batch(count * dim);
  for (std::size_t i = 0; i < count; ++i)
    vectors_->read(static_cast<std::uint32_t>(plan.first + i), batch.data() + i * dim);
  // What comes together is no part of the graph yet, and may be near all the same.
  const std::size_t together = std::min(count, growth.candidates / 2 + 1);
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser(growth);
    std::vector<float> scores(count);
    std::vector<Scored> beside;
    for (std::size_t i = begin; i < end; ++i) {
      kernels_.float32_squared_l2(batch.data() + i * dim, batch.data(), dim, nullptr, count, scores.data());
      beside.clear();
      for (std::size_t j = 0; j < count; ++j) beside.push_back({score_of_distance(scores[j]), plan.first + j});
      const auto nearer = [](const Scored& a, const Scored& b) { return a.nearer_than(b); };
      std::ranges::nth_element(beside, beside.begin() + static_cast<std::ptrdiff_t>(together - 1), nearer);
      s.nodes = plan.near[i];
      for (const Scored& one : std::span(beside).first(together)) s.nodes.push_back(static_cast<std::uint32_t>(one.id));
      s.measure(static_cast<std::uint32_t>(plan.first + i));
      s.keep(growth.candidates);
      const auto row = std::span(plan.links).subspan(i * degree, degree);
      s.choose(row);
      s.fill(row, filled_degree(degree));
    }
  });
  for (std::size_t i = 0; i < count; ++i) plan.nodes.push_back(static_cast<std::uint32_t>(plan.first + i));
  link_back(graph, growth, plan, threads);
  return plan;
}

// Whoever a new node links to links to it as well: in a gap, or pruned anew.
void GraphUpdates::link_back(const Graph& graph, const GraphGrowth& growth, Insertion& plan, std::size_t threads) const {
  const std::size_t degree = graph.degree();
  LinksBack back;
  for (std::size_t i = 0; i < plan.count; ++i)
    for (const std::uint32_t to : filled(std::span(plan.links).subspan(i * degree, degree))) back.add(to, plan.nodes[i]);
  back.group();
  std::vector<std::size_t> places;  // of a target, which row is its own
  for (std::size_t t = 0; t < back.size(); ++t) {
    const bool fresh = back.target(t) >= plan.first;
    places.push_back(fresh ? back.target(t) - plan.first : plan.nodes.size());
    if (!fresh) plan.nodes.push_back(back.target(t));
  }
  plan.links.resize(plan.nodes.size() * degree);
  parallel_for(places.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser(growth);
    for (std::size_t t = begin; t < end; ++t) {
      const std::uint32_t target = back.target(t);
      const auto row = std::span(plan.links).subspan(places[t] * degree, degree);
      const auto before = target >= plan.first ? filled(row) : graph.links(target);
      s.nodes.assign(before.begin(), before.end());
      back.append_sources(t, s.nodes);
      const bool pruned = s.nodes.size() > row.size();
      s.choose_where_needed(target, row, degree, 0);
      if (pruned) s.fill(row, filled_degree(degree));
    }
  });
}

void GraphUpdates::insert(Graph& graph, const GraphGrowth& growth, const Insertion& plan) noexcept {
  const std::size_t degree = graph.degree(), end = plan.first + plan.count;
  const auto links = [&](std::size_t i) { return filled(std::span(plan.links).subspan(i * degree, degree)); };
  graph.grow(end);
  ways_.grow(end);
  for (std::size_t i = 0; i < plan.count; ++i) put_links(links(i), graph.row(plan.first + i));
  for (std::size_t i = plan.count; i < plan.nodes.size(); ++i) ways_.replace(graph, plan.nodes[i], links(i));
  for (std::size_t i = 0; i < plan.count; ++i) {
    const auto node = static_cast<std::uint32_t>(plan.first + i);
    // A vector longer than all others may be the answer to queries that pass far from what it is linked to.
    const bool longest = by_direction_ && plan.squares[i] > longest_;
    if (longest) longest_ = plan.squares[i];
    const std::size_t there = graph.entries.size();
    if (there < std::min(growth.entries, 1 + node / nodes_an_entry) || (longest && there < 2 * growth.entries)) {
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

Clearing GraphUpdates::clear(const Graph& graph, const GraphGrowth& growth, std::size_t threads) const {
  const std::size_t left = graph.size() - graph.dead();
  Clearing clearing{Graph(left, graph.degree()), {}, moves_of(graph)};
  std::vector<std::uint32_t> now(graph.size(), Graph::none), before(left);
  for (std::size_t node = 0; node < left; ++node) now[node] = before[node] = static_cast<std::uint32_t>(node);
  for (const auto& [from, to] : clearing.moves) now[from] = to, before[to] = from;
  parallel_for(left, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser(growth);
    for (std::size_t node = begin; node < end; ++node) {
      const auto row = clearing.graph.row(node);
      const auto links = graph.links(before[node]);
      if (std::ranges::all_of(links, [&](std::uint32_t to) { return graph.living(to); })) {
        put_links(links, row);
      } else {
        gather_living(graph, before[node], s.nodes);
        s.measure(before[node]);
        // As many as in the build: rows stay as full. By inner product, though, far ones are what answers lie behind.
        if (!by_direction_) s.keep(std::max(growth.candidates, row.size()));
        if (s.measured() > row.size()) {
          s.choose(row);
          s.fill(row, filled_degree(row.size()));
        } else {
          for (std::size_t i = 0; i < s.measured(); ++i) row[i] = s.nearest(i);
        }
      }
      for (std::uint32_t& link : row)
        if (link != Graph::none) link = now[link];
    }
  });
  std::vector<std::uint32_t>& entries = clearing.graph.entries;
  LinkChooser s = chooser(growth);
  for (const std::uint32_t entry : graph.entries) {
    if (graph.living(entry)) {
      entries.push_back(now[entry]);
      continue;
    }
    gather_living(graph, entry, s.nodes);
    s.measure(entry);
    if (s.measured() > 0) entries.push_back(now[s.nearest(0)]);
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
  graph = std::move(clearing.graph);
  ways_ = std::move(clearing.ways);
  ways_known_ = true;
  roomy_ = 0;
}

}  // namespace annbench
