// The composed index: transform × codec × structure × rerank, each chosen at run time.
//
// A vector x is centred and mapped to v = B(x − μ), coded relative to the centroid of its list, and, if wanted, kept once
// more in a finer form to re-rank with. A query is mapped by A. With ⟨A(q − μ), B(x − μ)⟩ standing for ⟨q − μ, x − μ⟩,
//
//   euclidean   −‖q − x‖² + ‖q − μ‖² = −‖x − μ‖² + 2⟨q − μ, x − μ⟩
//   ip, cosine  ⟨q, x⟩ − ⟨q, μ⟩     = ⟨x − μ, μ⟩ + ⟨q − μ, x − μ⟩
//
// so a code needs one bias a vector, and the scores of one query are its distances but for a constant.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "codecs/uniform_rows.hpp"
#include "index/id_filter.hpp"
#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/graph_updates.hpp"
#include "structures/inverted_lists.hpp"
#include "structures/neighbor_collector.hpp"
#include "support/aligned_buffer.hpp"
#include "support/spares.hpp"
#include "support/write_preferring_mutex.hpp"
#include "transforms/fast_rotation.hpp"
#include "transforms/linear_map.hpp"
#include "transforms/recurrent_binarizer.hpp"

namespace annbench {

enum class CodecKind : std::uint32_t {
  float32 = 0,
  float16 = 1,
  uniform = 2,
  planes = 3,
  two_level = 4,
  staged = 5,
  product = 6,
  va_file = 7,
  signs = 8,
  level_blocks = 9,
  level_rows = 10,
};

enum class RerankKind : std::uint32_t { none = 0, uniform = 1, float16 = 2, float32 = 3 };

// What a codec is made of. `tables` are what was learnt for it: codebooks, cell boundaries, scales; `table_bits` bits per
// dimension. Which of them a kind looks at: see make_lists.cpp.
struct CodecSettings {
  CodecKind kind = CodecKind::uniform;
  std::uint32_t bits = 4;
  std::uint32_t second_bits = 0;  // of the residual, or of the whole code in two stages
  UniformFit fit = UniformFit::rabitq_fast;
  std::uint32_t query_bits = 8;  // of levels: as many as their own for a query of levels, else 8
  bool rescale = true;
  bool factors = true;  // product: whether vectors have a bias and a scale of their own
  float parameter = 1;  // va_file: the share of codes that pass its first stage; float16: its scale
  std::vector<float> tables;
  std::vector<std::uint8_t> table_bits;

  // Whether codes are levels (codecs/levels.hpp): of directions, without anchors.
  bool has_levels() const { return kind == CodecKind::level_blocks || kind == CodecKind::level_rows; }
  bool anchored() const {
    return kind != CodecKind::float32 && kind != CodecKind::float16 && kind != CodecKind::va_file && !has_levels();
  }
};

struct IndexSettings {
  Metric metric = Metric::euclidean;
  std::size_t dim_in = 0;
  std::size_t dim = 0;
  std::vector<float> mean;       // dim_in, or empty for 0
  std::vector<float> query_map;  // dim × dim_in, or empty for the identity
  std::vector<float> base_map;   // only kept for those who add vectors later
  std::uint64_t rotation = 0;    // in place of maps, 1 + the seed of a FastRotation; 0 for none
  std::vector<std::uint32_t> binarizer_shape;  // in place of maps, of a RecurrentBinarizer; empty for none. With a
                                               // query map it is for vectors alone
  std::vector<float> binarizer;                // its values
  bool normalise = false;        // mapped vectors have length 1
  bool mapped_metric = false;    // the metric is that of the mapped vectors, not of the originals
  CodecSettings codec;
  std::vector<float> centroids;  // nlist × prefix_dim, or empty: one list without anchor
  std::size_t prefix_dim = 0;
  RerankKind rerank = RerankKind::none;
  std::uint32_t rerank_bits = 8;
  float rerank_scale = 1;  // float16: a power of two that values are divided by
  std::string description;  // of the caller, kept as it is
};

struct SearchSettings {
  std::size_t nprobe = 1;
  std::size_t rerank_k = 0;  // candidates that are re-ranked; at least k are
  float epsilon = 1.9f;
  std::size_t threads = 1;
  std::optional<bool> shared = {};  // whether queries of a batch share the lists that they probe; empty: where that pays
  std::size_t ef = 64;              // of a graph: how many of the nearest codes are expanded
  std::size_t interleave = 3;       // of a graph: searches of a batch that take turns while memory answers
  std::size_t patience = 0;         // of a graph: hops that bring nothing new among the candidates, after which a search
                                    // ends; 0 for any number
  float slack = -1;                 // of a graph: γ where it ends at what is farther than 1 + γ times the kth nearest so
                                    // far; below 0 for wherever it is. Not for inner products
  const IdFilter* filter = nullptr;  // of what may be found
};

// What searches along a graph have cost: nodes expanded, codes scored, vectors re-ranked, and the bytes of links, codes and
// vectors that this looked at. And of parts on disk: the blocks that were in the cache and that were not, and the bytes
// that were read for these.
struct SearchCounts {
  std::uint64_t hops = 0, scored = 0, reranked = 0, bytes = 0;
  std::uint64_t cache_hits = 0, cache_misses = 0, bytes_read = 0;
};

// Which parts of an index stay in its file, and what memory there is for what was read of them.
struct LoadSettings {
  bool rerank_on_disk = false, links_on_disk = false;
  std::size_t cache_bytes = 0;

  bool any_on_disk() const { return rerank_on_disk || links_on_disk; }
};

class GraphBuilder;
struct GraphSettings;
class HalfVectors;
class Reranker;
class OnDisk;

// Thread-safe: searches run side by side; add, remove, compact and save come one after the other. While vectors are added,
// removed or moved, nothing is searched; of a graph's changes that is the smallest part.
class ComposedIndex {
 public:
  // Throws std::invalid_argument for settings that contradict each other.
  explicit ComposedIndex(IndexSettings settings, const KernelTable* kernels = nullptr);
  ~ComposedIndex();

  const IndexSettings& settings() const { return settings_; }
  std::size_t size() const;
  std::size_t nlist() const;

  // Adds n vectors: originals (n × dim_in; of length 1 for cosine), mapped (n × dim), the `assignments` lists that each
  // goes to (n × assignments), and ids that are not in use and not negative. All finite. Throws std::invalid_argument and
  // adds nothing for a list or an id that cannot be, nor where memory does not suffice (std::bad_alloc).
  // Without `check_ids` the caller vouches for the ids; finding those in use takes memory (see compact).
  //
  // `threads` code the vectors. In a graph new nodes are linked to near ones, found by searches along it: some at a time,
  // between which searches run and find those that are in. From then on it takes 4 bytes a vector more, until compact().
  void add(const float* originals, const float* mapped, const std::uint32_t* lists, std::size_t assignments,
           const std::int64_t* ids, std::size_t n, bool check_ids = true, std::size_t threads = 1);
  // Takes memory for n vectors in all, with ids up to `largest_id`, and nothing to spare: adding up to there copies nothing.
  // Where there are several lists, each grows by itself, and this does nothing. Throws std::invalid_argument, and
  // std::bad_alloc, when it may have taken a part.
  void reserve(std::size_t n, std::int64_t largest_id);
  // A builder of a graph over the codes, of which none may be added or removed until it is made. `order`, `entries`: see
  // there. `halves` are what links are chosen by (dim_in dimensions); without them what is re-ranked with is, or codes where
  // keeps_vectors(). `queries` (n × dim_in, of which there must be some for settings.query_links) stay the caller's
  // until the graph is made; the nearest of each are found among all, as by search(). Throws std::invalid_argument.
  std::unique_ptr<GraphBuilder> graph_builder(const GraphSettings& settings, std::vector<std::uint32_t> order,
                                              std::size_t entries, std::shared_ptr<const HalfVectors> halves,
                                              std::span<const float> queries = {}) const;
  // Whether vectors are there again as they were added, in halves or more.
  bool keeps_vectors() const;
  // From now on searches go along a graph over the codes, whose nodes are places in the one list. Throws
  // std::invalid_argument where there are several lists, or another number of codes.
  void set_graph(Graph graph);
  // How add and remove make links; by default as GraphGrowth says. Throws std::invalid_argument.
  void set_growth(const GraphGrowth& growth);
  // The links of a graph as it is now, degree() to a node; none without one.
  std::vector<std::uint32_t> links() const;
  std::size_t degree() const;
  // Gives back the memory that lists hold in reserve, and what add and remove know ids by; clears a graph of removed
  // vectors. Throws std::bad_alloc, and may then have given back a part.
  void compact(std::size_t threads = 1);
  // Removes vectors by their ids. Throws std::out_of_range naming the first unknown one, and removes nothing.
  //
  // In a graph they stay as a way through, which no search finds, until they are more than a tenth of the nodes: then those
  // that link to them get other links, which takes the links once more and some time, beside which searches run.
  void remove(const std::int64_t* ids, std::size_t n, std::size_t threads = 1);

  // The k nearest of each of `count` queries (count × dim_in): ids and distances, count × k, nearest first, filled up with
  // −1 and infinity. Distances are L2, 1 − cosine, or the negative inner product: estimated, unless re-ranked exactly.
  // Throws std::invalid_argument for nprobe 0 or k 0.
  //
  // With a filter, where so few vectors pass that scoring all of those takes less time than to look where else a search
  // would, that is what happens.
  void search(const float* queries, std::size_t count, std::size_t k, const SearchSettings& how, std::int64_t* ids,
              float* distances) const;
  // Of all searches since the last reset_counts(), which nobody may be searching during.
  SearchCounts counts() const;
  void reset_counts();

  // The caller's ids, in the order in which codes lie; a vector with two assignments is named once.
  std::vector<std::int64_t> ids() const;
  // Bytes by what they are for.
  std::vector<std::pair<std::string, std::size_t>> nbytes() const;

  // Writes the index to a file, replacing it at once or not at all, with a `description` instead of that of the settings
  // where one is given. Clears a graph of removed vectors first. Throws IndexFileError.
  void save(const std::string& path, const std::optional<std::string>& description = {});
  // Throws IndexFileError for a file that is no index or not intact, std::bad_alloc.
  //
  // An index with parts on disk answers as any other; its searches throw IndexFileError where the file cannot be read or
  // was altered. It does not change: add, remove, compact, set_graph and save throw std::invalid_argument; so does load()
  // where the file does not have such a part.
  static std::unique_ptr<ComposedIndex> load(const std::string& path, const KernelTable* kernels = nullptr,
                                             const LoadSettings& how = {});
  // Bytes of the parts that stay in the file; none of most indexes.
  std::vector<std::pair<std::string, std::size_t>> disk_nbytes() const;

 private:
  struct Prepared;
  class Nodes;
  using Place = std::pair<const std::int64_t, std::uint64_t>;

  void check_new(const std::uint32_t* lists, std::size_t assignments, const std::int64_t* ids, std::size_t n,
                 bool check_ids) const;
  void add_codes(const float* originals, const float* mapped, const std::uint32_t* lists, std::size_t assignments,
                 const std::int64_t* ids, std::size_t n, std::size_t threads);
  void add_nodes(const float* originals, const float* mapped, const std::int64_t* ids, std::size_t n, std::size_t threads);
  void add_batch(const float* originals, const float* mapped, const std::int64_t* ids, std::size_t count,
                 std::size_t threads);
  std::vector<std::vector<std::uint32_t>> near_nodes(const Graph& graph, const float* originals, std::size_t count,
                                                     std::size_t sight, std::size_t threads) const;
  std::vector<std::vector<std::uint32_t>> nearest_nodes(const float* queries, std::size_t count, std::size_t k,
                                                        std::size_t threads) const;
  void forget_codes(std::size_t list, std::size_t size) noexcept;
  void need_updates();
  void bury(const std::int64_t* ids, std::size_t n);
  void clear_graph(std::size_t threads);
  void clear_when_due(std::size_t threads);
  bool there(std::size_t place) const { return !graph_ || (place < graph_->size() && graph_->living(place)); }
  void make_room(std::size_t list, std::size_t count, std::int64_t largest_id);
  void take_room(std::size_t list, std::size_t room, std::int64_t largest_id);
  void encode(std::size_t list, const float* originals, const float* mapped, std::span<const std::uint32_t> members,
              std::size_t first);
  void prepare(const float* queries, std::size_t count, Prepared& prepared) const;
  void choose_lists(const SearchSettings& how, const Prepared& prepared, std::vector<std::vector<ListProbe>>& probes) const;
  void search_block(const float* queries, std::size_t count, std::size_t k, const SearchSettings& how,
                    const PlaceFilter* filter, std::int64_t* ids, float* distances) const;
  std::vector<std::vector<Scored>> decide(Prepared& prepared, std::span<TopK> best) const;
  void require_in_memory() const;
  void find(const Prepared& prepared, std::size_t k, const SearchSettings& how, const PlaceFilter* filter,
            std::span<TopK> best) const;
  bool passing_are_few(const SearchSettings& how, const PlaceFilter& filter) const;
  std::unique_lock<WritePreferringMutex> stop_searches();
  void search_split(const float* query, std::size_t k, const SearchSettings& how, const PlaceFilter* filter,
                    std::int64_t* ids, float* distances) const;
  void ask_for_ids(std::span<const Scored> found, std::size_t k) const;
  void answer(const Prepared& prepared, std::size_t q, std::span<const Scored> found, std::size_t k, std::int64_t* ids,
              float* distances) const;
  std::size_t kept(std::size_t k, const SearchSettings& how) const;
  float rerank_constant(const Prepared& p, std::size_t q) const;
  float code_constant(const Prepared& p, std::size_t q, float of_rerank) const;
  float apex(const Prepared& p, std::size_t q) const;
  float distance_of(float score, float constant, bool exact) const;
  void code_centroids();
  void need_places() const;

  IndexSettings settings_;
  const KernelTable& kernels_;
  float weight_;
  bool exact_l2_ = false;  // scores are −‖q − x‖² as they are
  bool by_norms_ = false;  // codes without factors of their own: the norm of what they stand for is part of the score
  bool halved_l2_ = false;  // cosine, by the squared distances between vectors of length 1
  std::optional<FastRotation> rotation_;
  std::optional<LinearMap> query_map_;
  std::optional<RecurrentBinarizer> binarizer_;
  std::vector<float> centroid_norms_;
  std::unique_ptr<Lists> lists_;
  std::optional<Graph> graph_;
  GraphGrowth growth_;
  std::unique_ptr<GraphUpdates> updates_;  // made when first needed
  std::optional<UniformRows> centroid_coder_;
  AlignedBuffer<std::uint8_t> centroid_codes_;
  std::unique_ptr<Reranker> reranker_;
  std::unique_ptr<OnDisk> on_disk_;  // null where all is in memory
  std::unique_ptr<Spares<Prepared>> spare_queries_;
  mutable std::atomic<std::uint64_t> hops_ = 0, scored_ = 0, reranked_ = 0;
  std::size_t size_ = 0;
  std::size_t assignments_ = 1;
  std::uint64_t version_;  // of where vectors lie: another one after each change, and in each index
  mutable std::unordered_multimap<std::int64_t, std::uint64_t> places_;  // id → handles; made when first needed
  mutable bool places_known_ = false;
  std::mutex changing_;  // is taken before the other, by whatever changes the index
  mutable WritePreferringMutex mutex_;
};

// The lists for these settings: the one table of codecs that an index can be made of.
std::unique_ptr<Lists> make_lists(std::size_t count, std::size_t dim, const CodecSettings& codec, float weight,
                                  bool exact_l2, bool by_norms);

}  // namespace annbench
