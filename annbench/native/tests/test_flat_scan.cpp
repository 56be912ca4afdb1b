#include "structures/flat_scan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "codecs/uniform_rows.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

bool same(const std::vector<Scored>& a, const std::vector<Scored>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Scored& x, const Scored& y) { return x.score == y.score && x.id == y.id; });
}

// Sorting everything, for whatever the codec says that the scores are.
std::vector<Scored> sorted_scores(const KernelTable& kernels, const UniformRows& codec, const std::uint8_t* rows,
                                  std::size_t n, const float* query, std::size_t k) {
  std::vector<float> scores(n);
  codec.score(kernels, codec.prepare(query), rows, nullptr, n, scores.data());
  std::vector<Scored> all;
  for (std::size_t i = 0; i < n; ++i) all.push_back({scores[i], static_cast<std::uint32_t>(i)});
  std::sort(all.begin(), all.end(), [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
  all.resize(std::min(k, n));
  return all;
}

void check_top_k() {
  std::mt19937 random(4);
  for (const std::size_t k : {0, 1, 2, 7, 100}) {
    TopK best(k);
    std::vector<Scored> all;
    for (std::uint32_t id = 0; id < 60; ++id) {
      const float score = static_cast<float>(random() % 12);
      best.push(score, 59 - id);
      best.push(std::numeric_limits<float>::quiet_NaN(), id);
      all.push_back({score, 59 - id});
    }
    std::sort(all.begin(), all.end(), [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
    all.resize(std::min<std::size_t>(k, all.size()));
    check(same(best.take(), all), "the k best of many ties, k " + std::to_string(k));
  }
}

void check_scan(std::size_t n, std::size_t dim, int bits, std::size_t k, std::size_t count) {
  std::mt19937 random(static_cast<std::uint32_t>(n + dim));
  std::normal_distribution<float> normal;
  const UniformRows codec(dim, bits, UniformFit::rabitq_fast, 2.0f);
  std::vector<float> base(n * dim), bias(n), queries(count * dim);
  for (float& value : base) value = normal(random);
  for (float& value : bias) value = normal(random);
  for (float& value : queries) value = normal(random);
  if (n > 40) std::copy_n(base.begin(), 20 * dim, base.begin() + 20 * dim);  // duplicates, with equal biases
  if (n > 40) std::copy_n(bias.begin(), 20, bias.begin() + 20);
  AlignedBuffer<std::uint8_t> rows(n * codec.layout().row_bytes());
  codec.encode(base.data(), bias.data(), n, rows.data());
  for (const KernelTable* kernels : available_kernels()) {
    const auto found = flat_scan(*kernels, codec, rows.data(), n, queries.data(), count, k);
    check(found.size() == count, "an answer a query");
    for (std::size_t q = 0; q < count; ++q)
      check(same(found[q], sorted_scores(*kernels, codec, rows.data(), n, queries.data() + q * dim, k)),
            "flat scan n " + std::to_string(n) + " dim " + std::to_string(dim) + " k " + std::to_string(k));
  }
}

// At 8 bits and all candidates, the exact nearest neighbour in L2 is found for base rows asked of themselves.
void check_recall() {
  constexpr std::size_t n = 2000, dim = 48;
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> base(n * dim), bias(n, 0.0f);
  for (float& value : base) value = normal(random);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < dim; ++j) bias[i] -= base[i * dim + j] * base[i * dim + j];
  const UniformRows codec(dim, 8, UniformFit::rabitq_fast, 2.0f);
  AlignedBuffer<std::uint8_t> rows(n * codec.layout().row_bytes());
  codec.encode(base.data(), bias.data(), n, rows.data());
  const auto found = flat_scan(*available_kernels().back(), codec, rows.data(), n, base.data(), 200, 1);
  for (std::size_t q = 0; q < 200; ++q) check(found[q].front().id == q, "a row is its own nearest neighbour");
}

}  // namespace

void test_flat_scan() {
  check_top_k();
  for (const std::size_t n : {0, 1, 15, 257, 3000})
    for (const int bits : {4, 8})
      for (const std::size_t k : {1, 10, 300}) check_scan(n, bits == 4 ? 100 : 33, bits, k, n == 257 ? 5 : 2);
  check_recall();
}

}  // namespace annbench::tests
