// Searching along a graph: what is kept, what a filter passes, and when a search ends.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "codecs/float_rows.hpp"
#include "structures/graph_walk.hpp"
#include "support/bits.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"
#include "tests/graph_of_near.hpp"

namespace annbench::tests {
namespace {

using Nodes = std::vector<std::uint32_t>;

void check_pool(const KernelTable& kernels) {
  std::mt19937 random(10);
  std::uniform_int_distribution<int> some(-20, 20);
  WalkPool pool;
  for (const std::size_t capacity : {1, 2, 7, 50}) {
    pool.start({capacity, capacity, capacity});
    TopK best(capacity);
    const std::size_t at_once = capacity == 7 ? 1 : capacity == 2 ? 150 : 19;
    Vector scores(300);
    Nodes nodes(300);
    std::iota(nodes.begin(), nodes.end(), 0u);
    for (float& score : scores) score = static_cast<float>(some(random)) / 4;
    scores[100] = std::numeric_limits<float>::quiet_NaN();
    scores[200] = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < 300; ++i) best.push(scores[i], nodes[i]);
    for (std::size_t i = 0; i < 300; i += at_once)
      pool.offer(kernels, scores.data() + i, nodes.data() + i, std::min<std::size_t>(at_once, 300 - i));
    const std::vector<Scored> expected = best.take();
    bool same = pool.size() == expected.size();
    for (std::size_t i = 0; same && i < expected.size(); ++i)
      same = pool.score(i) == expected[i].score && pool.node(i) == expected[i].id;
    check(same, "a pool keeps what a heap keeps, in order");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      check(pool.next() == expected[i].id, "what comes next is foretold");
      check(pool.expand() == expected[i].id, "the nearest is expanded first");
    }
    check(pool.expand() == Graph::none && pool.next() == Graph::none, "then nothing is left");
    const float nearest = std::numeric_limits<float>::infinity();
    const std::uint32_t later = 400;
    pool.offer(kernels, &nearest, &later, 1);
    check(pool.expand() == 400, "a nearer one that comes later is");
    check(pool.score(0) == std::numeric_limits<float>::infinity(), "infinity is the nearest");
    pool.start({2, capacity, capacity});
    pool.offer(kernels, scores.data(), nodes.data(), 50);
    std::size_t expanded = 0;
    while (pool.expand() != Graph::none) ++expanded;
    check(expanded == std::min<std::size_t>(capacity, 2) && pool.next() == Graph::none, "those in the window are expanded");
    check(pool.size() == std::min<std::size_t>(capacity, 50), "what is not expanded is kept all the same");
  }
}

// Together go the nearest that was not expanded and those of the others that are nearer than all that was offered last, of
// a list of all that was offered; as many as there is room for.
void check_together(const KernelTable& kernels) {
  std::mt19937 random(22);
  constexpr std::size_t n = 640;
  std::size_t several = 0;
  for (int round = 0; round < 100; ++round) {
    const Sight sight{1 + random() % 60, 1 + random() % 9, 60};
    WalkPool pool;
    pool.start(sight);
    std::vector<Scored> kept;
    std::set<std::uint64_t> expanded;
    bool same = true;
    for (std::uint32_t node = 0; node < n;) {
      const std::uint32_t first_new = node;
      std::uniform_int_distribution<int> some(-4000, 4000);
      const std::size_t count = std::min<std::size_t>(random() % (round % 4 == 3 ? 100 : 7), n - node);
      Vector scores(count);
      Nodes nodes(count);
      std::iota(nodes.begin(), nodes.end(), node);
      for (float& score : scores) score = static_cast<float>(some(random));
      pool.offer(kernels, scores.data(), nodes.data(), count);
      for (std::size_t i = 0; i < count; ++i) kept.push_back({scores[i], nodes[i]});
      node += static_cast<std::uint32_t>(count);
      std::ranges::sort(kept, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
      if (kept.size() > sight.capacity) kept.resize(sight.capacity);
      const std::size_t most = 1 + random() % 7;
      Nodes expected;
      std::size_t before = 0;
      bool nothing_new = true;
      for (const Scored& one : kept) {
        if (before >= sight.window && kept.size() >= sight.wanted) break;
        nothing_new = nothing_new && one.id < first_new;
        ++before;
        if (expanded.contains(one.id)) continue;
        if (expected.size() == most || (!expected.empty() && !nothing_new)) break;
        expected.push_back(static_cast<std::uint32_t>(one.id));
      }
      std::array<std::uint32_t, 8> room;
      const auto foretold = pool.next(std::span(room).first(most));  // and what comes after these
      same = same && foretold.size() >= expected.size() && std::ranges::equal(foretold.first(expected.size()), expected);
      same = same && std::ranges::equal(pool.expand(std::span(room).first(most)), expected);
      expanded.insert(expected.begin(), expected.end());
      several += static_cast<std::size_t>(expected.size() > 1);
    }
    check(same, "what goes together is what the words say");
  }
  check(several > 500, "often several");
}

// A bit a node; `share` tenths of them are barred.
std::vector<std::uint64_t> barred_at_random(std::size_t n, std::uint32_t share, std::mt19937& random) {
  std::vector<std::uint64_t> barred(n / 64, 0);
  for (std::size_t node = 0; node < n; ++node)
    if (random() % 10 < share) barred[node / 64] |= std::uint64_t{1} << node % 64;
  return barred;
}

// Offers a pool up to `most` nodes from `node` on, which moves behind them, and puts them into a list; many scores are equal.
void offer_some(const KernelTable& kernels, WalkPool& pool, std::uint32_t& node, std::size_t n, std::size_t most,
                std::mt19937& random, std::vector<Scored>& offered) {
  std::uniform_int_distribution<int> some(-40, 40);
  const std::size_t count = std::min<std::size_t>(random() % (most + 1), n - node);
  Vector scores(count);
  Nodes nodes(count);
  std::iota(nodes.begin(), nodes.end(), node);
  for (float& score : scores) score = static_cast<float>(some(random));
  pool.offer(kernels, scores.data(), nodes.data(), count);
  for (std::size_t i = 0; i < count; ++i) offered.push_back({scores[i], nodes[i]});
  node += static_cast<std::uint32_t>(count);
}

// Of random offers the pool keeps what a sorted list does, and expands as many as are not barred.
void check_barred(const KernelTable& kernels) {
  std::mt19937 random(12);
  constexpr std::size_t n = 640;
  for (int round = 0; round < 200; ++round) {
    const std::vector<std::uint64_t> barred = barred_at_random(n, random() % 11, random);
    const auto passes = [&](std::uint32_t node) { return (barred[node / 64] >> node % 64 & 1) == 0; };
    const Sight sight{1 + random() % 9, 1 + random() % 9, 9 + random() % 30, barred.data()};
    WalkPool pool;
    pool.start(sight);
    std::vector<Scored> kept;
    std::set<std::uint64_t> expanded;
    const auto ranked = [](const Scored& a, const Scored& b) { return a.nearer_than(b); };
    bool same = true;
    for (std::uint32_t node = 0; node < n;) {
      offer_some(kernels, pool, node, n, 6, random, kept);
      std::ranges::sort(kept, ranked);
      if (kept.size() > sight.capacity) kept.resize(sight.capacity);
      // By the words of Sight: the nearest that was not expanded, unless enough before it are, and enough are kept.
      std::size_t held = 0, before = 0;
      for (const Scored& one : kept) held += passes(static_cast<std::uint32_t>(one.id));
      std::uint32_t expected = Graph::none;
      for (const Scored& one : kept) {
        if (before >= sight.window && held >= sight.wanted) break;
        if (!expanded.contains(one.id)) {
          expected = static_cast<std::uint32_t>(one.id);
          break;
        }
        before += passes(static_cast<std::uint32_t>(one.id));
      }
      same = same && pool.next() == expected && pool.expand() == expected;
      if (expected != Graph::none) expanded.insert(expected);
    }
    for (std::size_t i = 0; i < kept.size(); ++i)
      same = same && pool.node(i) == kept[i].id && pool.barred(i) == !passes(static_cast<std::uint32_t>(kept[i].id));
    check(same && pool.size() == kept.size(), "a pool with barred nodes does what its words say");
  }
}

// With slack, some nodes barred or none: the pool names what a list of all that was ever offered does, though it lets go
// of what is too far.
void check_pool_slack(const KernelTable& kernels) {
  std::mt19937 random(21);
  constexpr std::size_t n = 640;
  constexpr float apex = 41;
  std::size_t let_go = 0;
  for (int round = 0; round < 200; ++round) {
    const bool any_barred = round % 2 == 0;
    const std::vector<std::uint64_t> barred = barred_at_random(n, any_barred ? random() % 10 : 0, random);
    const auto passes = [&](const Scored& one) { return (barred[one.id / 64] >> one.id % 64 & 1) == 0; };
    const float stretch = 1 + static_cast<float>(random() % 8) / 8;
    Sight sight{n, 1 + random() % 9, n, any_barred ? barred.data() : nullptr};
    sight.slack = {1 + random() % sight.wanted, stretch, apex};
    WalkPool pool;
    pool.start(sight);
    std::vector<Scored> all;
    std::set<std::uint64_t> expanded;
    bool same = true;
    for (std::uint32_t node = 0; node < n;) {
      offer_some(kernels, pool, node, n, round % 8 < 4 ? 6 : 100, random, all);
      std::ranges::sort(all, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
      std::vector<Scored> passing;
      std::ranges::copy_if(all, std::back_inserter(passing), passes);
      const std::size_t nth = sight.slack.nth;
      const float least = passing.size() < nth ? -1e9f : apex - stretch * (apex - passing[nth - 1].score);
      const auto first = std::ranges::find_if(all, [&](const Scored& one) { return !expanded.contains(one.id); });
      std::uint32_t expected = Graph::none;
      if (first != all.end() && (passing.size() < sight.wanted || first->score >= least))
        expected = static_cast<std::uint32_t>(first->id);
      same = same && pool.next() == expected && pool.expand() == expected;
      if (expected != Graph::none) expanded.insert(expected);
      // As many as are wanted; those within the slack are the nearest there are.
      std::size_t kept = 0;
      for (std::size_t i = 0; i < pool.size(); ++i) {
        if (pool.barred(i)) continue;
        same = same && (pool.score(i) < least || pool.node(i) == passing[kept].id);
        ++kept;
      }
      same = same && kept >= std::min(sight.wanted, passing.size());
    }
    let_go += all.size() - pool.size();
    check(same, "a pool with slack does what its words say");
  }
  check(let_go > 0, "what is too far goes");
}

// Vectors, a graph over them, and queries; answers by walk() and by looking at all.
struct Scene {
  Vector rows, queries;
  std::size_t dim, n, count;
  FloatRows codec;
  AlignedBuffer<std::uint8_t> memory;
  Graph graph;
  WalkMemories<FloatRows> memories;

  Scene(Vector given, std::size_t dimensions, std::size_t degree, Vector asked)
      : rows(std::move(given)), queries(std::move(asked)), dim(dimensions), n(rows.size() / dim),
        count(queries.size() / dim), codec(dim, FloatType::float32, FloatScore::squared_l2, 1),
        memory(codec.bytes(0, n)), graph(graph_of_near(rows, dim, degree)) {
    codec.encode(rows.data(), nullptr, nullptr, n, {memory.data(), nullptr}, 0);
  }

  std::vector<std::vector<std::uint64_t>> found(WalkTask task, std::size_t k, WalkCounts& cost) {
    task.queries = queries.data();
    std::vector<TopK> best(count, TopK(k));
    cost = walk(codec, active_kernels(), graph, {memory.data(), nullptr}, task, best, memories);
    std::vector<std::vector<std::uint64_t>> ids(count);
    for (std::size_t q = 0; q < count; ++q)
      for (const Scored& one : best[q].take()) ids[q].push_back(one.id);
    return ids;
  }

  std::vector<std::vector<std::uint64_t>> nearest(const PlaceFilter& filter, std::size_t k) const {
    std::vector<std::vector<std::uint64_t>> ids(count);
    for (std::size_t q = 0; q < count; ++q) {
      TopK best(k);
      for (const std::uint32_t i : filter.places(0)) {
        float square = 0;
        for (std::size_t j = 0; j < dim; ++j) square += std::pow(rows[i * dim + j] - queries[q * dim + j], 2.0f);
        best.push(-square, i);
      }
      for (const Scored& one : best.take()) ids[q].push_back(one.id);
    }
    return ids;
  }
};

template <class Passes>
PlaceFilter filter_of(std::size_t n, const Passes& passes) {
  PlaceFilter filter(std::vector<std::size_t>{n});
  for (std::size_t place = 0; place < n; ++place)
    if (passes(place)) filter.allow(0, place);
  return filter;
}

double shared(const std::vector<std::vector<std::uint64_t>>& a, const std::vector<std::vector<std::uint64_t>>& b) {
  std::size_t same = 0, all = 0;
  for (std::size_t q = 0; q < a.size(); ++q) {
    all += b[q].size();
    for (const std::uint64_t id : b[q]) same += static_cast<std::size_t>(std::ranges::count(a[q], id));
  }
  return static_cast<double>(same) / static_cast<double>(all);
}

void check_filters() {
  std::mt19937 random(13);
  constexpr std::size_t n = 6000, dim = 6, k = 5;
  Scene scene(normal_values(n * dim, random), dim, 8, normal_values(20 * dim, random));
  WalkCounts plain, cost;
  const auto without = scene.found({nullptr, 12, 4}, k, plain);
  const PlaceFilter all = filter_of(n, [](std::size_t) { return true; });
  check(scene.found({nullptr, 12, 4, 0, &all}, k, cost) == without && cost.hops == plain.hops,
        "a filter that passes all changes nothing");
  for (const std::size_t of_ten : {9, 7, 5}) {
    const PlaceFilter most = filter_of(n, [&](std::size_t place) { return place * 7 % 10 < of_ten; });
    const auto walked = scene.found({nullptr, 12, 4, 0, &most}, k, cost);
    check(cost.hops > 0 && cost.scored < scene.count * n / 4, "where most pass, they are found on a walk");
    bool passing = true;
    for (const auto& answer : walked) {
      passing = passing && answer.size() == k;
      for (const std::uint64_t id : answer) passing = passing && most.passes(0, id);
    }
    check(passing, "of what passes there are k, and nothing else");
    check(shared(walked, scene.nearest(most, k)) >= shared(without, scene.nearest(all, k)) - 0.05, "as near as without");
    WalkCounts alone;
    check(scene.found({nullptr, 12, 1, 0, &most}, k, alone) == walked && alone.scored == cost.scored,
          "turns change no filtered answer");
  }
  for (const std::size_t passing : {300, 7, 3, 1, 0}) {
    const PlaceFilter few = filter_of(n, [&](std::size_t place) { return place % (n / 300) == 0 && place / (n / 300) < passing; });
    check(scene.found({nullptr, 12, 4, 0, &few}, k, cost) == scene.nearest(few, k), "of few that pass, the nearest");
    check(cost.hops == 0 && cost.scored == scene.count * few.count(), "and nothing else is looked at");
  }
}

// Half of all pass, and none of those is near.
void check_far_filters() {
  constexpr std::size_t n = 4000;
  Vector line(n);
  std::iota(line.begin(), line.end(), 0.0f);
  Scene scene(line, 1, 4, {0, 10, 1999});
  const PlaceFilter far = filter_of(n, [](std::size_t place) { return place >= n / 2; });
  WalkCounts cost;
  check(scene.found({nullptr, 8, 2, 0, &far}, 3, cost) == scene.nearest(far, 3), "what passes is found wherever it is");
  check(cost.hops > 0 && cost.scored < scene.count * n * 3 / 4, "after a walk that was lost for a while");
}

void check_graves() {
  std::mt19937 random(14);
  constexpr std::size_t n = 1000, dim = 4, k = 5;
  Scene scene(normal_values(n * dim, random), dim, 8, normal_values(9 * dim, random));
  scene.graph.prepare(n, false);
  for (std::size_t node = 0; node < n; ++node)
    if (node % 10 != 3) scene.graph.bury(node);
  const PlaceFilter living = filter_of(n, [&](std::size_t place) { return scene.graph.living(place); });
  WalkCounts cost;
  check(scene.found({nullptr, n, 3}, k, cost) == scene.nearest(living, k), "among many dead, the nearest that live");
  check(cost.hops > 0, "found on a walk");
}

void check_patience() {
  std::mt19937 random(15);
  constexpr std::size_t n = 3000, dim = 8, k = 5;
  Scene scene(normal_values(n * dim, random), dim, 12, normal_values(20 * dim, random));
  WalkCounts plain, cost;
  const auto answers = scene.found({nullptr, 100, 4}, k, plain);
  check(scene.found({nullptr, 100, 4, n}, k, cost) == answers && cost.hops == plain.hops, "endless patience changes nothing");
  std::size_t before = plain.hops;
  for (const std::size_t patience : {50, 20, 5}) {
    const auto sooner = scene.found({nullptr, 100, 4, patience}, k, cost);
    check(cost.hops < before, "less patience ends a search sooner");
    check(cost.hops >= scene.count * patience, "but not before so many hops");
    check(shared(sooner, answers) > 0.6 + 0.006 * patience, "and finds most of the same");
    before = cost.hops;
    WalkCounts alone;
    check(scene.found({nullptr, 100, 1, patience}, k, alone) == sooner && alone.hops == cost.hops, "whoever takes turns");
  }
}

// By exact scores: whatever is farther than the slack allows is not expanded, and nearer ones are as they would be.
void check_slack() {
  std::mt19937 random(17);
  constexpr std::size_t n = 5000, dim = 8, k = 5, wanted = 9;
  Scene scene(normal_values(n * dim, random), dim, 12, normal_values(20 * dim, random));
  std::vector<float> apexes(scene.count, 0.0f);  // scores are squared distances with the other sign
  const auto with = [&](float stretch, std::size_t ef, std::size_t interleave, const PlaceFilter* filter = nullptr) {
    return WalkTask{nullptr, ef, interleave, 0, filter, {k, stretch}, apexes.data()};
  };
  WalkCounts plain, cost, alone;
  const auto answers = scene.found({nullptr, 300, 4}, wanted, plain);
  check(scene.found(with(1e6f, 300, 4), wanted, cost) == answers && cost.hops == plain.hops, "endless slack changes nothing");
  std::size_t before = plain.hops;
  for (const float stretch : {1.7f, 1.3f, 1.0f}) {
    const auto sooner = scene.found(with(stretch, 300, 4), wanted, cost);
    check(cost.hops < before, "less slack ends a search sooner");
    check(shared(sooner, answers) > 0.1 + 0.45 * stretch, "and finds most of the same");
    for (const auto& found : sooner) check(found.size() == wanted, "as many as are wanted");
    before = cost.hops;
    check(scene.found(with(stretch, 300, 1), wanted, alone) == sooner && alone.hops == cost.hops, "whoever takes turns");
    check(scene.found(with(stretch, 20, 4), wanted, alone).size() == scene.count && alone.hops <= cost.hops,
          "the window ends a search, too");
  }
  const PlaceFilter most = filter_of(n, [](std::size_t place) { return place % 10 != 3; });
  const auto passing = scene.found({nullptr, 40, 4, 0, &most}, wanted, plain);
  const auto ended = scene.found(with(1.2f, 40, 4, &most), wanted, cost);
  check(cost.hops > 0 && cost.hops < plain.hops * 9 / 10, "slack is of what passes a filter");
  check(shared(ended, passing) > 0.8, "of which most is found");
}

// What one graph leaves behind serves another, larger or smaller.
void check_memories() {
  std::mt19937 random(16);
  constexpr std::size_t dim = 3, k = 4;
  WalkMemories<FloatRows> memories;
  for (const std::size_t n : {50, 3000, 200, 7000}) {
    Scene scene(normal_values(n * dim, random), dim, 8, normal_values(10 * dim, random));
    WalkCounts fresh, used;
    const auto expected = scene.found({nullptr, 10, 4}, k, fresh);
    memories.give(scene.memories.take());
    std::vector<TopK> best(scene.count, TopK(k));
    used = walk(scene.codec, active_kernels(), scene.graph, CodesView{scene.memory.data(), nullptr},
                {scene.queries.data(), 10, 4}, best, memories);
    bool same = fresh.hops == used.hops && fresh.scored == used.scored;
    for (std::size_t q = 0; q < scene.count; ++q) {
      const auto found = best[q].take();
      for (std::size_t i = 0; i < found.size(); ++i) same = same && found[i].id == expected[q][i];
    }
    check(same, "memory that was used before changes no answer");
  }
}

// By its words, of all bits.
void check_set_bit() {
  std::size_t count = 5;
  std::uint64_t word = 0, expected = 0;
  for (std::uint64_t bit = 0; bit < 128; bit += 3) expected |= std::uint64_t{1} << bit % 64;
  for (int twice = 0; twice < 2; ++twice)
    for (std::uint64_t bit = 0; bit < 128; bit += 3) set_bit(word, bit, count);
  check(word == expected && count == 5 + static_cast<std::size_t>(std::popcount(expected)), "bits are set, and counted once");
}

}  // namespace

void test_graph_walk() {
  for (const KernelTable* kernels : available_kernels()) {
    check_pool(*kernels);
    check_together(*kernels);
    check_barred(*kernels);
    check_pool_slack(*kernels);
  }
  check_set_bit();
  check_filters();
  check_far_filters();
  check_graves();
  check_patience();
  check_slack();
  check_memories();
}

}  // namespace annbench::tests
