// Links for gaps: by the same rules told once more, over exact near nodes; what lies apart is led to.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "structures/gap_links.hpp"
#include "tests/check.hpp"
#include "tests/graph_checks.hpp"

namespace annbench::tests {
namespace {

// Near nodes by looking at all; the node itself among them.
GapLinks::Near by_looking(const Vector& rows, std::size_t dim) {
  return [&rows, dim](const Graph& graph, std::span<const std::uint32_t> nodes, std::size_t sight, std::size_t) {
    std::vector<Nodes> near;
    for (const std::uint32_t node : nodes) {
      std::vector<std::pair<float, std::uint32_t>> all;
      for (std::uint32_t other = 0; other < graph.size(); ++other) {
        float square = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          const float apart = rows[node * dim + j] - rows[other * dim + j];
          square += apart * apart;
        }
        all.emplace_back(square, other);
      }
      std::ranges::sort(all);
      near.emplace_back();
      for (std::size_t i = 0; i < std::min(sight, all.size()); ++i) near.back().push_back(all[i].second);
    }
    return near;
  };
}

std::vector<Nodes> rows_of(const Graph& graph) {
  std::vector<Nodes> rows;
  for (std::size_t node = 0; node < graph.size(); ++node)
    rows.emplace_back(graph.links(node).begin(), graph.links(node).end());
  return rows;
}

std::vector<std::size_t> led(const std::vector<Nodes>& rows) {
  std::vector<std::size_t> count(rows.size());
  for (const Nodes& row : rows)
    for (const std::uint32_t to : row) ++count[to];
  return count;
}

// The rules, plainly.
std::vector<Nodes> expected(const Graph& graph, const GapLinks::Near& near_by) {
  std::vector<Nodes> rows = rows_of(graph);
  Nodes all(graph.size());
  std::iota(all.begin(), all.end(), 0u);
  const std::size_t sight = std::min<std::size_t>(graph.degree(), 48);
  const std::vector<Nodes> near = near_by(graph, all, sight, 1);
  const auto put = [&](std::uint32_t from, std::uint32_t to) {
    Nodes& row = rows[from];
    if (from == to || row.size() == graph.degree() || std::ranges::find(row, to) != row.end()) return;
    row.push_back(to);
  };
  for (std::size_t turn = 0; turn < sight; ++turn)
    for (const std::uint32_t node : all)
      if (led(rows)[node] < graph.degree() / 2 && turn < near[node].size()) put(near[node][turn], node);
  for (const std::uint32_t node : all)
    for (const std::uint32_t to : near[node]) put(node, to);
  return rows;
}

// Clusters, and nodes that lie apart from them: those keep a single link to them.
Vector with_hermits(std::size_t n, std::size_t dim) {
  std::mt19937 random(3);
  Vector rows = normal_values(n * dim, random);
  for (std::size_t node = 0; node < n; node += 10)
    for (std::size_t j = 0; j < dim; ++j) rows[node * dim + j] *= 4;
  return rows;
}

void fill(Graph& graph, const GapLinks::Near& near, std::size_t threads) {
  GapLinks gaps(graph, near);
  while (gaps.step(graph, threads)) {}
}

void check_rules() {
  constexpr std::size_t n = 150, dim = 6;
  const Vector rows = with_hermits(n, dim);
  const GapLinks::Near near = by_looking(rows, dim);
  std::mt19937 random(7);
  for (const std::size_t degree : {1, 2, 7, 12, 60}) {
    // Some links at random, of some nodes none, of others as many as there is room for.
    Graph graph(n, degree);
    for (std::size_t node = 0; node < n; ++node) {
      Nodes others(n);
      std::iota(others.begin(), others.end(), 0u);
      std::erase(others, node);
      std::ranges::shuffle(others, random);
      put_links(std::span(others).first(node % 5 == 0 ? degree : node % (degree + 1)), graph.row(node));
    }
    const std::vector<Nodes> before = rows_of(graph), wanted = expected(graph, near);
    for (const std::size_t threads : {1, 3}) {
      Graph filled_up = copy_of(graph);
      fill(filled_up, near, threads);
      const std::vector<Nodes> after = rows_of(filled_up);
      const std::string name = "degree " + std::to_string(degree);
      check(after == wanted, name + ": gaps are filled by the rules");
      for (std::size_t node = 0; node < n; ++node)
        check(std::ranges::equal(before[node], std::span(after[node]).first(before[node].size())), name + ": links stay");
    }
  }
  Graph nothing(0, 4), one(1, 4);
  fill(nothing, near, 2);
  fill(one, by_looking(rows, dim), 2);
  check(one.links(0).empty(), "a node has no link to itself");
}

// What a build owes to nodes that lie apart.
void check_hermits() {
  constexpr std::size_t n = 2000, dim = 12, degree = 16;
  const Vector rows = with_hermits(n, dim);
  const Graph graph = build(rows, dim, {.degree = degree, .candidates = 48}).graph;
  check_sound(graph, "with hermits");
  const std::vector<std::size_t> count = led(rows_of(graph));
  std::size_t full = 0, found = 0;
  for (std::size_t node = 0; node < n; ++node) {
    full += static_cast<std::size_t>(graph.links(node).size() == degree);
    found += static_cast<std::size_t>(count[node] >= degree / 4);
  }
  check(full > n * 95 / 100, "rows are full, " + std::to_string(full));
  check(found > n * 95 / 100, "nodes are led to, " + std::to_string(found));
}

}  // namespace

void test_gap_links() {
  check_rules();
  check_hermits();
}

}  // namespace annbench::tests
