#include "structures/graph.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <random>
#include <stdexcept>

#include "codecs/uniform_rows.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/graph_checks.hpp"
#include "tests/hard_sets.hpp"

namespace annbench::tests {
namespace {

std::size_t links_in(const Graph& graph) {
  std::size_t count = 0;
  for (std::size_t node = 0; node < graph.size(); ++node) count += graph.links(node).size();
  return count;
}

void check_builds() {
  std::mt19937 random(7);
  constexpr std::size_t n = 600, dim = 6;
  for (const auto& [name, rows] : hard_sets(n, dim, random)) {
    const Built one = build(rows, dim);
    check_sound(one.graph, name);
    check(one.graph.entries == Nodes{0}, name + ": no node had to become an entry");
    for (const std::size_t threads : {2, 8}) {
      const Built more = build(rows, dim, {.threads = threads});
      for (std::size_t node = 0; node < n; ++node)
        check(std::ranges::equal(one.graph.row(node), more.graph.row(node)), name + ": the same whatever the threads");
      check(one.graph.entries == more.graph.entries && one.repaired == more.repaired, name + ": the same repairs");
    }
  }
  // Several entries begin it, and more batches than one.
  const Vector rows = normal_values(5000 * dim, random);
  check_sound(build(rows, dim, {.entries = 70, .threads = 3}).graph, "many entries");
}

// Without memory at any moment of it, a build ends with std::bad_alloc and leaves nothing behind.
void check_memory() {
  std::mt19937 random(12);
  constexpr std::size_t dim = 3;
  const Vector rows = normal_values(60 * dim, random);
  build(rows, dim);  // what threads keep for themselves
  bool failed = true;
  for (std::size_t at = 0; failed; at += 1 + at / 40) {
    const Starved build_of = starve(at, [&] { build(rows, dim); });
    failed = build_of.failed;
    const std::string where = "a build without memory, allocation " + std::to_string(at);
    check(build_of.thrown == failed, where + ": std::bad_alloc");
    check(!build_of.leaked, where + ": no leak");
  }
}

// The row that pruning leaves of all others of a node.
Nodes pruned(const Vector& rows, std::size_t dim, std::uint32_t node, std::size_t degree, float alpha) {
  const Rows vectors(rows, dim);
  LinkChooser chooser(vectors, active_kernels(), alpha);
  chooser.nodes.resize(rows.size() / dim);
  std::iota(chooser.nodes.begin(), chooser.nodes.end(), 0u);
  Nodes row(degree);
  chooser.measure(node);
  chooser.choose(row);
  const auto links = filled(row);
  return {links.begin(), links.end()};
}

// As the definition has it, in double.
Nodes pruned_plainly(const Vector& rows, std::size_t dim, std::uint32_t node, std::size_t degree, float alpha) {
  const std::size_t n = rows.size() / dim;
  const auto apart = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t j = 0; j < dim; ++j) sum += std::pow(static_cast<double>(rows[a * dim + j]) - rows[b * dim + j], 2);
    return sum;
  };
  Nodes order(n), kept;
  std::iota(order.begin(), order.end(), 0u);
  std::erase(order, node);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t other) { return apart(node, other); });
  for (const std::uint32_t one : order)
    if (kept.size() < degree && std::ranges::none_of(kept, [&](std::uint32_t by) { return alpha * apart(by, one) <= apart(node, one); }))
      kept.push_back(one);
  return kept;
}

void check_pruning() {
  // On a line, a node has its neighbour on either side.
  Vector line(50);
  std::iota(line.begin(), line.end(), 0.0f);
  const Graph graph = build(line, 1, {.degree = 4, .alpha = 1, .candidates = 10}).graph;
  for (std::uint32_t node = 1; node + 1 < 50; ++node) {
    const auto links = graph.links(node);
    for (const std::uint32_t beside : {node - 1, node + 1})
      check(std::ranges::find(links, beside) != links.end(), "a node of a line has both its neighbours");
  }
  check(pruned({0, 1, 2, 4, 8}, 1, 0, 4, 1) == Nodes{1}, "on one side of a segment only the nearest is kept");
  std::mt19937 random(8);
  const Vector rows = normal_values(300 * 8, random);
  for (const float alpha : {1.0f, 1.2f, 2.0f})
    for (const std::size_t degree : {3, 32, 200}) {
      const Nodes expected = pruned_plainly(rows, 8, 7, degree, alpha);
      check(pruned(rows, 8, 7, degree, alpha) == expected, "pruning as it is defined");
    }
  // A row that pruning has left, and more: the same as all of it anew.
  const Rows vectors(rows, 8);
  LinkChooser chooser(vectors, active_kernels(), 1.2f);
  const Nodes before = pruned(rows, 8, 7, 12, 1.2f);
  for (const std::size_t settled : {std::size_t{0}, before.size()}) {
    chooser.nodes = before;
    for (std::uint32_t more = 20; more < 60; ++more)
      if (std::ranges::find(before, more) == before.end()) chooser.nodes.push_back(more);
    Nodes row(16), anew(16);
    check(chooser.choose_where_needed(7, row, 12, settled) == filled(row).size(), "what is left is settled");
    chooser.measure(7);
    chooser.choose(std::span(anew).first(12));
    std::ranges::fill(std::span(anew).subspan(12), Graph::none);
    check(row == anew, "settled links are left out by others only");
  }
  check(links_in(build(rows, 8, {.degree = 32, .alpha = 1, .candidates = 40}).graph) <
            links_in(build(rows, 8, {.degree = 32, .alpha = 1.4f, .candidates = 40}).graph), "alpha leaves more");
}

// With all codes in sight, the nearest are found; one by one or in turns, with the same answers.
template <Codec C>
void check_walks(const C& codec, const Vector& rows, const std::string& name) {
  std::mt19937 random(9);
  const std::size_t dim = codec.dim(), n = rows.size() / dim;
  const Graph graph = build(rows, dim).graph;
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
      codec.prepare(active_kernels(), queries.data() + q * dim, query);
      Nodes all(n);
      std::iota(all.begin(), all.end(), 0u);
      Vector scores(n);
      codec.refine(*kernels, query, {}, codes, all.data(), n, scores.data());
      for (std::size_t i = 0; i < n; ++i) expected[q].push(scores[i], i);
    }
    std::vector<std::vector<Scored>> nearest;
    for (TopK& best : expected) nearest.push_back(best.take());
    const auto same = [](const Scored& a, const Scored& b) { return a.id == b.id && a.score == b.score; };
    WalkMemories<C> memories;
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
  const Vector rows = {1, 2, 4};
  const auto make = [&](const Recipe& how, Nodes order, std::size_t entries) {
    GraphBuilder(std::make_shared<Rows>(rows, 1), near_by(rows, 1), {how.degree, how.alpha, how.candidates}, std::move(order),
                 entries, active_kernels());
  };
  make({}, {2, 0, 1}, 1);
  check(refuses([&] { make({.degree = 0}, {0, 1, 2}, 1); }), "a degree of 0 is refused");
  check(refuses([&] { make({.degree = 2000}, {0, 1, 2}, 1); }), "a degree of 2000 is refused");
  check(refuses([&] { make({.alpha = 0.5f}, {0, 1, 2}, 1); }), "an alpha below 1 is refused");
  check(refuses([&] { make({.candidates = 1}, {0, 1, 2}, 1); }), "a single candidate is refused");
  check(refuses([&] { make({}, {0, 1, 2}, 0); }), "a graph without entries is refused");
  check(refuses([&] { make({}, {0, 1, 2}, 4); }), "more entries than nodes are refused");
  check(refuses([&] { make({}, {0, 1, 3}, 1); }), "an entry that is no node is refused");
  check(refuses([&] { make({}, {0, 1, 1}, 1); }), "a node named twice is refused");
  HalfVectors halves(3, 1, 1);
  check(refuses([&] { halves.put(3, &value, 1); }), "a vector too many is refused");
  GraphBuilder early = builder_of(rows, 1, {});
  check(refuses([&] { early.take(); }), "a graph is not given away before it is made");
  const Vector none;
  GraphBuilder nothing = builder_of(none, 1, {.entries = 0});
  while (nothing.step(1)) {}
  check(nothing.take().size() == 0, "a graph of nothing");
}

}  // namespace

// What the thread sanitizer looks at.
void test_graph_threads() { check_builds(); }

void test_graph() {
  check_builds();
  check_pruning();
  check_memory();
  std::mt19937 random(11);
  const Vector rows = normal_values(500 * 20, random);
  check_walks(FloatRows(20, FloatType::float32, FloatScore::squared_l2, 1), rows, "float32");
  check_walks(UniformRows(20, 4, UniformFit::rabitq_fast, 1), rows, "4 bits");
  check_arguments();
}

}  // namespace annbench::tests
