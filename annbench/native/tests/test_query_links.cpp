#include "structures/query_links.hpp"

#include <algorithm>
#include <new>
#include <random>

#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/graph_checks.hpp"
#include "tests/hard_sets.hpp"

namespace annbench::tests {
namespace {

// The nearest of one query, nearest first, by looking at all.
Nodes nearest_to(const Vector& rows, std::size_t dim, const float* query, std::size_t count) {
  const std::size_t n = rows.size() / dim;
  Vector apart(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < dim; ++j) {
      const float difference = rows[i * dim + j] - query[j];
      apart[i] += difference * difference;
    }
  Nodes nodes(n);
  std::iota(nodes.begin(), nodes.end(), 0u);
  std::ranges::stable_sort(nodes, {}, [&](std::uint32_t node) { return apart[node]; });
  nodes.resize(std::min(count, n));
  return nodes;
}

TrainingQueries asked_by(const Vector& rows, std::size_t dim, const Vector& queries) {
  return {queries.size() / dim, [&rows, &queries, dim](std::size_t first, std::size_t count, std::size_t sight, std::size_t) {
            std::vector<Nodes> nearest;
            for (std::size_t q = first; q < first + count; ++q)
              nearest.push_back(nearest_to(rows, dim, queries.data() + q * dim, sight));
            return nearest;
          }};
}

bool linked(const Graph& graph, std::uint32_t from, std::uint32_t to) {
  return std::ranges::find(graph.links(from), to) != graph.links(from).end();
}

Vector moved(std::size_t count, std::mt19937& random) {
  Vector values = normal_values(count, random);
  for (float& value : values) value += 3;
  return values;
}

// Of what is nearest to a query, every node leads to a nearer one, and is led to by one.
void check_ways() {
  std::mt19937 random(21);
  constexpr std::size_t n = 400, dim = 12, degree = 64, most = 50, near = 80;
  const Vector rows = normal_values(n * dim, random), queries = moved(5 * dim, random);
  const Rows vectors(rows, dim);
  Graph graph(n, degree);  // without any link
  QueryLinks links(vectors, active_kernels(), graph, most);
  for (std::size_t q = 0; q < 5; ++q) {
    const Nodes nearest = nearest_to(rows, dim, queries.data() + q * dim, near);
    links.link(graph, {{nearest}}, 1);
    std::size_t alone = 0;
    for (std::size_t rank = 1; rank < near; ++rank) {
      bool leads = false, led = false;
      for (std::size_t nearer = 0; nearer < rank; ++nearer) {
        leads = leads || linked(graph, nearest[rank], nearest[nearer]);
        led = led || linked(graph, nearest[nearer], nearest[rank]);
      }
      alone += leads && led ? 0 : 1;
    }
    check(alone == 0, "every node of a query's nearest has both its links");
    if (q == 0) {
      const auto at = [&](std::size_t rank) { return rows.data() + nearest[rank] * dim; };
      const auto square = [&](std::size_t a, std::size_t b) {
        float sum = 0;
        for (std::size_t j = 0; j < dim; ++j) sum += (at(a)[j] - at(b)[j]) * (at(a)[j] - at(b)[j]);
        return sum;
      };
      for (std::size_t rank = 1; rank < near; ++rank) {
        std::size_t best = 0;
        for (std::size_t nearer = 1; nearer < rank; ++nearer)
          if (square(rank, nearer) < square(rank, best)) best = nearer;
        check(linked(graph, nearest[rank], nearest[best]) && linked(graph, nearest[best], nearest[rank]),
              "linked with the one that is nearest of those nearer to the query");
      }
    }
  }
  const Graph before = copy_of(graph);
  for (std::size_t q = 0; q < 5; ++q) links.link(graph, {{nearest_to(rows, dim, queries.data() + q * dim, near)}}, 1);
  for (std::size_t node = 0; node < n; ++node)
    check(std::ranges::equal(graph.row(node), before.row(node)), "where both links are there, none is made");
  links.link(graph, {{Nodes{}, Nodes{3}}}, 1);  // queries near to nothing, and to one node
}

// Rows begin as they were, and end with a few new links at most.
void check_room() {
  std::mt19937 random(22);
  constexpr std::size_t n = 600, dim = 8, degree = 8, most = 3;
  const Vector rows = normal_values(n * dim, random), queries = moved(60 * dim, random);
  Graph graph = build(rows, dim, {.degree = degree}).graph;
  const Graph before = copy_of(graph);
  const Rows vectors(rows, dim);
  QueryLinks links(vectors, active_kernels(), graph, most);
  std::size_t full = 0;
  for (std::size_t q = 0; q < 60; q += 20) {
    links.link(graph, asked_by(rows, dim, queries).nearest(q, 20, 40, 1), 1);
    for (std::uint32_t node = 0; node < n; ++node) {
      const auto had = before.links(node), has = graph.links(node);
      const auto kept = std::ranges::mismatch(had, has).in1 - had.begin();
      const std::size_t made = has.size() - static_cast<std::size_t>(kept);
      check(made <= most, "no more new links than there may be");
      check(had.size() == static_cast<std::size_t>(kept) || has.size() == degree, "none goes where there is a gap");
      for (std::size_t i = static_cast<std::size_t>(kept); i < has.size(); ++i)
        check(std::ranges::count(has, has[i]) == 1 && has[i] != node, "new links are distinct and lead elsewhere");
      full += made == most ? 1 : 0;
    }
  }
  check(full > 0, "some rows are full of new links");
}

void check_builds_for_queries() {
  std::mt19937 random(23);
  constexpr std::size_t n = 600, dim = 6;
  const Vector queries = moved(300 * dim, random);
  for (const auto& [name, rows] : hard_sets(n, dim, random)) {
    const Recipe how{.query_links = 4};
    const Built one = build(rows, dim, how, asked_by(rows, dim, queries)), without = build(rows, dim);
    check_sound(one.graph, name + ", queries");
    std::size_t differing = 0;
    for (std::size_t node = 0; node < n; ++node)
      differing += std::ranges::equal(one.graph.row(node), without.graph.row(node)) ? 0 : 1;
    // The gaps of a line are filled with the same.
    check(differing > 0 || name == "a line", name + ": there are links for queries");
    for (const std::size_t threads : {2, 8}) {
      const Built more = build(rows, dim, {.threads = threads, .query_links = 4}, asked_by(rows, dim, queries));
      for (std::size_t node = 0; node < n; ++node)
        check(std::ranges::equal(one.graph.row(node), more.graph.row(node)),
              name + ", queries: the same whatever the threads");
    }
  }
  const Vector rows = normal_values(n * dim, random);
  GraphBuilder builder = builder_of(rows, dim, {.query_links = 4}, asked_by(rows, dim, queries));
  std::size_t steps = 0;
  for (std::size_t asked = 0; builder.step(1); asked = builder.asked()) {
    check(builder.asked() >= asked && builder.asked() <= 300, "what is done does not shrink");
    steps += builder.asked() != asked ? 1 : 0;
  }
  check(builder.asked() == 300 && steps >= 2, "queries are asked some at a time");
  GraphBuilder deaf = builder_of(rows, dim, {}, asked_by(rows, dim, queries));
  while (deaf.step(1)) {}
  check(deaf.asked() == 0, "without room for their links, no query is asked");
}

void check_memory() {
  std::mt19937 random(24);
  constexpr std::size_t dim = 3;
  const Vector rows = normal_values(60 * dim, random), queries = moved(9 * dim, random);
  const auto make = [&] { build(rows, dim, {.query_links = 4}, asked_by(rows, dim, queries)); };
  make();  // what threads keep for themselves
  bool failed = true;
  for (std::size_t at = 0; failed; at += 1 + at / 40) {
    const Starved made = starve(at, make);
    failed = made.failed;
    const std::string where = "links for queries without memory, allocation " + std::to_string(at);
    check(made.thrown == failed && !made.leaked, where + ": std::bad_alloc, no leak");
  }
}

}  // namespace

void test_query_link_threads() { check_builds_for_queries(); }

void test_query_links() {
  check_ways();
  check_room();
  check_builds_for_queries();
  check_memory();
  const Vector nothing, query(3, 1.0f);
  const Built empty = build(nothing, 3, {.entries = 0, .query_links = 4}, asked_by(nothing, 3, query));
  check(empty.graph.size() == 0, "a graph of nothing, for queries");
  const Vector rows(8 * 3, 1.0f);
  const Rows vectors(rows, 3);
  const Graph graph(8, 4);
  check(refuses([&] { QueryLinks(vectors, active_kernels(), graph, 4); }), "no room for other links is refused");
  check(refuses([&] { builder_of(rows, 3, {.degree = 4, .query_links = 4}); }), "in a build, too");
}

}  // namespace annbench::tests
