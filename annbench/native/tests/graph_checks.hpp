// Graphs over rows of float32, built as they are for tests, and what each of them owes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codecs/float_rows.hpp"
#include "structures/graph_builder.hpp"
#include "structures/graph_walk.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {

using Nodes = std::vector<std::uint32_t>;

class Rows final : public NodeVectors {
 public:
  Rows(const Vector& rows, std::size_t dim) : rows_(rows), dim_(dim) {}
  std::size_t dim() const override { return dim_; }
  void read(std::uint32_t node, float* vector) const override {
    std::copy_n(rows_.begin() + static_cast<std::ptrdiff_t>(node * dim_), dim_, vector);
  }

 private:
  Vector rows_;
  std::size_t dim_;
};

// Near nodes by a walk over the rows themselves.
inline GraphBuilder::Near near_by(const Vector& rows, std::size_t dim) {
  return [&rows, dim](const Graph& graph, std::span<const std::uint32_t> nodes, std::size_t sight, std::size_t) {
    const FloatRows codec(dim, FloatType::float32, FloatScore::squared_l2, 1);
    const CodesView codes{reinterpret_cast<const std::uint8_t*>(rows.data()), nullptr};
    std::vector<Nodes> near;
    WalkMemories<FloatRows> memories;
    for (const std::uint32_t node : nodes) {
      std::vector<TopK> best(1, TopK(sight));
      walk(codec, active_kernels(), graph, codes, {rows.data() + node * dim, sight, 1}, best, memories);
      near.emplace_back();
      for (const Scored& one : best[0].take()) near.back().push_back(static_cast<std::uint32_t>(one.id));
    }
    return near;
  };
}

struct Recipe {
  std::size_t degree = 8;
  float alpha = 1.2f;
  std::size_t candidates = 24, entries = 1, threads = 1, query_links = 0;
};

inline GraphBuilder builder_of(const Vector& rows, std::size_t dim, const Recipe& how,
                               TrainingQueries queries = {}) {
  const std::size_t n = rows.size() / dim;
  Nodes order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937 random(5);
  if (n > 0) std::ranges::shuffle(order.begin() + 1, order.end(), random);  // the first is an entry
  return {std::make_shared<Rows>(rows, dim), near_by(rows, dim), {how.degree, how.alpha, how.candidates, 0, how.query_links},
          order, how.entries, active_kernels(), std::move(queries)};
}

struct Built {
  Graph graph;
  std::size_t repaired;
};

inline Built build(const Vector& rows, std::size_t dim, const Recipe& how = {}, TrainingQueries queries = {}) {
  GraphBuilder builder = builder_of(rows, dim, how, std::move(queries));
  for (std::size_t linked = 0; builder.step(how.threads); linked = builder.linked())
    check(builder.linked() >= linked && builder.linked() <= builder.size(), "what is done does not shrink");
  return {builder.take(), builder.repaired()};
}

inline Graph copy_of(const Graph& graph) {
  Graph copy(graph.size(), graph.degree());
  for (std::size_t node = 0; node < graph.size(); ++node) std::ranges::copy(graph.row(node), copy.row(node).begin());
  return copy;
}

// What every graph owes: rows that are sound, and a way to every node.
inline void check_sound(const Graph& graph, const std::string& name) {
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

}  // namespace annbench::tests
