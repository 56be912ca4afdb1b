#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "structures/neighbor_collector.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

struct Expected {
  std::vector<std::int64_t> ids;
  std::vector<double> distances;
  std::int64_t ties = 0;
};

Expected brute_force(const std::vector<float>& query, const std::vector<float>& base, std::size_t dim, std::size_t k) {
  const std::size_t n = base.size() / dim;
  std::vector<std::pair<double, std::int64_t>> all;
  for (std::size_t i = 0; i < n; ++i) {
    double squared = 0;
    const auto row = static_cast<std::uint32_t>(i);
    kernels_named("scalar").exact_squared_l2(query.data(), base.data(), dim, &row, 1, &squared);
    all.emplace_back(std::sqrt(squared), static_cast<std::int64_t>(i));
  }
  std::sort(all.begin(), all.end());
  Expected expected;
  for (std::size_t j = 0; j < k; ++j) {
    expected.ids.push_back(j < n ? all[j].second : -1);
    expected.distances.push_back(j < n ? all[j].first : std::numeric_limits<double>::infinity());
  }
  for (std::size_t j = k; j < n; ++j) expected.ties += all[j].first == all[k - 1].first;
  return expected;
}

// Scores that are wrong by up to `error`, offered in tiles; exactness must not depend on them.
void compare(const KernelTable& kernels, std::size_t n, std::size_t k, std::size_t tile, float error, int distinct) {
  const std::size_t dim = 3;
  std::mt19937 random(20240613);
  std::uniform_real_distribution<float> noise(-error, error);
  std::vector<float> base(n * dim), query(dim, 0.5f), terms(n);
  for (float& value : base) value = static_cast<float>(random() % static_cast<unsigned>(distinct)) / 4.0f;
  std::vector<double> norms(n);
  squared_norms(base.data(), n, dim, norms.data(), kernels);
  for (std::size_t i = 0; i < n; ++i) terms[i] = static_cast<float>(-0.5 * norms[i]);
  double query_norm = 0;
  squared_norms(query.data(), 1, dim, &query_norm, kernels);

  std::vector<std::int64_t> ids(k, -1);
  std::vector<double> distances(k, std::numeric_limits<double>::infinity());
  std::int64_t ties = 0;
  const NeighborLists lists{ids.data(), distances.data(), &ties};
  NeighborCollector collector(Metric::euclidean, k, {base.data(), norms.data(), terms.data(), n, dim, 0},
                              {query.data(), &query_norm, 1}, lists, kernels);
  for (std::size_t first = 0; first < n; first += tile) {
    const std::size_t count = std::min(tile, n - first);
    std::vector<float> scores(count);
    for (std::size_t i = 0; i < count; ++i) {
      double dot = 0;
      for (std::size_t j = 0; j < dim; ++j) dot += query[j] * base[(first + i) * dim + j];
      scores[i] = static_cast<float>(dot) + noise(random);
    }
    collector.offer(scores.data(), first, count, 0.0, error * 1.01 + 1e-5);
  }
  collector.finish(lists);
  const Expected expected = brute_force(query, base, dim, k);
  const std::string label = std::string(isa_name(kernels.isa)) + " n " + std::to_string(n) + " k " + std::to_string(k);
  check(ids == expected.ids && distances == expected.distances, "collector finds the neighbours, " + label);
  check(ties == expected.ties, "collector counts the ties, " + label);
}

}  // namespace

void test_neighbor_collector() {
  for (const KernelTable* kernels : available_kernels())
    for (const std::size_t n : {0, 1, 5, 600, 5000})
      for (const std::size_t k : {1, 7, 700})
        for (const int distinct : {1, 3, 1000})
          for (const float error : {0.0f, 0.3f}) compare(*kernels, n, k, 333, error, distinct);
}

}  // namespace annbench::tests
