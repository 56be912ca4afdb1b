#include "index/composed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "io/index_file.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vectors = std::vector<float>;

Vectors normal(std::size_t n, std::size_t dim, std::mt19937& random, float mean = 0) {
  std::normal_distribution<float> values(mean);
  Vectors rows(n * dim);
  for (float& value : rows) value = values(random);
  return rows;
}

void normalise(Vectors& rows, std::size_t dim) {
  for (std::size_t i = 0; i < rows.size() / dim; ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < dim; ++j) squares += static_cast<double>(rows[i * dim + j]) * rows[i * dim + j];
    for (std::size_t j = 0; j < dim; ++j) rows[i * dim + j] /= static_cast<float>(std::sqrt(squares));
  }
}

double distance(Metric metric, const float* q, const float* x, std::size_t dim) {
  double inner = 0, squares = 0, ql = 0, xl = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    inner += static_cast<double>(q[j]) * x[j];
    squares += (static_cast<double>(q[j]) - x[j]) * (static_cast<double>(q[j]) - x[j]);
    ql += static_cast<double>(q[j]) * q[j];
    xl += static_cast<double>(x[j]) * x[j];
  }
  if (metric == Metric::euclidean) return std::sqrt(squares);
  return metric == Metric::cosine ? 1 - inner / std::sqrt(ql * xl) : -inner;
}

std::vector<std::int64_t> nearest(Metric metric, const float* q, const Vectors& base, std::size_t dim, std::size_t k) {
  const std::size_t n = base.size() / dim;
  std::vector<double> distances(n);
  for (std::size_t i = 0; i < n; ++i) distances[i] = distance(metric, q, base.data() + i * dim, dim);
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  std::ranges::sort(ids, {}, [&](std::int64_t i) { return distances[static_cast<std::size_t>(i)]; });
  ids.resize(std::min(k, n));
  return ids;
}

// What a build brings together: clustered vectors with a mean that is not 0, half of the dimensions as lists' prefix.
struct Case {
  Metric metric;
  bool inverted, centred;
  RerankKind rerank;
  std::size_t assignments = 1;
  CodecSettings codec{};
  std::size_t n = 500, dim = 40, nlist = 8;

  std::string name() const {
    return "metric " + std::to_string(static_cast<int>(metric)) + (inverted ? " inverted" : " flat") +
           (centred ? " centred" : "") + " rerank " + std::to_string(static_cast<int>(rerank)) + " codec " +
           std::to_string(static_cast<int>(codec.kind)) + " bits " + std::to_string(codec.bits) + " assignments " +
           std::to_string(assignments);
  }
};

struct Built {
  Vectors base, queries;
  std::unique_ptr<ComposedIndex> index;
};

// Nearest centroids on the prefix.
std::vector<std::uint32_t> assigned(const Vectors& mapped, std::size_t dim, const Vectors& centroids, std::size_t prefix,
                                    std::size_t assignments) {
  std::vector<std::uint32_t> lists;
  for (std::size_t i = 0; i < mapped.size() / dim; ++i) {
    std::vector<std::pair<double, std::uint32_t>> order;
    for (std::size_t c = 0; c < centroids.size() / prefix; ++c)
      order.emplace_back(distance(Metric::euclidean, mapped.data() + i * dim, centroids.data() + c * prefix, prefix), c);
    std::ranges::sort(order);
    for (std::size_t a = 0; a < assignments; ++a) lists.push_back(order[a].second);
  }
  return lists;
}

Built build(const Case& c, const KernelTable& kernels, std::uint32_t seed) {
  std::mt19937 random(seed);
  Built built{normal(c.n, c.dim, random, 0.4f), normal(12, c.dim, random, 0.4f), nullptr};
  Vectors originals = built.base;
  if (c.metric == Metric::cosine) normalise(originals, c.dim);
  IndexSettings s;
  s.metric = c.metric;
  s.dim_in = s.dim = c.dim;
  s.codec = c.codec;
  s.rerank = c.rerank;
  Vectors mapped = originals;
  if (c.centred) {
    s.mean.assign(c.dim, 0);
    for (std::size_t i = 0; i < originals.size(); ++i) s.mean[i % c.dim] += originals[i] / static_cast<float>(c.n);
    for (std::size_t i = 0; i < mapped.size(); ++i) mapped[i] -= s.mean[i % c.dim];
  }
  std::vector<std::uint32_t> lists(c.n, 0);
  if (c.inverted) {
    s.prefix_dim = c.dim / 2;
    for (std::size_t l = 0; l < c.nlist; ++l)
      s.centroids.insert(s.centroids.end(), mapped.begin() + static_cast<std::ptrdiff_t>(l * c.dim),
                         mapped.begin() + static_cast<std::ptrdiff_t>(l * c.dim + s.prefix_dim));
    lists = assigned(mapped, c.dim, s.centroids, s.prefix_dim, c.assignments);
  }
  s.description = "{\"words\": true}";
  built.index = std::make_unique<ComposedIndex>(s, &kernels);
  std::vector<std::int64_t> ids(c.n);
  std::iota(ids.begin(), ids.end(), 0);
  built.index->add(originals.data(), mapped.data(), lists.data(), c.assignments, ids.data(), c.n);
  return built;
}

struct Answer {
  std::vector<std::int64_t> ids;
  Vectors distances;
  bool operator==(const Answer&) const = default;
};

Answer ask(const ComposedIndex& index, const Vectors& queries, std::size_t k, const SearchSettings& how) {
  const std::size_t count = queries.size() / index.settings().dim_in;
  Answer answer{std::vector<std::int64_t>(count * k, -7), Vectors(count * k, -7)};
  index.search(queries.data(), count, k, how, answer.ids.data(), answer.distances.data());
  return answer;
}

double recall(const Case& c, const Built& built, const Answer& answer, std::size_t k) {
  std::size_t hits = 0;
  const std::size_t count = built.queries.size() / c.dim;
  for (std::size_t q = 0; q < count; ++q) {
    const auto truth = nearest(c.metric, built.queries.data() + q * c.dim, built.base, c.dim, k);
    for (std::size_t i = 0; i < k; ++i)
      hits += std::ranges::count(truth, answer.ids[q * k + i]) > 0 ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(count * k);
}

void check_case(const Case& c, double least) {
  constexpr std::size_t k = 10;
  for (const KernelTable* kernels : available_kernels()) {
    const Built built = build(c, *kernels, 11);
    const SearchSettings all{c.nlist, 40, 4.0f, 1, false};
    const Answer answer = ask(*built.index, built.queries, k, all);
    const double found = recall(c, built, answer, k);
    check(found >= least, "recall of " + c.name() + ": " + std::to_string(found));
    for (std::size_t q = 0; q < built.queries.size() / c.dim; ++q) {
      for (std::size_t i = 0; i < k; ++i) {
        const std::int64_t id = answer.ids[q * k + i];
        const double own = distance(c.metric, built.queries.data() + q * c.dim,
                                    built.base.data() + static_cast<std::size_t>(id) * c.dim, c.dim);
        const double coarse = c.codec.kind == CodecKind::planes && c.rerank == RerankKind::none && c.codec.bits < 4 ? 4 : 1;
        const double scale = c.metric == Metric::inner_product ? 12 : c.metric == Metric::cosine ? 1 : 8;
        check(std::fabs(answer.distances[q * k + i] - own) < 0.1 * coarse * scale, "a distance of " + c.name());
        check(i == 0 || answer.distances[q * k + i] >= answer.distances[q * k + i - 1], "falling distances");
      }
      const std::set<std::int64_t> once(answer.ids.begin() + static_cast<std::ptrdiff_t>(q * k),
                                        answer.ids.begin() + static_cast<std::ptrdiff_t>(q * k + k));
      check(once.size() == k, "every id once, " + c.name());
    }
    // However queries are put together, and however many threads there are, answers are the same.
    if (!c.codec.second_bits) {
      for (const std::size_t threads : {1, 2, 5}) {
        SearchSettings how = all;
        how.threads = threads;
        how.shared = true;  // also where it would not pay
        check(ask(*built.index, built.queries, k, how) == answer, "shared lists, threads " + std::to_string(threads) + " of " + c.name());
        const Vectors one(built.queries.begin(), built.queries.begin() + static_cast<std::ptrdiff_t>(c.dim));
        const Answer alone = ask(*built.index, one, k, how);
        check(std::equal(alone.ids.begin(), alone.ids.end(), answer.ids.begin()), "one query, threads " + std::to_string(threads) + " of " + c.name());
      }
    }
    // Saved, loaded, the same.
    const std::string path = "composed_test.annbench";
    built.index->save(path);
    const auto loaded = ComposedIndex::load(path, kernels);
    check(ask(*loaded, built.queries, k, all) == answer, "the same after loading, " + c.name());
    check(loaded->size() == c.n && loaded->settings().description == "{\"words\": true}", "and all else");
    std::remove(path.c_str());
  }
}

void check_updates(const Case& c) {
  const KernelTable& kernels = *available_kernels().back();
  Built built = build(c, kernels, 12);
  const SearchSettings all{c.nlist, 40, 4.0f, 1, false};
  constexpr std::size_t k = 10;
  // Every third goes; none of them is found any more, and what is left is found as before.
  std::vector<std::int64_t> gone, unknown = {5, 999999};
  for (std::int64_t id = 0; id < static_cast<std::int64_t>(c.n); id += 3) gone.push_back(id);
  try {
    built.index->remove(unknown.data(), unknown.size());
    check(false, "an unknown id is refused");
  } catch (const std::out_of_range& error) {
    check(std::string(error.what()).find("999999") != std::string::npos, "by its name");
  }
  check(built.index->size() == c.n, "and nothing is removed with it");
  built.index->remove(gone.data(), gone.size());
  check(built.index->size() == c.n - gone.size(), "removed vectors are not counted");
  const Answer without = ask(*built.index, built.queries, k, all);
  for (const std::int64_t id : without.ids) check(id % 3 != 0, "removed vectors are not found");
  built.index->save("composed_test.annbench");
  check(ask(*ComposedIndex::load("composed_test.annbench", &kernels), built.queries, k, all) == without,
        "ids survive removal, saving and loading");
  std::remove("composed_test.annbench");
  // Added again with other ids: the first query of the base finds its own new id.
  const std::size_t dim = c.dim;
  Vectors originals = built.base;
  if (c.metric == Metric::cosine) normalise(originals, dim);
  Vectors mapped = originals;
  for (std::size_t i = 0; c.centred && i < mapped.size(); ++i) mapped[i] -= built.index->settings().mean[i % dim];
  const auto lists = c.inverted ? assigned(mapped, dim, built.index->settings().centroids,
                                           built.index->settings().prefix_dim, c.assignments)
                                : std::vector<std::uint32_t>(c.n, 0);
  for (const std::int64_t id : gone) {
    const auto row = static_cast<std::size_t>(id);
    const std::int64_t renamed = 1'000'000'000'000 + id;
    built.index->add(originals.data() + row * dim, mapped.data() + row * dim, lists.data() + row * c.assignments,
                     c.assignments, &renamed, 1);
  }
  check(built.index->size() == c.n, "added vectors are counted");
  if (c.metric != Metric::inner_product) {
    const Vectors again(built.base.begin(), built.base.begin() + static_cast<std::ptrdiff_t>(4 * dim));
    const Answer found = ask(*built.index, again, 1, all);
    check(found.ids[0] == 1'000'000'000'000 && found.ids[1] == 1 && found.ids[3] == 1'000'000'000'003,
          "added vectors are found by their new ids, " + c.name());
  }
  const std::int64_t taken = 1;
  try {
    built.index->add(originals.data(), mapped.data(), lists.data(), c.assignments, &taken, 1);
    check(false, "an id in use is refused");
  } catch (const std::invalid_argument&) {
  }
}

void check_small() {
  for (const Metric metric : {Metric::euclidean, Metric::cosine, Metric::inner_product}) {
    for (const std::size_t n : {0, 1, 3}) {
      Case c{metric, false, false, RerankKind::uniform};
      c.n = n;
      c.dim = 3;
      const Built built = build(c, *available_kernels().back(), 13);
      const Answer answer = ask(*built.index, built.queries, 5, {});
      for (std::size_t q = 0; q < 12; ++q)
        for (std::size_t i = 0; i < 5; ++i) {
          check((answer.ids[q * 5 + i] == -1) == (i >= n), "there are n answers, then −1");
          check((answer.distances[q * 5 + i] == std::numeric_limits<float>::infinity()) == (i >= n), "at infinity");
        }
      check(ask(*built.index, {}, 5, {}).ids.empty(), "no queries, no answers");
    }
  }
  Case c{Metric::cosine, false, false, RerankKind::none};
  const Built built = build(c, *available_kernels().back(), 14);
  for (const float d : ask(*built.index, Vectors(c.dim, 0.0f), 5, {}).distances) check(d == 1, "zero is at distance 1");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Vectors query(c.dim, 1.0f);
    query[3] = bad;
    try {
      ask(*built.index, query, 5, {});
      check(false, "a query that is not finite is refused");
    } catch (const std::invalid_argument&) {
    }
  }
}

// Searches beside each other and beside changes: what the thread sanitizer looks at.
void check_concurrency() {
  Case c{Metric::euclidean, true, true, RerankKind::uniform};
  const Built built = build(c, *available_kernels().back(), 15);
  const SearchSettings how{4, 20, 1.9f, 2, true};
  const Answer before = ask(*built.index, built.queries, 10, how);
  std::vector<std::thread> threads;
  std::vector<Answer> answers(4);
  for (std::size_t t = 0; t < answers.size(); ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 5; ++round) answers[t] = ask(*built.index, built.queries, 10, how);
    });
  threads.emplace_back([&] { built.index->save("composed_threads.annbench"); });
  for (std::thread& thread : threads) thread.join();
  for (const Answer& answer : answers) check(answer == before, "concurrent searches answer as one alone");
  std::remove("composed_threads.annbench");
  std::thread searching([&] {
    for (int round = 0; round < 20; ++round) ask(*built.index, built.queries, 10, how);
  });
  for (std::int64_t id = 0; id < 50; ++id) built.index->remove(&id, 1);
  searching.join();
  check(built.index->size() == c.n - 50, "removed while searching");
}

}  // namespace

CodecSettings codec_of(CodecKind kind, std::uint32_t bits, std::uint32_t second_bits = 0) {
  CodecSettings codec;
  codec.kind = kind;
  codec.bits = bits;
  codec.second_bits = second_bits;
  return codec;
}

// 16 centroids for each of 10 groups of 4 dimensions, from the normal distribution that the vectors come from.
CodecSettings product_codec(float deviation) {
  std::mt19937 random(21);
  CodecSettings codec = codec_of(CodecKind::product, 10);
  codec.tables = normal(16, 40, random);
  for (float& value : codec.tables) value *= deviation;
  return codec;
}

// 4 bits a dimension, cells of equal width over what occurs.
CodecSettings va_file_codec(float deviation) {
  CodecSettings codec = codec_of(CodecKind::va_file, 0);
  codec.table_bits.assign(40, 4);
  for (std::size_t i = 0; i < 40 * 16; ++i) codec.tables.push_back(deviation * (-2.5f + 0.35f * static_cast<float>(i % 16)));
  return codec;
}

void test_composed_threads() { check_concurrency(); }

void test_composed() {
  constexpr RerankKind none = RerankKind::none, uniform = RerankKind::uniform, float32 = RerankKind::float32;
  const CodecSettings four, eight = codec_of(CodecKind::uniform, 8), exact = codec_of(CodecKind::float32, 0);
  for (const Metric metric : {Metric::euclidean, Metric::cosine, Metric::inner_product}) {
    for (const bool centred : {false, true}) {
      check_case({metric, false, centred, uniform, 1, four}, 0.94);
      check_case({metric, true, centred, uniform, 1, four}, 0.94);
      check_case({metric, true, centred, none, 1, eight}, 0.93);
      check_case({metric, false, centred, none, 1, exact}, 1);
      check_case({metric, true, centred, float32, 1, four}, 1);
    }
    check_case({metric, true, true, RerankKind::float16, 1, codec_of(CodecKind::float16, 0)}, 0.99);
    for (const std::uint32_t bits : {1, 2, 3, 5, 6, 7})
      check_case({metric, true, true, bits < 3 ? float32 : none, 1, codec_of(CodecKind::planes, bits)},
                 bits == 1 ? 0.5 : bits == 3 ? 0.6 : 0.8);
    check_case({metric, true, true, none, 1, codec_of(CodecKind::two_level, 4, 8)}, 0.94);
    check_case({metric, true, true, none, 1, codec_of(CodecKind::staged, 1, 8)}, 0.9);
    check_case({metric, true, true, uniform, 1, codec_of(CodecKind::signs, 1, 0)}, 0.7);
    check_case({metric, true, true, uniform, 1, codec_of(CodecKind::staged, 1, 4)}, 0.95);
    check_updates({metric, true, true, uniform, 1, codec_of(CodecKind::staged, 1, 4)});
    check_case({metric, true, true, float32, 1, product_codec(metric == Metric::cosine ? 0.16f : 1.0f)}, 0.45);
    check_case({metric, true, true, uniform, 2, four}, 0.94);
    check_updates({metric, true, true, uniform, 2, four});
    check_updates({metric, false, false, none, 1, eight});
    check_updates({metric, true, true, float32, 1, codec_of(CodecKind::two_level, 4, 4)});
  }
  for (const Metric metric : {Metric::euclidean, Metric::cosine}) {
    const CodecSettings cells = va_file_codec(metric == Metric::cosine ? 0.16f : 1.0f);
    check_case({metric, true, true, float32, 1, cells}, 0.9);
    check_updates({metric, true, true, float32, 1, cells});
  }
  check_small();
}

}  // namespace annbench::tests
