// How a composed index answers queries.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>

#include "index/composed.hpp"
#include "index/on_disk.hpp"
#include "index/prepared.hpp"
#include "index/reranker.hpp"
#include "support/require.hpp"
#include "support/thread_pool.hpp"
#include "support/wide_dot.hpp"

namespace annbench {
namespace {

// Queries of a batch that are prepared together: so many that lists are shared between them, and along a graph no more than
// the second cache holds.
constexpr std::size_t most_at_once = 1024, most_along_graph = 128;
constexpr float most_slack = 1000;
// A squared length: (‖x‖ + ‖q‖)² is a float32, whichever two vectors meet.
constexpr double longest = std::numeric_limits<float>::max() / 4;

// The places of `wanted` of the largest scores, in no order: bisecting for a threshold that few of the others pass takes
// less time than a heap, because no branch depends on a score. All places where that does not work, as with NaN. `kept` is
// room to work in.
std::size_t largest_of(const KernelTable& kernels, std::span<const float> scores, std::size_t wanted,
                       std::vector<std::uint32_t>& places, std::vector<float>& kept) {
  constexpr int rounds = 16;
  const auto [smallest, largest] = std::ranges::minmax(scores);
  float low = smallest, high = largest;
  for (int round = 0; round < rounds; ++round) {
    const float middle = low + (high - low) / 2;
    std::uint32_t count = 0;
    for (const float score : scores) count += score >= middle ? 1u : 0u;
    if (count < wanted) {
      high = middle;
    } else {
      low = middle;
      if (count <= 2 * wanted) break;
    }
  }
  places.resize(scores.size());
  kept.resize(scores.size());
  const std::size_t found =
      kernels.threshold_select(scores.data(), nullptr, Adjust::none, scores.size(), low, places.data(), kept.data());
  if (found >= wanted) {
    const auto larger = [&](std::uint32_t a, std::uint32_t b) {
      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    };
    const auto begin = places.begin();
    std::nth_element(begin, begin + static_cast<std::ptrdiff_t>(wanted), begin + static_cast<std::ptrdiff_t>(found), larger);
    return wanted;
  }
  std::iota(places.begin(), places.end(), 0u);
  return scores.size();
}

}  // namespace

void ComposedIndex::prepare(const float* queries, std::size_t n, Prepared& p) const {
  const IndexSettings& s = settings_;
  p.count = n;
  p.raw = queries;
  if (s.metric == Metric::cosine) {
    p.unit.resize(n * s.dim_in);
    p.raw = p.unit.data();
  }
  p.zero.assign(n, false);
  const auto short_dot = [&](const float* x, const float* y, std::size_t count) {
    return static_cast<float>(kernels_.wide_dot(x, y, count));
  };
  constexpr const char* unusable = "a query has values that are NaN, infinite, or so large that distances are";
  if (s.metric == Metric::cosine) {
    for (std::size_t q = 0; q < n; ++q) {
      const float* const x = queries + q * s.dim_in;
      const double squares = kernels_.wide_dot(x, x, s.dim_in);
      require(squares <= longest, unusable);
      p.zero[q] = squares == 0;
      const double inverse = squares == 0 ? 0 : 1 / std::sqrt(squares);
      kernels_.scaled(x, s.dim_in, inverse, p.unit.data() + q * s.dim_in);
    }
  }
  p.lengths.assign(n, 0);
  p.centred.resize(s.mean.empty() ? 0 : n * s.dim_in);
  // Of queries of length 1 nobody asks for it but who maps them.
  const bool measured = !s.mean.empty() || s.metric != Metric::cosine || query_map_;
  for (std::size_t q = 0; measured && q < n; ++q) {
    const float* const x = p.raw + q * s.dim_in;
    p.lengths[q] = s.mean.empty() ? kernels_.wide_dot(x, x, s.dim_in)
                                  : kernels_.centred(x, s.mean.data(), s.dim_in, p.centred.data() + q * s.dim_in);
    require(p.lengths[q] <= longest, unusable);
  }
  if (rotation_) {
    p.mapped.assign(p.without_mean(), p.without_mean() + n * s.dim);
    for (std::size_t q = 0; q < n; ++q) rotation_->rotate(kernels_, p.mapped.data() + q * s.dim);
  } else if (query_map_) {
    p.mapped.resize(n * s.dim);
    query_map_->map(kernels_, p.without_mean(), p.lengths.data(), n, p.mapped.data(), p.room);
  } else if (binarizer_) {
    p.mapped.resize(n * s.dim);
    binarizer_->map(kernels_, p.without_mean(), n, p.mapped.data(), p.binarizer_room);
  } else if (s.normalise) {
    p.mapped.assign(p.without_mean(), p.without_mean() + n * s.dim);
  }
  if (s.normalise) {
    for (std::size_t q = 0; q < n; ++q) {
      float* v = p.mapped.data() + q * s.dim;
      const float length = std::sqrt(short_dot(v, v, s.dim));
      for (std::size_t j = 0; length > 0 && j < s.dim; ++j) v[j] /= length;
    }
  }
  p.squares.resize(n);
  p.constants.resize(n);
  p.rerank_constants.resize(n);
  for (std::size_t q = 0; q < n; ++q) {
    const float* scanned = p.scanned() + q * s.dim;
    p.squares[q] = short_dot(scanned, scanned, s.dim);
    require(std::isfinite(p.squares[q]), "a query is mapped beyond float32");
    p.constants[q] = p.rerank_constants[q] = 0;
    if (reranker_ != nullptr && reranker_->exact()) continue;
    p.rerank_constants[q] = rerank_constant(p, q);
    p.constants[q] = code_constant(p, q, p.rerank_constants[q]);
  }
}

// What a score of a finer copy, and of a code, lacks to be a distance by distance_of().
float ComposedIndex::rerank_constant(const Prepared& p, std::size_t q) const {
  const IndexSettings& s = settings_;
  if (s.metric == Metric::euclidean) return static_cast<float>(p.lengths[q]);
  return s.mean.empty() ? 0 : static_cast<float>(kernels_.wide_dot(p.raw + q * s.dim_in, s.mean.data(), s.dim_in));
}
float ComposedIndex::code_constant(const Prepared& p, std::size_t q, float of_rerank) const {
  const IndexSettings& s = settings_;
  if (halved_l2_) return p.squares[q];
  if (exact_l2_) return 0;
  if (s.mapped_metric && s.metric == Metric::euclidean) return p.squares[q];
  float constant = s.mapped_metric ? 0 : of_rerank;
  if (by_norms_ && s.metric == Metric::cosine)
    constant += 0.5f - (s.mean.empty() ? 0 : static_cast<float>(kernels_.wide_dot(s.mean.data(), s.mean.data(), s.dim_in)) / 2);
  return constant;
}
// The score of a code at distance 0; that of others is less by their squared distance, or half of it.
float ComposedIndex::apex(const Prepared& p, std::size_t q) const {
  const bool left_out = reranker_ != nullptr && reranker_->exact();
  const float constant = left_out ? code_constant(p, q, rerank_constant(p, q)) : p.constants[q];
  return settings_.metric == Metric::cosine && !halved_l2_ ? 1 - constant : constant;
}

void ComposedIndex::choose_lists(const SearchSettings& how, const Prepared& p, std::vector<std::vector<ListProbe>>& probes) const {
  const IndexSettings& s = settings_;
  probes.assign(p.count, {});
  if (s.centroids.empty()) {
    for (std::size_t q = 0; q < p.count; ++q) probes[q] = {{0, {0, std::sqrt(p.squares[q]), how.epsilon}}};
    return;
  }
  const std::size_t n = nlist(), wanted = std::min(how.nprobe, n);
  // A few more than wanted, because 4 bits confuse neighbours.
  const std::size_t enough = std::min(n, wanted + wanted / 8 + 4);
  struct Candidate {
    float score, inner;
    std::uint32_t list;
  };
  constexpr std::size_t together = 16;  // queries that pass over a tile of centroids while it is in the nearest cache
  constexpr std::size_t tile = 64;
  std::vector<UniformRows::Query> coded(enough < n ? std::min(together, p.count) : 0);
  std::vector<float> scores(coded.size() * n), kept, inner(n);
  std::vector<std::uint32_t> rows(n);
  std::vector<Candidate> ranked;
  if (enough == n) std::iota(rows.begin(), rows.end(), 0u);
  for (std::size_t q = 0; q < p.count; ++q) {
    std::size_t candidates = n;
    if (enough < n) {
      if (q % together == 0) {
        const std::size_t some = std::min(together, p.count - q);
        for (std::size_t i = 0; i < some; ++i) centroid_coder_->prepare(kernels_, p.scanned() + (q + i) * s.dim, coded[i]);
        for (std::size_t first = 0; first < n; first += tile)
          for (std::size_t i = 0; i < some; ++i)
            centroid_coder_->score(kernels_, coded[i], {}, {centroid_codes_.data(), nullptr}, first,
                                   std::min(tile, n - first), scores.data() + i * n + first);
      }
      candidates = largest_of(kernels_, std::span(scores).subspan(q % together * n, n), enough, rows, kept);
    }
    kernels_.float32_dot(p.scanned() + q * s.dim, s.centroids.data(), s.prefix_dim, rows.data(), candidates, inner.data());
    ranked.resize(candidates);
    for (std::size_t i = 0; i < candidates; ++i) {
      const float own = s.metric == Metric::inner_product ? 0.0f : weight_ / 2 * centroid_norms_[rows[i]];
      const float score = weight_ * inner[i] - own;
      ranked[i] = {std::isnan(score) ? -std::numeric_limits<float>::infinity() : score, inner[i], rows[i]};
    }
    std::ranges::partial_sort(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(wanted),
                              [](const Candidate& a, const Candidate& b) { return a.score != b.score ? a.score > b.score : a.list < b.list; });
    probes[q].reserve(wanted);
    for (std::size_t i = 0; i < wanted; ++i) {
      const Candidate& c = ranked[i];
      const float apart = std::max(0.0f, p.squares[q] - 2 * c.inner + centroid_norms_[c.list]);
      const bool anchored = s.codec.anchored();
      probes[q].push_back({c.list, {anchored ? weight_ * c.inner : 0.0f, std::sqrt(anchored ? apart : p.squares[q]), how.epsilon}});
    }
  }
}

void ComposedIndex::search(const float* queries, std::size_t count, std::size_t k, const SearchSettings& how,
                           std::int64_t* ids, float* distances) const {
  require(k >= 1, "k must be at least 1");
  require(how.nprobe >= 1, "nprobe must be at least 1");
  std::shared_lock lock(mutex_);
  const std::size_t threads = std::max<std::size_t>(1, how.threads);
  std::shared_ptr<const PlaceFilter> filter;
  if (how.filter != nullptr) filter = how.filter->places(version_, lists_->all(), graph_ ? &*graph_ : nullptr);
  if (count == 1 && threads > 1 && !graph_ && (filter == nullptr || !passing_are_few(how, *filter))) {
    search_split(queries, k, how, filter.get(), ids, distances);
    return;
  }
  const std::size_t block = std::min(graph_ ? most_along_graph : most_at_once, (count + threads - 1) / threads);
  const std::size_t blocks = block == 0 ? 0 : (count + block - 1) / block;
  parallel_for(blocks, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * block, size = std::min(block, count - first);
      search_block(queries + first * settings_.dim_in, size, k, how, filter.get(), ids + first * k, distances + first * k);
    }
  });
}

SearchCounts ComposedIndex::counts() const {
  std::shared_lock lock(mutex_);
  SearchCounts found;
  if (on_disk_) {
    const auto [hits, misses, bytes_read] = on_disk_->counts();
    found.cache_hits = hits;
    found.cache_misses = misses;
    found.bytes_read = bytes_read;
  }
  if (!graph_) return found;
  found.hops = hops_.load();
  found.scored = scored_.load();
  found.reranked = reranked_.load();
  constexpr std::size_t some = 64;  // codes: those of some codecs lie in blocks
  const std::size_t code_bytes = (lists_->code_bytes(0, some) + lists_->code_bytes(1, some)) / some;
  found.bytes = found.scored * code_bytes + found.hops * graph_->degree() * sizeof(std::uint32_t);
  if (reranker_ != nullptr) found.bytes += found.reranked * reranker_->code_bytes(0, 1);
  return found;
}

void ComposedIndex::reset_counts() {
  hops_ = scored_ = reranked_ = 0;
  if (on_disk_) on_disk_->reset_counts();
}

std::size_t ComposedIndex::kept(std::size_t k, const SearchSettings& how) const {
  const std::size_t wanted = reranker_ == nullptr ? k : std::max(k, how.rerank_k);
  const std::size_t there = size_ * assignments_;
  return std::max<std::size_t>(1, wanted > there / assignments_ ? there : wanted * assignments_);
}

void ComposedIndex::search_block(const float* queries, std::size_t count, std::size_t k, const SearchSettings& how,
                                 const PlaceFilter* filter, std::int64_t* ids, float* distances) const {
  Borrowed borrowed(*spare_queries_);
  Prepared& prepared = *borrowed;
  prepare(queries, count, prepared);
  std::vector<TopK> best;
  best.reserve(count);
  for (std::size_t q = 0; q < count; ++q) best.emplace_back(kept(k, how));
  find(prepared, k, how, filter, best);
  const std::vector<std::vector<Scored>> found = decide(prepared, best);
  std::size_t reranked = 0;
  for (std::size_t q = 0; q < count; ++q) {
    reranked += found[q].size();
    if (q + 1 < count) ask_for_ids(found[q + 1], k);
    answer(prepared, q, found[q], k, ids + q * k, distances + q * k);
  }
  if (graph_ && reranker_ != nullptr) reranked_.fetch_add(reranked, std::memory_order_relaxed);
}

void ComposedIndex::find(const Prepared& prepared, std::size_t k, const SearchSettings& how, const PlaceFilter* filter,
                         std::span<TopK> best) const {
  if (graph_) {
    WalkTask task{prepared.scanned(), how.ef, how.interleave, how.patience, filter};
    std::vector<float> apexes;
    if (how.slack >= 0) {
      require(settings_.metric != Metric::inner_product, "slack is of distances, and inner products are none");
      require(how.slack <= most_slack, "slack is at most 1000");
      task.slack = {k, (1 + how.slack) * (1 + how.slack)};
      for (std::size_t q = 0; q < prepared.count; ++q) apexes.push_back(apex(prepared, q));
      task.apexes = apexes.data();
    }
    const WalkCounts cost = lists_->walk(kernels_, *graph_, task, best);
    hops_.fetch_add(cost.hops, std::memory_order_relaxed);
    scored_.fetch_add(cost.scored, std::memory_order_relaxed);
    return;
  }
  const bool few = filter != nullptr && passing_are_few(how, *filter);
  SearchSettings wide = how;
  if (few) wide.nprobe = nlist();
  std::vector<std::vector<ListProbe>> probes;
  choose_lists(wide, prepared, probes);
  if (few) {
    lists_->scan_passing(kernels_, {prepared.scanned(), probes, false, {}, filter}, best);
    return;
  }
  const bool shared = best.size() > 1 && how.shared.value_or(lists_->sharing_pays());
  lists_->scan(kernels_, {prepared.scanned(), probes, shared, {}, filter}, best);
}

// Whether fewer codes pass than make it worth while to look into lists: those are scored one by one, and 32 of a list at
// a time.
bool ComposedIndex::passing_are_few(const SearchSettings& how, const PlaceFilter& filter) const {
  constexpr std::size_t scanned_a_single = 4;
  const std::size_t looked_at = size_ * assignments_ / nlist() * std::min(how.nprobe, nlist());
  return filter.count() * scanned_a_single <= looked_at;
}

// Of vectors the near ones in a graph, nearest first.
std::vector<std::vector<std::uint32_t>> ComposedIndex::near_nodes(const Graph& graph, const float* originals,
                                                                  std::size_t count, std::size_t sight,
                                                                  std::size_t threads) const {
  std::vector<std::vector<std::uint32_t>> near(count);
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    Prepared prepared;
    prepare(originals + begin * settings_.dim_in, end - begin, prepared);
    std::vector<TopK> best(end - begin, TopK(sight));
    lists_->walk(kernels_, graph, {prepared.scanned(), sight, SearchSettings{}.interleave}, best);
    for (std::size_t i = 0; i < best.size(); ++i)
      for (const Scored& one : best[i].take()) near[begin + i].push_back(static_cast<std::uint32_t>(place_of(one.id)));
  });
  return near;
}

// The nearest nodes of queries, nearest first, by a scan of all: a walk misses those that most need to be known. None of a
// query that is as far from everything. Blocks are the same whatever the number of threads.
std::vector<std::vector<std::uint32_t>> ComposedIndex::nearest_nodes(const float* queries, std::size_t count,
                                                                     std::size_t k, std::size_t threads) const {
  constexpr std::size_t block = 4;  // queries that share the scan
  const SearchSettings how{.rerank_k = 2 * k};
  std::vector<std::vector<std::uint32_t>> nearest(count);
  parallel_for((count + block - 1) / block, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t first = begin * block; first < std::min(end * block, count); first += block) {
      std::vector<std::vector<ListProbe>> probes;
      Prepared prepared;
      prepare(queries + first * settings_.dim_in, std::min(block, count - first), prepared);
      std::vector<TopK> best(prepared.count, TopK(kept(k, how)));
      choose_lists(how, prepared, probes);
      lists_->scan(kernels_, {prepared.scanned(), probes, lists_->sharing_pays(), {}, nullptr}, best);
      const std::vector<std::vector<Scored>> found = decide(prepared, best);
      for (std::size_t q = 0; q < prepared.count; ++q) {
        if (prepared.zero[q]) continue;
        for (const Scored& one : std::span(found[q]).first(std::min(k, found[q].size())))
          nearest[first + q].push_back(static_cast<std::uint32_t>(place_of(one.id)));
      }
    }
  });
  return nearest;
}

// One query, its lists shared between threads.
void ComposedIndex::search_split(const float* query, std::size_t k, const SearchSettings& how, const PlaceFilter* filter,
                                 std::int64_t* ids, float* distances) const {
  Prepared prepared;
  prepare(query, 1, prepared);
  std::vector<std::vector<ListProbe>> probes;
  choose_lists(how, prepared, probes);
  std::vector<TopK> best(how.threads, TopK(kept(k, how)));
  parallel_for(how.threads, how.threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t t = begin; t < end; ++t)
      lists_->scan(kernels_, {prepared.scanned(), probes, false, {t, how.threads}, filter}, std::span(best).subspan(t, 1));
  });
  TopK all(kept(k, how));
  for (TopK& part : best)
    for (const Scored& one : part.take()) all.push(one.score, one.id);
  answer(prepared, 0, decide(prepared, {&all, 1}).front(), k, ids, distances);
}

// What queries have found, nearest first, with the scores of their finer copies where there are such.
std::vector<std::vector<Scored>> ComposedIndex::decide(Prepared& prepared, std::span<TopK> best) const {
  std::vector<std::vector<Scored>> found;
  found.reserve(best.size());
  for (TopK& one : best) found.push_back(reranker_ == nullptr ? one.take() : one.take_unordered());
  if (reranker_ == nullptr) return found;
  const float* queries = reranker_->centred() ? prepared.without_mean() : prepared.raw;
  if (on_disk_ && on_disk_->has_rerank())
    on_disk_->rescore(kernels_, *reranker_, lists_->all(), queries, settings_.dim_in, found);
  else
    reranker_->rescore(kernels_, queries, lists_->all(), found, prepared.rerank_room);
  return found;
}

// Asks for the ids of the k nearest.
void ComposedIndex::ask_for_ids(std::span<const Scored> found, std::size_t k) const {
  for (const Scored& one : found.first(std::min(k, found.size()))) lists_->all()[list_of(one.id)].ids.prefetch(place_of(one.id));
}

// `found`, nearest first, as ids and distances.
void ComposedIndex::answer(const Prepared& prepared, std::size_t q, std::span<const Scored> found, std::size_t k,
                           std::int64_t* ids, float* distances) const {
  const auto& lists = lists_->all();
  const bool finer = reranker_ != nullptr, exact = finer ? reranker_->exact() : exact_l2_;
  const float constant = (finer ? prepared.rerank_constants : prepared.constants)[q];
  std::size_t filled = 0;
  for (std::size_t i = 0; i < found.size() && filled < k; ++i) {
    const std::int64_t id = lists[list_of(found[i].id)].ids[place_of(found[i].id)];
    if (assignments_ > 1 && std::find(ids, ids + filled, id) != ids + filled) continue;
    ids[filled] = id;
    distances[filled++] = prepared.zero[q] ? 1.0f : distance_of(found[i].score, constant, exact);
  }
  std::fill(ids + filled, ids + k, -1);
  std::fill(distances + filled, distances + k, std::numeric_limits<float>::infinity());
}

float ComposedIndex::distance_of(float score, float constant, bool exact) const {
  switch (settings_.metric) {
    case Metric::euclidean: return std::sqrt(std::max(0.0f, exact ? -score : constant - score));
    case Metric::cosine:
      if (halved_l2_ && reranker_ == nullptr) return std::max(0.0f, (constant - score) / 2);
      return std::max(0.0f, 1 - (score + constant));
    case Metric::inner_product: break;
  }
  return -(score + constant);
}

}  // namespace annbench
