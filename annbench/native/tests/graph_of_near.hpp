// A graph to search along in tests, made by no builder: links to the nearest by looking at all, and a way from each node to
// the one after it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "structures/graph.hpp"

namespace annbench::tests {

inline Graph graph_of_near(const std::vector<float>& rows, std::size_t dim, std::size_t degree) {
  const std::size_t n = rows.size() / dim;
  Graph graph(n, degree);
  std::vector<std::pair<float, std::uint32_t>> others;
  for (std::size_t node = 0; node < n; ++node) {
    others.clear();
    for (std::size_t other = 0; other < n; ++other) {
      if (other == node) continue;
      float square = 0;
      for (std::size_t j = 0; j < dim; ++j) {
        const float apart = rows[node * dim + j] - rows[other * dim + j];
        square += apart * apart;
      }
      others.emplace_back(square, static_cast<std::uint32_t>(other));
    }
    const std::size_t near = std::min(degree - 1, others.size());
    std::partial_sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(near), others.end());
    const auto row = graph.row(node);
    for (std::size_t i = 0; i < near; ++i) row[i] = others[i].second;
    const auto after = static_cast<std::uint32_t>((node + 1) % n);
    if (std::find(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(near), after) == row.begin() + static_cast<std::ptrdiff_t>(near))
      row[near] = after;
  }
  for (std::size_t entry = 0; entry < n; entry += (n + 31) / 32) graph.entries.push_back(static_cast<std::uint32_t>(entry));
  return graph;
}

}  // namespace annbench::tests
