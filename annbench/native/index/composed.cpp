#include "index/composed.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <stdexcept>
#include <unordered_set>

#include "index/on_disk.hpp"
#include "index/prepared.hpp"
#include "index/reranker.hpp"
#include "support/require.hpp"
#include "support/thread_pool.hpp"
#include "support/wide_dot.hpp"

namespace annbench {
namespace {

constexpr std::size_t max_lists = std::size_t{1} << 24;
constexpr std::size_t encode_rows = 256;  // places of a list that are coded together, from a multiple of it on
std::atomic<std::uint64_t> last_version = 0;  // of any index

// Queries need not be mapped more finely than what they are compared with, where a finer copy decides.
MapNumbers mapped_in(const IndexSettings& s) {
  if (!s.codec.anchored() && !s.codec.has_levels()) return MapNumbers::floats;
  const bool coarse = s.codec.kind == CodecKind::uniform && s.codec.bits <= 4;
  return coarse && s.rerank != RerankKind::none && s.centroids.empty() ? MapNumbers::bytes : MapNumbers::fixed;
}

}  // namespace

ComposedIndex::ComposedIndex(IndexSettings settings, const KernelTable* kernels)
    : settings_(std::move(settings)), kernels_(kernels == nullptr ? active_kernels() : *kernels),
      spare_queries_(std::make_unique<Spares<Prepared>>()), version_(++last_version) {
  const IndexSettings& s = settings_;
  require(s.dim_in >= 1 && s.dim >= 1, "dimensions must be at least 1");
  const bool binarizes = !s.binarizer_shape.empty();
  require(s.dim <= s.dim_in || !s.query_map.empty() || binarizes, "more dimensions than the vectors have need a map");
  require(s.mean.empty() || s.mean.size() == s.dim_in, "the mean must have a value a dimension");
  require(s.query_map.empty() || s.query_map.size() == s.dim * s.dim_in, "the query map must be dim × dim_in");
  require(s.base_map.empty() || s.base_map.size() == s.dim * s.dim_in, "the base map must be dim × dim_in");
  require(!s.query_map.empty() || binarizes || s.dim == s.dim_in, "without a map, dim must be dim_in");
  require(s.rotation == 0 || (s.query_map.empty() && s.base_map.empty()), "a rotation takes the place of maps");
  require(!binarizes || (s.base_map.empty() && s.rotation == 0), "a binarizer takes the place of maps and rotations");
  require(!binarizes || (s.normalise && s.mapped_metric), "a binarizer gives vectors of length 1");
  require(!s.codec.has_levels() || (s.normalise && s.mapped_metric), "levels are of vectors of length 1");
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
  if (binarizes) {
    RecurrentBinarizer binarizer(s.binarizer_shape, s.binarizer);
    require(binarizer.dim_in() == s.dim_in && binarizer.dim() == s.dim, "the binarizer has other dimensions");
    if (s.query_map.empty()) binarizer_.emplace(std::move(binarizer));
  }
  if (s.rotation != 0) rotation_.emplace(s.dim, s.rotation - 1);
  if (!s.query_map.empty()) query_map_.emplace(s.query_map, s.dim_in, s.dim, mapped_in(s));
  if (!s.codec.factors) {
    require(s.codec.kind == CodecKind::product, "only product codes do without factors");
    require(s.centroids.empty(), "codes without factors know of no list's centroid");
    require(s.metric != Metric::inner_product || s.mean.empty(), "codes without factors know of no mean under ip");
    // Of vectors of length 1, what the mean adds follows from the length of what is left: ⟨x − μ, μ⟩ =
    // (1 − ‖μ‖² − ‖x − μ‖²)/2.
    by_norms_ = s.metric == Metric::euclidean || (s.metric == Metric::cosine && !s.mapped_metric);
  }
  lists_ = make_lists(nlist(), s.dim, s.codec, weight_, exact_l2_, by_norms_);
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

// For what changes the index: until the lock goes, nobody searches.
std::unique_lock<WritePreferringMutex> ComposedIndex::stop_searches() {
  std::unique_lock lock(mutex_);
  version_ = ++last_version;
  return lock;
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
                        const std::int64_t* ids, std::size_t n, bool check_ids, std::size_t threads) {
  require_in_memory();
  const std::lock_guard changing(changing_);
  {
    const auto lock = stop_searches();
    check_new(lists, assignments, ids, n, check_ids);
    if (!graph_) {
      add_codes(originals, mapped, lists, assignments, ids, n, threads);
      size_ += n;
      return;
    }
  }
  add_nodes(originals, mapped, ids, n, threads);
}

void ComposedIndex::check_new(const std::uint32_t* lists, std::size_t assignments, const std::int64_t* ids,
                              std::size_t n, bool check_ids) const {
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
}

// At the end of their lists, or not at all.
void ComposedIndex::add_codes(const float* originals, const float* mapped, const std::uint32_t* lists,
                              std::size_t assignments, const std::int64_t* ids, std::size_t n, std::size_t threads) {
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
    // Lists side by side, or the blocks of one: no two threads write to one block of codes.
    parallel_for(nlist(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
      for (std::size_t l = begin; l < end; ++l) {
        const std::size_t first = sizes[l], last = first + members[l].size();
        const std::size_t skipped = first / encode_rows, blocks = (last + encode_rows - 1) / encode_rows - skipped;
        parallel_for(members[l].empty() ? 0 : blocks, nlist() == 1 ? threads : 1, [&](std::size_t from, std::size_t to, std::size_t) {
          for (std::size_t b = skipped + from; b < skipped + to; ++b) {
            const std::size_t start = std::max(first, b * encode_rows), stop = std::min(last, (b + 1) * encode_rows);
            encode(l, originals, mapped, std::span(members[l]).subspan(start - first, stop - start), start);
          }
        });
      }
    });
    for (std::size_t l = 0; l < nlist(); ++l)
      for (const std::uint32_t i : members[l]) {
        CodeList& list = lists_->all()[l];
        if (places_known_) places_.emplace(ids[i], handle_of(l, list.size()));
        list.ids.push_back(ids[i]);
      }
  } catch (...) {
    for (std::size_t l = 0; l < nlist(); ++l) forget_codes(l, sizes[l]);
    throw;
  }
}

// Takes the codes of a list from `size` on back.
void ComposedIndex::forget_codes(std::size_t list, std::size_t size) noexcept {
  lists_->all()[list].ids.truncate(size);
  places_.clear();
  places_known_ = false;
}

// The first vectors of a list take no more than they need; one that is added to grows by half.
void ComposedIndex::make_room(std::size_t l, std::size_t count, std::int64_t largest_id) {
  const CodeList& list = lists_->all()[l];
  const std::size_t needed = list.size() + count;
  if (count == 0) return;
  const bool grows = needed > list.room && list.size() > 0;
  take_room(l, std::max({needed, list.room, grows ? list.size() + list.size() / 2 : 0}), largest_id);
}

void ComposedIndex::take_room(std::size_t l, std::size_t room, std::int64_t largest_id) {
  CodeList& list = lists_->all()[l];
  if (room > list.room) {
    lists_->reserve_codes(l, room);
    if (reranker_ && !on_disk_) reranker_->reserve_codes(list, room);
  }
  list.ids.reserve(room, largest_id);
  list.room = room;
}

void ComposedIndex::reserve(std::size_t n, std::int64_t largest_id) {
  require_in_memory();
  require(n < std::size_t{1} << 32, "a list has at most 2^32 codes");
  const std::lock_guard changing(changing_);
  const auto lock = stop_searches();
  if (nlist() > 1 || n <= lists_->all().front().room) return;
  take_room(0, n, largest_id);
  if (graph_) graph_->prepare(n, false);
}

// At most encode_rows vectors into places first … of a list.
void ComposedIndex::encode(std::size_t l, const float* originals, const float* mapped,
                           std::span<const std::uint32_t> members, std::size_t first) {
  const IndexSettings& s = settings_;
  CodeList& list = lists_->all()[l];
  const bool anchored = !s.centroids.empty() && s.codec.anchored(), l2 = s.metric == Metric::euclidean;
  const bool raw = reranker_ != nullptr && !reranker_->centred();
  const std::size_t block = members.size();
  std::vector<float> vectors(block * s.dim), finer(block * s.dim_in), bias(block), finer_bias(block);
  std::vector<float> anchor(s.dim);
  if (anchored) std::copy_n(s.centroids.data() + l * s.prefix_dim, s.prefix_dim, anchor.begin());
  for (std::size_t i = 0; i < block; ++i) {
    const std::size_t row = members[i];
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
  lists_->encode(l, vectors.data(), bias.data(), anchored ? anchor.data() : nullptr, block, first);
  if (reranker_) reranker_->encode(list, finer.data(), finer_bias.data(), block, first);
}

void ComposedIndex::require_in_memory() const {
  require(on_disk_ == nullptr, "an index with parts on disk does not change: load it into memory");
}

void ComposedIndex::compact(std::size_t threads) {
  require_in_memory();
  const std::lock_guard changing(changing_);
  clear_graph(threads);
  const auto lock = stop_searches();
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
  if (graph_) graph_->shrink();
  lists_->forget_walks();
  spare_queries_->clear();
  updates_.reset();
  places_ = {};
  places_known_ = false;
}

void ComposedIndex::need_places() const {
  if (places_known_) return;
  places_.clear();  // of what was known when memory ran out
  places_.reserve(size_ * assignments_);
  for (std::size_t l = 0; l < lists_->all().size(); ++l) {
    const IdList& ids = lists_->all()[l].ids;
    for (std::size_t place = 0; place < ids.size(); ++place)
      if (there(place)) places_.emplace(ids[place], handle_of(l, place));
  }
  places_known_ = true;
}

void ComposedIndex::remove(const std::int64_t* ids, std::size_t n, std::size_t threads) {
  require_in_memory();
  const std::lock_guard changing(changing_);
  auto lock = stop_searches();
  need_places();
  std::unordered_set<std::int64_t> given;
  for (std::size_t i = 0; i < n; ++i)
    if (!places_.contains(ids[i]) || !given.insert(ids[i]).second)
      throw std::out_of_range("there is no vector with id " + std::to_string(ids[i]) +
                              (given.contains(ids[i]) ? " any more: it is named twice" : ""));
  if (graph_) {
    bury(ids, n);
    lock.unlock();
    clear_when_due(threads);
    return;
  }
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

std::vector<std::int64_t> ComposedIndex::ids() const {
  std::shared_lock lock(mutex_);
  std::vector<std::int64_t> all;
  all.reserve(size_ * assignments_);
  for (const CodeList& list : lists_->all())
    for (std::size_t i = 0; i < list.size(); ++i)
      if (there(i)) all.push_back(list.ids[i]);
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
  const std::size_t maps = (s.mean.size() + s.query_map.size() + s.base_map.size()) * sizeof(float) +
                           (query_map_ ? query_map_->nbytes() : 0) + (rotation_ ? rotation_->nbytes() : 0) +
                           s.binarizer.size() * sizeof(float) + (binarizer_ ? binarizer_->nbytes() : 0);
  return {{"codes", codes},
          {"fine codes", second},
          {"rerank", rerank},
          {"ids", ids},
          {"lists", lists},
          {"graph", (graph_ ? graph_->nbytes() : 0) + (updates_ ? updates_->nbytes() : 0)},
          {"centroids", centroids},
          {"maps", maps},
          {"tables", s.codec.tables.size() * sizeof(float) + s.codec.table_bits.size() + s.description.size()},
          {"cache", on_disk_ ? on_disk_->cache_bytes() : 0},
          {"checksums", on_disk_ ? on_disk_->table_bytes() : 0}};
}

}  // namespace annbench
