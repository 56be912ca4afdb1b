#include "structures/graph_updates.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "codecs/sign_tables.hpp"
#include "codecs/staged_rows.hpp"
#include "codecs/two_level_rows.hpp"
#include "index/composed.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"
#include "tests/failing_new.hpp"
#include "tests/hard_sets.hpp"
#include "tests/index_bytes.hpp"

namespace annbench::tests {
namespace {

constexpr std::size_t dim = 6, degree = 8;

using Ids = std::vector<std::int64_t>;

// An index with a graph, and what must be in it.
struct Changing {
  std::unique_ptr<ComposedIndex> index;
  std::map<std::int64_t, Vector> vectors;
  std::size_t threads = 1;

  explicit Changing(Metric metric, RerankKind rerank = RerankKind::none, CodecKind codec = CodecKind::float32) {
    IndexSettings s;
    s.metric = metric;
    s.dim_in = s.dim = dim;
    s.codec.kind = codec;
    s.rerank = rerank;
    index = std::make_unique<ComposedIndex>(s);
    index->set_graph(Graph(0, degree));
    index->set_growth({1.2f, 24, 4});
  }

  void add(const Vector& rows, const Ids& ids) {
    const std::vector<std::uint32_t> lists(ids.size(), 0);
    index->add(rows.data(), rows.data(), lists.data(), 1, ids.data(), ids.size(), true, threads);
    for (std::size_t i = 0; i < ids.size(); ++i)
      vectors[ids[i]] = Vector(rows.begin() + static_cast<std::ptrdiff_t>(i * dim),
                               rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * dim));
  }
  void remove(const Ids& ids) {
    index->remove(ids.data(), ids.size(), threads);
    for (const std::int64_t id : ids) vectors.erase(id);
  }
  Ids search(const Vector& queries, std::size_t k, std::size_t ef) const {
    const std::size_t count = queries.size() / dim;
    Ids ids(count * k);
    Vector distances(count * k);
    SearchSettings how;
    how.ef = ef;
    index->search(queries.data(), count, k, how, ids.data(), distances.data());
    return ids;
  }
  double distance(Metric metric, const float* query, std::int64_t id) const {
    const Vector& x = vectors.at(id);
    double squares = 0, inner = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      squares += std::pow(static_cast<double>(query[j]) - x[j], 2);
      inner += static_cast<double>(query[j]) * x[j];
    }
    return metric == Metric::euclidean ? squares : -inner;
  }
};

Ids range(std::int64_t first, std::size_t count) {
  Ids ids(count);
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// Rows of links are sound, every vector can be found, and with all in sight the nearest are.
void check_sound(const Changing& c, Metric metric, const std::string& name) {
  const std::size_t n = c.vectors.size();
  check(c.index->size() == n, name + ": counts the living");
  Ids there = c.index->ids(), expected;
  for (const auto& [id, vector] : c.vectors) expected.push_back(id);
  std::ranges::sort(there);
  check(there == expected, name + ": names the living");
  const std::vector<std::uint32_t> links = c.index->links();
  const std::size_t nodes = links.size() / degree;
  for (std::size_t node = 0; node < nodes; ++node) {
    const auto row = std::span(links).subspan(node * degree, degree);
    const auto end = std::ranges::find(row, Graph::none);
    const std::set<std::uint32_t> distinct(row.begin(), end);
    check(std::ssize(distinct) == end - row.begin() && !distinct.contains(static_cast<std::uint32_t>(node)),
          name + ": links are distinct and lead elsewhere");
    check(distinct.empty() || *distinct.rbegin() < nodes, name + ": links are nodes");
    check(std::ranges::all_of(end, row.end(), [](std::uint32_t to) { return to == Graph::none; }), name + ": gaps at the end");
  }
  if (n == 0) return;
  std::mt19937 random(77);
  const Vector queries = normal_values(3 * dim, random);
  const Ids found = c.search(queries, n + 2, n);
  for (std::size_t q = 0; q < 3; ++q) {
    Ids all(found.begin() + static_cast<std::ptrdiff_t>(q * (n + 2)), found.begin() + static_cast<std::ptrdiff_t>(q * (n + 2) + n));
    const auto far = [&](std::int64_t id) { return c.distance(metric, queries.data() + q * dim, id); };
    for (std::size_t i = 1; i < n && all[i] >= 0; ++i) {
      const double before = far(all[i - 1]), after = far(all[i]);
      check(before <= after + 1e-4 * (1 + std::fabs(after)), name + ": the nearest first");
    }
    std::ranges::sort(all);
    check(all == expected, name + ": every living vector is found, once");
    check(found[q * (n + 2) + n] == -1, name + ": and nothing else");
  }
}

Vector rows_of(const Vector& all, std::size_t first, std::size_t count) {
  return {all.begin() + static_cast<std::ptrdiff_t>(first * dim), all.begin() + static_cast<std::ptrdiff_t>((first + count) * dim)};
}

// From nothing, through removals and additions at random, to nothing.
void check_churn() {
  std::mt19937 random(41);
  constexpr std::size_t n = 300, more = 40;
  for (const Metric metric : {Metric::euclidean, Metric::inner_product})
    for (const auto& [name, rows] : hard_sets(n, dim, random)) {
      std::vector<Changing> both;
      for (const std::size_t threads : {1, 3}) both.emplace_back(metric).threads = threads;
      const auto each = [&](const std::string& what, const auto& change) {
        for (Changing& c : both) change(c), check_sound(c, metric, name + ", " + what);
        check(both[0].index->links() == both[1].index->links(), name + ", " + what + ": the same whatever the threads");
      };
      each("filled", [&](Changing& c) { c.add(rows, range(0, n)); });
      std::int64_t next = n;
      for (int round = 0; round < 12; ++round) {
        Ids ids = both[0].index->ids();
        std::ranges::sort(ids);
        std::ranges::shuffle(ids, random);
        ids.resize(more - static_cast<std::size_t>(round % 3));
        each("removed", [&](Changing& c) { c.remove(ids); });
        const Ids fresh = range(next, ids.size());
        next += std::ssize(fresh);
        const Vector from = rows_of(rows, static_cast<std::size_t>(round) * 20, fresh.size());
        each("added", [&](Changing& c) { c.add(from, fresh); });
        if (round % 5 == 4) each("compacted", [&](Changing& c) { c.index->compact(c.threads); });
        check(round % 5 != 4 || both[0].index->links().size() == both[0].vectors.size() * degree, name + ": nothing dead is left");
      }
      each("emptied", [&](Changing& c) { c.remove(c.index->ids()); });
      check(both[0].index->links().empty(), name + ": what nobody needs is cleared out");
      check(both[0].search(Vector(dim, 1), 3, 10) == Ids{-1, -1, -1}, name + ": nothing is found in nothing");
      each("filled again", [&](Changing& c) { c.add(rows_of(rows, 0, 50), range(0, 50)); });
    }
}

// A few that are gone, before they are cleared out: no search finds them, and their ids are free.
void check_tombstones() {
  std::mt19937 random(42);
  Changing c(Metric::euclidean);
  const Vector rows = normal_values(200 * dim, random);
  c.add(rows, range(0, 200));
  c.remove({3, 5, 8});
  check(c.index->links().size() == 200 * degree, "the dead stay as a way through");
  check_sound(c, Metric::euclidean, "three removed");
  for (const std::size_t ef : {1, 3, 50})
    for (const std::size_t k : {1, 5, 60})
      for (const std::int64_t id : c.search(rows, k, ef)) check(id != 3 && id != 5 && id != 8 && id >= 0, "the dead are not found");
  for (const Ids& ids : {Ids{7, 3}, Ids{7, 7}, Ids{-1}, Ids{1000}}) {
    bool refused = false;
    try {
      c.index->remove(ids.data(), ids.size());
    } catch (const std::out_of_range&) {
      refused = true;
    }
    check(refused && c.index->size() == 197, "an id that is not there is refused, and nothing is removed");
  }
  check(refuses([&] { c.add(rows_of(rows, 0, 2), {300, 7}); }) && c.index->size() == 197, "an id in use is refused");
  c.add(rows_of(rows, 100, 1), {5});
  check(c.search(rows_of(rows, 100, 1), 2, 20).size() == 2, "a removed id can be used again");
  check_sound(c, Metric::euclidean, "one is back");
  const TemporaryFolder folder;
  c.index->save(folder.file("index"));
  const Ids before = c.search(rows, 10, 30);
  c.index = ComposedIndex::load(folder.file("index"));
  check(c.search(rows, 10, 30) == before, "saved without the dead, it answers the same");
  check_sound(c, Metric::euclidean, "loaded");
  c.add(rows_of(rows, 50, 30), range(500, 30));
  check_sound(c, Metric::euclidean, "loaded and added to");
}

// Vectors that the links are chosen by come from whatever is kept of them.
void check_stores() {
  std::mt19937 random(43);
  const Vector rows = normal_values(500 * dim, random);
  for (const Metric metric : {Metric::euclidean, Metric::inner_product})
    for (const RerankKind rerank : {RerankKind::none, RerankKind::uniform, RerankKind::float16, RerankKind::float32})
      for (const CodecKind codec : {CodecKind::float16, CodecKind::uniform, CodecKind::signs}) {
        if (rerank == RerankKind::none && codec == CodecKind::signs) continue;
        Changing c(metric, rerank, codec);
        c.add(rows, range(0, 500));
        c.remove(range(100, 80));
        c.add(rows_of(rows, 100, 80), range(1000, 80));
        Ids all = c.search(Vector(dim, 0.3f), 500, 500);
        std::ranges::sort(all);
        Ids there = c.index->ids();
        std::ranges::sort(there);
        check(all == there, "every vector is found, by rerank " + std::to_string(static_cast<int>(rerank)));
      }
}

// What a code stands for scores as the code does.
template <Codec C>
void check_decoding(const C& codec, float weight, const std::string& name) {
  std::mt19937 random(46);
  constexpr std::size_t n = 70;
  const std::size_t values = codec.dim();
  const Vector rows = normal_values(n * values, random), bias(n, 0.0f), query = normal_values(values, random);
  AlignedBuffer<std::uint8_t> first(codec.bytes(0, n)), second(codec.bytes(1, n));
  codec.encode(rows.data(), bias.data(), nullptr, n, {first.data(), second.data()}, 0);
  const CodesView codes{first.data(), second.data()};
  Vector decoded(n * values), scores(n);
  codec.decode(codes, 0, n, decoded.data());
  typename C::Query prepared;
  codec.prepare(active_kernels(), query.data(), prepared);
  std::vector<std::uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0u);
  codec.refine(active_kernels(), prepared, {}, codes, all.data(), n, scores.data());
  for (std::size_t i = 0; i < n; ++i) {
    double product = 0;
    for (std::size_t j = 0; j < values; ++j) product += static_cast<double>(query[j]) * decoded[i * values + j];
    check(std::fabs(scores[i] - weight * product) < 0.02 * weight * static_cast<double>(values), name + ": scores as it is decoded");
  }
}

// A change that runs out of memory changes nothing that can be seen.
void check_memory() {
  std::mt19937 random(44);
  const Vector rows = normal_values(60 * dim, random);
  Changing c(Metric::inner_product, RerankKind::float32);
  c.add(rows_of(rows, 0, 40), range(0, 40));
  enum class Failing { throws, may_be_done, may_go_on };
  const auto until_it_works = [&](const std::string& name, Failing how, const auto& change) {
    bool failed = true;
    for (std::size_t at = 0; failed; ++at) {
      const Starved done = starve(at, change);
      const bool thrown = done.thrown;
      failed = done.failed;
      if (failed && !thrown && how == Failing::may_be_done) return;
      check(thrown == failed || (how == Failing::may_go_on && !thrown), name + " without memory: std::bad_alloc");
      if (failed) check_sound(c, Metric::inner_product, name + " without memory, allocation " + std::to_string(at));
    }
  };
  const Ids fresh = range(40, 20);
  const std::vector<std::uint32_t> lists(20, 0);
  const Vector added = rows_of(rows, 40, 20);
  until_it_works("add", Failing::throws, [&] { c.index->add(added.data(), added.data(), lists.data(), 1, fresh.data(), 20); });
  for (const std::int64_t id : fresh) c.vectors[id] = rows_of(rows, static_cast<std::size_t>(id), 1);
  check_sound(c, Metric::inner_product, "added in the end");
  const Ids gone = range(5, 25);
  // Where it fails to clear the graph, which is tried again another time, it is done all the same.
  until_it_works("remove", Failing::may_be_done, [&] { c.index->remove(gone.data(), gone.size()); });
  for (const std::int64_t id : gone) c.vectors.erase(id);
  check_sound(c, Metric::inner_product, "removed in the end");
  // Of ids it may keep more memory than it needs.
  until_it_works("compact", Failing::may_go_on, [&] { c.index->compact(); });
  check_sound(c, Metric::inner_product, "compacted in the end");
}

}  // namespace

// Searches beside additions and removals: what the thread sanitizer looks at.
void test_graph_update_threads() {
  std::mt19937 random(45);
  constexpr std::int64_t n = 400;
  const Vector rows = normal_values(n * dim, random);
  Changing c(Metric::euclidean);
  c.threads = 2;
  c.add(rows, range(0, n));
  std::atomic<std::int64_t> gone = 0;  // ids below it were removed
  std::atomic<bool> over = false;
  std::vector<std::thread> searching;
  for (int t = 0; t < 2; ++t)
    searching.emplace_back([&] {
      while (!over) {
        const std::int64_t removed = gone;
        for (const std::int64_t id : c.search(rows, 5, 20)) check(id >= removed, "what was removed is not found any more");
        c.index->nbytes();
        std::this_thread::yield();
      }
    });
  const TemporaryFolder folder;
  for (std::int64_t first = 0; first < 2 * n; first += 80) {
    c.add(rows_of(rows, static_cast<std::size_t>(first % n), 80), range(n + first, 80));
    c.remove(range(first, 80));
    gone = first + 80;
    if (first == n) c.index->save(folder.file("index"));
  }
  over = true;
  for (std::thread& thread : searching) thread.join();
  check_sound(c, Metric::euclidean, "changed while searching");
}

void test_graph_updates() {
  check_tombstones();
  check_churn();
  check_stores();
  check_decoding(SignTables(48, 2), 2, "signs");
  check_decoding(StagedRows(48, 4, UniformFit::rabitq_fast, 2), 2, "signs and three more bits");
  check_decoding(StagedRows(48, 8, UniformFit::rabitq_fast, 1), 1, "signs and seven more bits");
  check_decoding(TwoLevelRows(48, 4, 4, UniformFit::min_max, 1), 1, "two levels");
  check_memory();
  test_graph_update_threads();
}

}  // namespace annbench::tests
