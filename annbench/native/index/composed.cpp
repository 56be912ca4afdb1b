#include "index/composed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <span>
#include <stdexcept>
#include <unordered_set>

#include "index/reranker.hpp"
#include "support/thread_pool.hpp"
#include "support/wide_dot.hpp"

namespace annbench {
namespace {

constexpr std::size_t max_lists = std::size_t{1} << 24;
constexpr std::size_t most_at_once = 1024;  // queries of a batch that are prepared together
constexpr std::size_t encode_rows = 256;    // vectors of a list that are coded together

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

float dot(const float* a, const float* b, std::size_t n) { return static_cast<float>(wide_dot(a, b, n)); }

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

// Queries as the index uses them, row by row.
struct ComposedIndex::Prepared {
  explicit Prepared(std::size_t queries) : count(queries) {}

  std::size_t count;
  std::vector<float> raw;      // count × dim_in, of length 1 for cosine
  std::vector<float> centred;  // the same less the mean; empty where there is none
  std::vector<float> mapped;   // count × dim; empty where that is what `centred` or `raw` is
  std::vector<float> squares;  // of what is scanned with
  std::vector<float> constants, rerank_constants;
  std::vector<bool> zero;      // with cosine: at distance 1 from everything

  const float* without_mean() const { return centred.empty() ? raw.data() : centred.data(); }
  const float* scanned() const { return mapped.empty() ? without_mean() : mapped.data(); }
};

ComposedIndex::ComposedIndex(IndexSettings settings, const KernelTable* kernels)
    : settings_(std::move(settings)), kernels_(kernels == nullptr ? active_kernels() : *kernels) {
  const IndexSettings& s = settings_;
  require(s.dim_in >= 1 && s.dim >= 1, "dimensions must be at least 1");
  require(s.dim <= s.dim_in || !s.query_map.empty(), "more dimensions than the vectors have need a map");
  require(s.mean.empty() || s.mean.size() == s.dim_in, "the mean must have a value a dimension");
  require(s.query_map.empty() || s.query_map.size() == s.dim * s.dim_in, "the query map must be dim × dim_in");
  require(s.base_map.empty() || s.base_map.size() == s.dim * s.dim_in, "the base map must be dim × dim_in");
  require(!s.query_map.empty() || s.dim == s.dim_in, "without a map, dim must be dim_in");
  require(s.rotation == 0 || (s.query_map.empty() && s.base_map.empty()), "a rotation takes the place of maps");
  require(s.centroids.empty() || (s.prefix_dim >= 1 && s.prefix_dim <= s.dim && s.centroids.size() % s.prefix_dim == 0),
          "centroids must have between 1 and dim dimensions");
  require(s.rerank != RerankKind::uniform || s.rerank_bits == 4 || s.rerank_bits == 8,
          "vectors are re-ranked with 4 or 8 bits");
  require(nlist() <= max_lists, "too many lists");
  halved_l2_ = s.metric == Metric::cosine && s.codec.kind == CodecKind::va_file;
  weight_ = s.metric == Metric::euclidean || halved_l2_ ? 2.0f : 1.0f;
  const bool floats = s.codec.kind == CodecKind::float32 || s.codec.kind == CodecKind::float16;
  const bool as_given = s.mean.empty() && s.query_map.empty() && s.rotation == 0 && !s.normalise;
  exact_l2_ = floats && s.metric == Metric::euclidean && as_given;
  if (s.rotation != 0) rotation_.emplace(s.dim, s.rotation - 1);
  if (!s.query_map.empty()) pack_query_map();
  lists_ = make_lists(nlist(), s.dim, s.codec, weight_, exact_l2_);
  reranker_ = make_reranker(s, s.metric == Metric::euclidean ? 2.0f : 1.0f);
  if (!s.centroids.empty()) code_centroids();
}

ComposedIndex::~ComposedIndex() = default;

std::size_t ComposedIndex::nlist() const {
  return settings_.centroids.empty() ? 1 : settings_.centroids.size() / settings_.prefix_dim;
}

std::size_t ComposedIndex::size() const {
  std::shared_lock lock(mutex_);
  return size_;
}

// A map in halves is read in half the time; its rounding, 2⁻¹² of a weight, is far below what a code of 8 bits loses.
void ComposedIndex::pack_query_map() {
  const IndexSettings& s = settings_;
  const std::size_t size = packed_projection_size(s.dim_in, s.dim);
  bool halves = s.codec.anchored();
  for (std::size_t i = 0; halves && i < s.dim; ++i) {
    const float length = std::sqrt(dot(s.query_map.data() + i * s.dim_in, s.query_map.data() + i * s.dim_in, s.dim_in));
    halves = length > 0.01f && length < 100;  // beyond, weights leave the range in which halves are that exact
  }
  if (halves) {
    half_query_map_ = AlignedBuffer<std::uint16_t>(size);
    pack_projection(s.query_map.data(), s.dim_in, s.dim, half_query_map_.data());
  } else {
    packed_query_map_ = AlignedBuffer<float>(size);
    pack_projection(s.query_map.data(), s.dim_in, s.dim, packed_query_map_.data());
  }
}

// Centroids are looked through by 4-bit codes, and the best of them again as they are.
void ComposedIndex::code_centroids() {
  const std::size_t dim = settings_.prefix_dim, n = nlist();
  centroid_norms_.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float* c = settings_.centroids.data() + i * dim;
    centroid_norms_[i] = dot(c, c, dim);
  }
  std::vector<float> bias(n, 0.0f);
  if (settings_.metric != Metric::inner_product)
    for (std::size_t i = 0; i < n; ++i) bias[i] = -weight_ / 2 * centroid_norms_[i];
  centroid_coder_.emplace(dim, 4, UniformFit::rabitq_fast, weight_);
  centroid_codes_ = AlignedBuffer<std::uint8_t>(centroid_coder_->bytes(0, n));
  centroid_coder_->encode(settings_.centroids.data(), bias.data(), nullptr, n, {centroid_codes_.data(), nullptr}, 0);
}

void ComposedIndex::add(const float* originals, const float* mapped, const std::uint32_t* lists, std::size_t assignments,
                        const std::int64_t* ids, std::size_t n, bool check_ids) {
  std::unique_lock lock(mutex_);
  require(assignments >= 1 && assignments <= nlist(), "a vector belongs to 1 to nlist lists");
  require(size_ == 0 || assignments == assignments_, "vectors already added have another number of assignments");
  if (check_ids && size_ > 0) need_places();
  std::unordered_set<std::int64_t> given;
  if (check_ids) given.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    require(ids[i] >= 0, "ids must not be negative");
    if (check_ids && (!given.insert(ids[i]).second || (size_ > 0 && places_.contains(ids[i]))))
      throw std::invalid_argument("id " + std::to_string(ids[i]) + " is already in use");
    for (std::size_t a = 0; a < assignments; ++a) {
      require(lists[i * assignments + a] < nlist(), "there is no such list");
      for (std::size_t b = 0; b < a; ++b)
        require(lists[i * assignments + a] != lists[i * assignments + b], "a vector is assigned twice to one list");
    }
  }
  assignments_ = assignments;

  std::vector<std::vector<std::uint32_t>> members(nlist());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t a = 0; a < assignments; ++a)
      members[lists[i * assignments + a]].push_back(static_cast<std::uint32_t>(i));

  std::vector<std::size_t> sizes(nlist());
  for (std::size_t l = 0; l < nlist(); ++l) sizes[l] = lists_->all()[l].size();
  try {
    // All memory first, so that what fails fails before anything is coded.
    for (std::size_t l = 0; l < nlist(); ++l) {
      std::int64_t largest = 0;
      for (const std::uint32_t i : members[l]) largest = std::max(largest, ids[i]);
      make_room(l, members[l].size(), largest);
    }
    for (std::size_t l = 0; l < nlist(); ++l) append(l, originals, mapped, members[l], ids);
  } catch (...) {
    for (std::size_t l = 0; l < nlist(); ++l) lists_->all()[l].ids.truncate(sizes[l]);
    places_.clear();
    places_known_ = false;
    throw;
  }
  size_ += n;
}

// The first vectors of a list take no more than they need; one that is added to grows by half.
void ComposedIndex::make_room(std::size_t l, std::size_t count, std::int64_t largest_id) {
  CodeList& list = lists_->all()[l];
  const std::size_t needed = list.size() + count;
  if (count == 0) return;
  std::size_t room = list.room;
  if (needed > room) {
    room = list.size() == 0 ? needed : std::max(needed, list.size() + list.size() / 2);
    lists_->reserve_codes(l, room);
    if (reranker_) reranker_->reserve_codes(list, room);
  }
  list.ids.reserve(room, largest_id);
  list.room = room;
}

void ComposedIndex::append(std::size_t l, const float* originals, const float* mapped,
                           const std::vector<std::uint32_t>& members, const std::int64_t* ids) {
  if (members.empty()) return;
  const IndexSettings& s = settings_;
  CodeList& list = lists_->all()[l];
  const bool anchored = !s.centroids.empty() && s.codec.anchored(), l2 = s.metric == Metric::euclidean;
  const bool raw = reranker_ != nullptr && !reranker_->centred();
  const std::size_t at_once = std::min(encode_rows, members.size());
  std::vector<float> vectors(at_once * s.dim), finer(at_once * s.dim_in), bias(at_once), finer_bias(at_once);
  std::vector<float> anchor(s.dim);
  if (anchored) std::copy_n(s.centroids.data() + l * s.prefix_dim, s.prefix_dim, anchor.begin());
  for (std::size_t first = 0; first < members.size(); first += at_once) {
    const std::size_t block = std::min(at_once, members.size() - first);
    for (std::size_t i = 0; i < block; ++i) {
      const std::size_t row = members[first + i];
      const float *x = originals + row * s.dim_in, *v = mapped + row * s.dim;
      double squares = 0, with_mean = 0, mapped_squares = 0;
      for (std::size_t j = 0; j < s.dim_in; ++j) {
        const float mean = s.mean.empty() ? 0.0f : s.mean[j], centred = x[j] - mean;
        squares += static_cast<double>(centred) * centred;
        with_mean += static_cast<double>(centred) * mean;
        finer[i * s.dim_in + j] = raw ? x[j] : centred;
      }
      for (std::size_t j = 0; j < s.dim; ++j) {
        mapped_squares += static_cast<double>(v[j]) * v[j];
        vectors[i * s.dim + j] = v[j] - anchor[j];
      }
      const auto own = static_cast<float>(l2 ? -squares : with_mean);
      bias[i] = !s.mapped_metric ? own : l2 ? static_cast<float>(-mapped_squares) : 0.0f;
      finer_bias[i] = raw ? 0.0f : own;
    }
    lists_->encode(l, vectors.data(), bias.data(), anchored ? anchor.data() : nullptr, block);
    if (reranker_) reranker_->encode(list, finer.data(), finer_bias.data(), block);
    for (std::size_t i = 0; i < block; ++i) {
      if (places_known_) places_.emplace(ids[members[first + i]], handle_of(l, list.size()));
      list.ids.push_back(ids[members[first + i]]);
    }
  }
}

void ComposedIndex::compact() {
  std::unique_lock lock(mutex_);
  for (std::size_t l = 0; l < nlist(); ++l) {
    CodeList& list = lists_->all()[l];
    const bool spare = list.room != list.size();
    list.room = list.size();  // first, so that no code is put where memory was given back before it ran out
    list.ids.shrink_to_fit();
    if (!spare) continue;
    for (std::size_t part = 0; part < max_parts; ++part) {
      list.codes[part].shrink(lists_->code_bytes(part, list.size()));
      if (reranker_) list.rerank[part].shrink(reranker_->code_bytes(part, list.size()));
    }
  }
  places_ = {};
  places_known_ = false;
}

void ComposedIndex::need_places() const {
  if (places_known_) return;
  places_.clear();  // of what was known when memory ran out
  places_.reserve(size_ * assignments_);
  for (std::size_t l = 0; l < lists_->all().size(); ++l) {
    const IdList& ids = lists_->all()[l].ids;
    for (std::size_t place = 0; place < ids.size(); ++place) places_.emplace(ids[place], handle_of(l, place));
  }
  places_known_ = true;
}

void ComposedIndex::remove(const std::int64_t* ids, std::size_t n) {
  std::unique_lock lock(mutex_);
  need_places();
  std::unordered_set<std::int64_t> given;
  for (std::size_t i = 0; i < n; ++i)
    if (!places_.contains(ids[i]) || !given.insert(ids[i]).second)
      throw std::out_of_range("there is no vector with id " + std::to_string(ids[i]) +
                              (given.contains(ids[i]) ? " any more: it is named twice" : ""));
  for (std::size_t i = 0; i < n; ++i) {
    for (auto found = places_.find(ids[i]); found != places_.end(); found = places_.find(ids[i])) {
      const std::size_t l = list_of(found->second), place = place_of(found->second);
      places_.erase(found);
      CodeList& list = lists_->all()[l];
      const std::size_t last = list.size() - 1;
      if (place != last) {
        lists_->move(l, last, place);
        if (reranker_) reranker_->move(list, last, place);
        list.ids.move(last, place);
        const auto [begin, end] = places_.equal_range(list.ids[last]);
        for (auto moved = begin; moved != end; ++moved)
          if (moved->second == handle_of(l, last)) moved->second = handle_of(l, place);
      }
      list.ids.pop_back();
    }
  }
  size_ -= std::min(size_, n);  // an altered file may hold an id fewer times than it has assignments
}

void ComposedIndex::prepare(const float* queries, Prepared& p) const {
  const IndexSettings& s = settings_;
  const std::size_t n = p.count;
  p.raw.assign(queries, queries + n * s.dim_in);
  p.zero.assign(n, false);
  if (s.metric == Metric::cosine) {
    for (std::size_t q = 0; q < n; ++q) {
      float* x = p.raw.data() + q * s.dim_in;
      const double squares = wide_dot(x, x, s.dim_in);
      p.zero[q] = squares == 0;
      const double inverse = squares == 0 ? 0 : 1 / std::sqrt(squares);
      for (std::size_t j = 0; j < s.dim_in; ++j) x[j] = static_cast<float>(x[j] * inverse);
    }
  }
  if (!s.mean.empty()) {
    p.centred.resize(n * s.dim_in);
    for (std::size_t q = 0; q < n; ++q)
      for (std::size_t j = 0; j < s.dim_in; ++j) p.centred[q * s.dim_in + j] = p.raw[q * s.dim_in + j] - s.mean[j];
  }
  if (rotation_) {
    p.mapped.assign(p.without_mean(), p.without_mean() + n * s.dim);
    for (std::size_t q = 0; q < n; ++q) rotation_->rotate(kernels_, p.mapped.data() + q * s.dim);
  } else if (!s.query_map.empty()) {
    p.mapped.resize(n * s.dim);
    if (half_query_map_.size() > 0)
      kernels_.half_projection(half_query_map_.data(), s.dim_in, s.dim, p.without_mean(), n, p.mapped.data());
    else
      kernels_.projection(packed_query_map_.data(), s.dim_in, s.dim, p.without_mean(), n, p.mapped.data());
  } else if (s.normalise) {
    p.mapped.assign(p.without_mean(), p.without_mean() + n * s.dim);
  }
  if (s.normalise) {
    for (std::size_t q = 0; q < n; ++q) {
      float* v = p.mapped.data() + q * s.dim;
      const float length = std::sqrt(dot(v, v, s.dim));
      for (std::size_t j = 0; length > 0 && j < s.dim; ++j) v[j] /= length;
    }
  }
  for (std::size_t q = 0; q < n; ++q)
    require(std::isfinite(dot(p.raw.data() + q * s.dim_in, p.raw.data() + q * s.dim_in, s.dim_in)),
            "a query has values that are NaN, infinite, or so large that distances are");
  p.squares.resize(n);
  p.constants.resize(n);
  p.rerank_constants.resize(n);
  for (std::size_t q = 0; q < n; ++q) {
    const float* scanned = p.scanned() + q * s.dim;
    const float* centred = p.without_mean() + q * s.dim_in;
    p.squares[q] = dot(scanned, scanned, s.dim);
    require(std::isfinite(p.squares[q]), "a query is mapped beyond float32");
    float constant = 0;
    if (s.metric == Metric::euclidean)
      constant = dot(centred, centred, s.dim_in);
    else if (!s.mean.empty())
      constant = dot(p.raw.data() + q * s.dim_in, s.mean.data(), s.dim_in);
    p.constants[q] = s.mapped_metric ? (s.metric == Metric::euclidean ? p.squares[q] : 0) : constant;
    if (exact_l2_) p.constants[q] = 0;
    if (halved_l2_) p.constants[q] = p.squares[q];
    p.rerank_constants[q] = reranker_ != nullptr && reranker_->exact() ? 0 : constant;
  }
}

void ComposedIndex::choose_lists(const SearchSettings& how, Prepared& p, std::vector<std::vector<ListProbe>>& probes) const {
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
        for (std::size_t i = 0; i < some; ++i) centroid_coder_->prepare(p.scanned() + (q + i) * s.dim, coded[i]);
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
  if (count == 1 && threads > 1) {
    search_split(queries, k, how, ids, distances);
    return;
  }
  const std::size_t block = std::min(most_at_once, (count + threads - 1) / threads);
  const std::size_t blocks = block == 0 ? 0 : (count + block - 1) / block;
  parallel_for(blocks, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * block, size = std::min(block, count - first);
      search_block(queries + first * settings_.dim_in, size, k, how, ids + first * k, distances + first * k);
    }
  });
}

std::size_t ComposedIndex::kept(std::size_t k, const SearchSettings& how) const {
  const std::size_t wanted = reranker_ == nullptr ? k : std::max(k, how.rerank_k);
  const std::size_t there = size_ * assignments_;
  return std::max<std::size_t>(1, wanted > there / assignments_ ? there : wanted * assignments_);
}

void ComposedIndex::search_block(const float* queries, std::size_t count, std::size_t k, const SearchSettings& how,
                                 std::int64_t* ids, float* distances) const {
  Prepared prepared(count);
  prepare(queries, prepared);
  std::vector<std::vector<ListProbe>> probes;
  choose_lists(how, prepared, probes);
  std::vector<TopK> best(count, TopK(kept(k, how)));
  lists_->scan(kernels_, {prepared.scanned(), probes, count > 1 && how.shared.value_or(lists_->sharing_pays()), {}}, best);
  for (std::size_t q = 0; q < count; ++q) answer(prepared, q, best[q].take(), k, ids + q * k, distances + q * k);
}

// One query, its lists shared between threads.
void ComposedIndex::search_split(const float* query, std::size_t k, const SearchSettings& how, std::int64_t* ids,
                                 float* distances) const {
  Prepared prepared(1);
  prepare(query, prepared);
  std::vector<std::vector<ListProbe>> probes;
  choose_lists(how, prepared, probes);
  std::vector<TopK> best(how.threads, TopK(kept(k, how)));
  parallel_for(how.threads, how.threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t t = begin; t < end; ++t)
      lists_->scan(kernels_, {prepared.scanned(), probes, false, {t, how.threads}}, std::span(best).subspan(t, 1));
  });
  TopK all(kept(k, how));
  for (TopK& part : best)
    for (const Scored& one : part.take()) all.push(one.score, one.id);
  answer(prepared, 0, all.take(), k, ids, distances);
}

// `found` as ids and distances; re-ranked where there is something to do it with.
void ComposedIndex::answer(const Prepared& prepared, std::size_t q, std::vector<Scored> found, std::size_t k,
                           std::int64_t* ids, float* distances) const {
  const auto& lists = lists_->all();
  if (reranker_ != nullptr) {
    const float* query = (reranker_->centred() ? prepared.without_mean() : prepared.raw.data()) + q * settings_.dim_in;
    reranker_->rescore(kernels_, query, lists, found);
  }
  const bool exact = reranker_ != nullptr ? reranker_->exact() : exact_l2_;
  const float constant = (reranker_ != nullptr ? prepared.rerank_constants : prepared.constants)[q];
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

std::vector<std::int64_t> ComposedIndex::ids() const {
  std::shared_lock lock(mutex_);
  std::vector<std::int64_t> all;
  all.reserve(size_ * assignments_);
  for (const CodeList& list : lists_->all())
    for (std::size_t i = 0; i < list.size(); ++i) all.push_back(list.ids[i]);
  if (assignments_ > 1) {
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  return all;
}

std::vector<std::pair<std::string, std::size_t>> ComposedIndex::nbytes() const {
  std::shared_lock lock(mutex_);
  const IndexSettings& s = settings_;
  std::size_t codes = 0, second = 0, rerank = 0, ids = 0, lists = 0;
  for (const CodeList& list : lists_->all()) {
    codes += list.codes[0].size();
    second += list.codes[1].size();
    rerank += list.rerank[0].size() + list.rerank[1].size();
    ids += list.ids.bytes();
    lists += sizeof(CodeList);
  }
  if (places_known_) ids += places_.size() * (sizeof(Place) + 2 * sizeof(void*)) + places_.bucket_count() * sizeof(void*);
  std::size_t centroids = (s.centroids.size() + centroid_norms_.size()) * sizeof(float);
  centroids += centroid_codes_.size();
  const std::size_t maps = (s.mean.size() + s.query_map.size() + s.base_map.size() + packed_query_map_.size()) * sizeof(float) +
                           half_query_map_.size() * sizeof(std::uint16_t) + (rotation_ ? rotation_->nbytes() : 0);
  return {{"codes", codes},
          {"fine codes", second},
          {"rerank", rerank},
          {"ids", ids},
          {"lists", lists},
          {"centroids", centroids},
          {"maps", maps},
          {"tables", s.codec.tables.size() * sizeof(float) + s.codec.table_bits.size() + s.description.size()}};
}

}  // namespace annbench
