#include "structures/graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>

#include "codecs/uniform_rows.hpp"
#include "structures/graph_builder.hpp"
#include "structures/graph_walk.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"
#include "tests/hard_sets.hpp"

namespace annbench::tests {
namespace {

using Nodes = std::vector<std::uint32_t>;

// Of every row the `count` nearest rows, itself among them, by brute force.
std::vector<std::int64_t> candidates_of(const Vector& rows, std::size_t dim, std::size_t count) {
  const std::size_t n = rows.size() / dim;
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> distances(n);
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t d = 0; d < dim; ++d)
        distances[j] += std::pow(static_cast<double>(rows[i * dim + d]) - rows[j * dim + d], 2);
    std::vector<std::int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](std::int64_t j) { return distances[static_cast<std::size_t>(j)]; });
    order.resize(count, -1);
    found.insert(found.end(), order.begin(), order.end());
  }
  return found;
}

struct Built {
  Graph graph;
  std::size_t repaired;
};

Built build(const Vector& rows, std::size_t dim, std::size_t degree, float alpha, std::size_t per_node,
            std::size_t threads = 1) {
  const std::size_t n = rows.size() / dim;
  GraphBuilder builder(n, dim, degree, alpha, 1);
  builder.put(0, rows.data(), n);
  builder.link(0, n, candidates_of(rows, dim, per_node).data(), per_node, threads);
  Graph graph = builder.finish(Nodes{0}, threads);
  return {std::move(graph), builder.repaired()};
}

std::size_t links_in(const Graph& graph) {
  std::size_t count = 0;
  for (std::size_t node = 0; node < graph.size(); ++node) count += graph.links(node).size();
  return count;
}

// What every graph owes: rows that are sound, and a way to every node.
void check_sound(const Graph& graph, const std::string& name) {
  std::vector<bool> seen(graph.size());
  Nodes reached;
  for (const std::uint32_t entry : graph.entries)
    if (!seen[entry]) seen[entry] = true, reached.push_back(entry);
  for (std::size_t i = 0; i < reached.size(); ++i)
    for (const std::uint32_t to : graph.links(reached[i]))
      if (!seen[to]) seen[to] = true, reached.push_back(to);
  check(reached.size() == graph.size(), name + ": every node is reached, " + std::to_string(reached.size()) + " of " +
                                            std::to_string(graph.size()));
  for (std::uint32_t node = 0; node < graph.size(); ++node) {
    const auto links = graph.links(node);
    const std::set<std::uint32_t> distinct(links.begin(), links.end());
    check(distinct.size() == links.size() && !distinct.contains(node), name + ": links are distinct and lead elsewhere");
    const auto rest = graph.row(node).subspan(links.size());
    check(std::ranges::all_of(rest, [](std::uint32_t to) { return to == Graph::none; }), name + ": gaps lie at the end");
  }
}

void check_builds() {
  std::mt19937 random(7);
  constexpr std::size_t n = 600, dim = 6;
  for (const auto& [name, rows] : hard_sets(n, dim, random)) {
    const Built one = build(rows, dim, 8, 1.2f, 24);
    check_sound(one.graph, name);
    check(one.graph.entries == Nodes{0}, name + ": no node had to become an entry");
    for (const std::size_t threads : {2, 8}) {
      const Built more = build(rows, dim, 8, 1.2f, 24, threads);
      for (std::size_t node = 0; node < n; ++node)
        check(std::ranges::equal(one.graph.row(node), more.graph.row(node)), name + ": the same whatever the threads");
      check(one.graph.entries == more.graph.entries && one.repaired == more.repaired, name + ": the same repairs");
    }
  }
}

void check_pruning() {
  // On a line, with alpha 1, a node keeps its neighbour on either side.
  Vector line(50);
  std::iota(line.begin(), line.end(), 0.0f);
  const Graph graph = build(line, 1, 4, 1, 10).graph;
  for (std::uint32_t node = 1; node + 1 < 50; ++node) {
    const Nodes links(graph.links(node).begin(), graph.links(node).end());
    check(std::ranges::is_permutation(links, Nodes{node - 1, node + 1}), "a node of a line has both its neighbours");
  }
  // On one side of a segment only the nearest is kept.
  const Graph segment = build({0, 1, 2, 4, 8}, 1, 4, 1, 5).graph;
  check(segment.links(0).size() == 1 && segment.links(0)[0] == 1, "farther nodes on one side are left out");
  std::mt19937 random(8);
  const Vector rows = normal_values(800 * 8, random);
  check(links_in(build(rows, 8, 32, 1, 40).graph) < links_in(build(rows, 8, 32, 1.4f, 40).graph), "alpha leaves more");
}

// With all codes in sight, the nearest are found; one by one or in turns, with the same answers.
template <Codec C>
void check_walks(const C& codec, const Vector& rows, const std::string& name) {
  std::mt19937 random(9);
  const std::size_t dim = codec.dim(), n = rows.size() / dim;
  const Graph graph = build(rows, dim, 8, 1.2f, 24).graph;
  AlignedBuffer<std::uint8_t> first(codec.bytes(0, n)), second(codec.bytes(1, n));
  const Vector bias(n, 0.0f);
  codec.encode(rows.data(), bias.data(), nullptr, n, {first.data(), second.data()}, 0);
  const CodesView codes{first.data(), second.data()};
  constexpr std::size_t count = 13, k = 10;
  const Vector queries = normal_values(count * dim, random);
  for (const KernelTable* kernels : available_kernels()) {
    std::vector<TopK> expected(count, TopK(k));
    for (std::size_t q = 0; q < count; ++q) {
      typename C::Query query;
      codec.prepare(queries.data() + q * dim, query);
      Nodes all(n);
      std::iota(all.begin(), all.end(), 0u);
      Vector scores(n);
      codec.refine(*kernels, query, {}, codes, all.data(), n, scores.data());
      for (std::size_t i = 0; i < n; ++i) expected[q].push(scores[i], i);
    }
    std::vector<std::vector<Scored>> nearest;
    for (TopK& best : expected) nearest.push_back(best.take());
    const auto same = [](const Scored& a, const Scored& b) { return a.id == b.id && a.score == b.score; };
    WalkMemories memories;
    for (const std::size_t interleave : {1, 4, 20}) {
      std::vector<TopK> best(count, TopK(k));
      const WalkCounts cost = walk(codec, *kernels, graph, codes, {queries.data(), n, interleave}, best, memories);
      for (std::size_t q = 0; q < count; ++q)
        check(std::ranges::equal(best[q].take(), nearest[q], same), name + ": with all in sight, the nearest are found");
      check(cost.hops == count * n && cost.scored == count * n, name + ": everything was looked at once");
    }
    std::vector<std::vector<Scored>> alone;
    WalkCounts few;
    for (const std::size_t interleave : {1, 5}) {
      std::vector<TopK> best(count, TopK(k));
      const WalkCounts cost = walk(codec, *kernels, graph, codes, {queries.data(), 20, interleave}, best, memories);
      if (interleave == 1) few = cost;
      check(cost.hops == few.hops && cost.scored == few.scored && cost.scored < count * n, name + ": turns cost nothing");
      for (std::size_t q = 0; q < count; ++q) {
        const std::vector<Scored> found = best[q].take();
        if (interleave == 1) alone.push_back(found);
        check(std::ranges::equal(found, alone[q], same), name + ": turns change no answer");
      }
    }
  }
}

void check_arguments() {
  const float value = 1;
  check(refuses([] { GraphBuilder(3, 2, 0, 1.2f, 1); }), "a degree of 0 is refused");
  check(refuses([] { GraphBuilder(3, 2, 2000, 1.2f, 1); }), "a degree of 2000 is refused");
  check(refuses([] { GraphBuilder(3, 2, 4, 0.5f, 1); }), "an alpha below 1 is refused");
  check(refuses([] { GraphBuilder(std::size_t{1} << 40, 2, 4, 1, 1); }), "2^40 nodes are refused");
  GraphBuilder builder(3, 1, 4, 1.2f, 1);
  check(refuses([&] { builder.put(3, &value, 1); }), "a vector too many is refused");
  check(refuses([&] { builder.finish({}, 1); }), "a graph without entries is refused");
  check(refuses([&] { builder.finish(Nodes{3}, 1); }), "an entry that is no node is refused");
  const std::vector<std::int64_t> strange = {-5, 99, 1, 2, 0, std::int64_t{1} << 40, 0, 1, 2};
  const Vector rows = {1, 2, 4};
  builder.put(0, rows.data(), 3);
  builder.link(0, 3, strange.data(), 3, 1);
  check_sound(builder.finish(Nodes{0, 0}, 1), "candidates that are no nodes");
  check(GraphBuilder(0, 1, 4, 1.2f, 1).finish({}, 1).size() == 0, "a graph of nothing");
}

}  // namespace

void test_graph() {
  check_builds();
  check_pruning();
  std::mt19937 random(11);
  const Vector rows = normal_values(500 * 20, random);
  check_walks(FloatRows(20, FloatType::float32, FloatScore::squared_l2, 1), rows, "float32");
  check_walks(UniformRows(20, 4, UniformFit::rabitq_fast, 1), rows, "4 bits");
  check_arguments();
}

}  // namespace annbench::tests
