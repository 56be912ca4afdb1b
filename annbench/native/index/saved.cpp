// The composed index as a file. Sections:
//
//   settings     u64 (settings_count): see pack_settings
//   description  text
//   mean, query_map, base_map, centroids, tables, binarizer   f32;   table_bits   u8;   binarizer_shape   u32: only where
//                there are any
//   list_sizes   u64 (nlist)
//   ids          u32 or, where one needs it, i64 (codes), list by list
//   links        u32 (codes, degree), entries u32: of a graph; rows filled up with 2³² − 1
//   codes0, codes1, rerank0, rerank1   u8, list by list, each list filled to whole cache lines as its codec says
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "index/composed.hpp"
#include "index/link_checks.hpp"
#include "index/on_disk.hpp"
#include "index/reranker.hpp"
#include "io/checked_math.hpp"
#include "io/index_file.hpp"
#include "support/require.hpp"

namespace annbench {
namespace {

constexpr std::size_t settings_count = 17;
constexpr std::uint64_t largest_dim = 1 << 20;
constexpr std::uint64_t largest_list = std::uint64_t{1} << 32;
constexpr std::uint64_t most_assignments = 16;
constexpr std::uint64_t longest_description = 1 << 20;

using Packed = std::array<std::uint64_t, settings_count>;

Packed pack_settings(const IndexSettings& s, std::size_t assignments) {
  return {static_cast<std::uint64_t>(s.metric), s.dim_in, s.dim, s.prefix_dim, s.normalise, s.mapped_metric,
          static_cast<std::uint64_t>(s.codec.kind), s.codec.bits, s.codec.second_bits,
          static_cast<std::uint64_t>(s.codec.fit), s.codec.query_bits,
          static_cast<std::uint64_t>(s.codec.rescale) | std::uint64_t{!s.codec.factors} << 1 | std::uint64_t{std::bit_cast<std::uint32_t>(s.codec.parameter)} << 32,
          s.rotation, static_cast<std::uint64_t>(s.rerank), s.rerank_bits, assignments,
          std::bit_cast<std::uint32_t>(s.rerank_scale)};
}

// The settings that numbers of a file stand for; each within what it can be.
IndexSettings unpack_settings(const Packed& p, const IndexFileReader& reader) {
  const auto within = [&](std::size_t i, std::uint64_t least, std::uint64_t most) {
    if (p[i] < least || p[i] > most)
      reader.reject("settings", "value " + std::to_string(i) + " is " + std::to_string(p[i]) + ", not between " +
                                    std::to_string(least) + " and " + std::to_string(most));
    return p[i];
  };
  IndexSettings s;
  s.metric = static_cast<Metric>(within(0, 0, 2));
  s.dim_in = within(1, 1, largest_dim);
  s.dim = within(2, 1, largest_dim);
  s.prefix_dim = within(3, 0, s.dim);
  s.normalise = within(4, 0, 1) == 1;
  s.mapped_metric = within(5, 0, 1) == 1;
  s.codec.kind = static_cast<CodecKind>(within(6, 0, static_cast<std::uint64_t>(CodecKind::level_rows)));
  // Of product codes, bits is the number of groups.
  s.codec.bits = static_cast<std::uint32_t>(within(7, 0, s.codec.kind == CodecKind::product ? s.dim : 32));
  s.codec.second_bits = static_cast<std::uint32_t>(within(8, 0, 32));
  s.codec.fit = static_cast<UniformFit>(within(9, 0, 3));
  s.codec.query_bits = static_cast<std::uint32_t>(within(10, 0, 32));
  const auto number = [&](std::size_t i, std::uint64_t bits) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isfinite(value)) reader.reject("settings", "value " + std::to_string(i) + " holds no finite number");
    return value;
  };
  const auto flags = static_cast<std::uint32_t>(p[11]);
  if (flags > 3) reader.reject("settings", "value 11 has flags that there are not");
  s.codec.rescale = (flags & 1) != 0;
  s.codec.factors = (flags & 2) == 0;
  s.codec.parameter = number(11, p[11] >> 32);
  s.rerank_scale = number(16, p[16]);
  s.rotation = within(12, 0, std::uint64_t{1} << 32);
  s.rerank = static_cast<RerankKind>(within(13, 0, 3));
  s.rerank_bits = static_cast<std::uint32_t>(within(14, 0, 32));
  within(15, 1, most_assignments);
  return s;
}

// A section of floats of a given shape, or nothing where it is missing.
std::vector<float> read_floats(IndexFileReader& reader, const char* name, const Shape* shape) {
  if (!reader.has(name)) return {};
  const Section& section = shape == nullptr ? reader.section(name) : reader.section(name, DType::f32, *shape);
  if (section.dtype != DType::f32) reader.reject(name, "it has no floats");
  std::vector<float> values(section.count());
  reader.read(section, values.data());
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) reader.reject(name, "a value is not finite");
  return values;
}

void add_floats(IndexFileWriter& writer, const char* name, const Shape& shape, const std::vector<float>& values) {
  if (!values.empty()) writer.add(name, DType::f32, shape, values.data());
}

// Lists of both widths are written in the larger one.
void add_ids(IndexFileWriter& writer, const std::vector<CodeList>& lists, std::uint64_t codes) {
  const bool wide = std::ranges::any_of(lists, [](const CodeList& list) { return list.ids.wide(); });
  std::vector<std::vector<std::int64_t>> widened;
  std::vector<Piece> pieces;
  for (const CodeList& list : lists) {
    pieces.push_back({list.ids.data(), list.size() * list.ids.width()});
    if (!wide || list.ids.wide()) continue;
    auto& ids = widened.emplace_back(list.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = list.ids[i];
    pieces.back() = {ids.data(), ids.size() * sizeof(std::int64_t)};
  }
  writer.add("ids", wide ? DType::i64 : DType::u32, {codes}, pieces);
}

Graph with_entries(IndexFileReader& reader, Graph graph) {
  graph.entries = reader.read_vector<std::uint32_t>("entries", graph.size());
  if (graph.entries.empty() && graph.size() > 0) reader.reject("entries", "there are none");
  for (const std::uint32_t entry : graph.entries)
    if (entry >= graph.size()) reader.reject("entries", "node " + std::to_string(entry) + " does not exist");
  std::vector<std::uint32_t> ordered = graph.entries;
  std::ranges::sort(ordered);
  if (const auto twice = std::ranges::adjacent_find(ordered); twice != ordered.end())
    reader.reject("entries", "node " + std::to_string(*twice) + " is there twice");
  return graph;
}

// A graph over `codes` codes: every link and every entry is one of them, and no row goes on after its end.
std::optional<Graph> read_graph(IndexFileReader& reader, std::uint64_t codes, OnDisk* on_disk) {
  if (!reader.has("links")) return {};
  const Section& section = reader.section("links", DType::u32, 2);
  if (section.shape[0] != codes || codes > Graph::max_nodes) reader.reject("links", "there is not a row a code");
  if (section.shape[1] > Graph::max_degree) reader.reject("links", "its rows are longer than a node's links can be");
  if (on_disk != nullptr) return with_entries(reader, on_disk->keep_graph(reader, section, codes));
  Graph graph(codes, section.shape[1]);
  reader.read(section, graph.row(0).data());
  LinkChecks(reader, codes, graph.degree())({reinterpret_cast<const unsigned char*>(graph.row(0).data()), section.bytes});
  return with_entries(reader, std::move(graph));
}

}  // namespace

void ComposedIndex::save(const std::string& path, const std::optional<std::string>& description) {
  require_in_memory();
  const std::lock_guard changing(changing_);
  clear_graph(1);
  std::shared_lock lock(mutex_);
  const IndexSettings& s = settings_;
  IndexFileWriter writer(path);
  const Packed packed = pack_settings(s, assignments_);
  writer.add("settings", std::span<const std::uint64_t>(packed));
  writer.add_text("description", description.value_or(s.description));
  add_floats(writer, "mean", {s.dim_in}, s.mean);
  add_floats(writer, "query_map", {s.dim, s.dim_in}, s.query_map);
  add_floats(writer, "base_map", {s.dim, s.dim_in}, s.base_map);
  if (!s.binarizer_shape.empty()) writer.add("binarizer_shape", std::span<const std::uint32_t>(s.binarizer_shape));
  add_floats(writer, "binarizer", {s.binarizer.size()}, s.binarizer);
  if (!s.centroids.empty()) add_floats(writer, "centroids", {nlist(), s.prefix_dim}, s.centroids);
  add_floats(writer, "tables", {s.codec.tables.size()}, s.codec.tables);
  if (!s.codec.table_bits.empty()) writer.add("table_bits", std::span<const std::uint8_t>(s.codec.table_bits));
  const auto& lists = lists_->all();
  std::vector<std::uint64_t> sizes;
  std::uint64_t codes = 0;
  for (const CodeList& list : lists) {
    sizes.push_back(list.size());
    codes += list.size();
  }
  writer.add("list_sizes", std::span<const std::uint64_t>(sizes));
  add_ids(writer, lists, codes);
  if (graph_) {
    writer.add("links", DType::u32, {graph_->size(), graph_->degree()}, graph_->row(0).data());
    writer.add("entries", std::span<const std::uint32_t>(graph_->entries));
  }
  for (std::size_t part = 0; part < max_parts; ++part) {
    std::vector<Piece> scanned, finer;
    std::uint64_t scanned_bytes = 0, finer_bytes = 0;
    for (const CodeList& list : lists) {
      scanned.push_back({list.codes[part].data(), lists_->code_bytes(part, list.size())});
      finer.push_back({list.rerank[part].data(), reranker_ == nullptr ? 0 : reranker_->code_bytes(part, list.size())});
      scanned_bytes += scanned.back().bytes;
      finer_bytes += finer.back().bytes;
    }
    writer.add("codes" + std::to_string(part), DType::u8, {scanned_bytes}, scanned);
    writer.add("rerank" + std::to_string(part), DType::u8, {finer_bytes}, finer);
  }
  writer.commit();
}

std::vector<std::pair<std::string, std::size_t>> ComposedIndex::disk_nbytes() const {
  return on_disk_ ? on_disk_->nbytes() : std::vector<std::pair<std::string, std::size_t>>();
}

std::unique_ptr<ComposedIndex> ComposedIndex::load(const std::string& path, const KernelTable* kernels,
                                                   const LoadSettings& how) {
  IndexFileReader reader(path);
  Packed packed;
  reader.read(reader.section("settings", DType::u64, Shape{settings_count}), packed.data());
  IndexSettings s = unpack_settings(packed, reader);
  const std::size_t assignments = packed[15];
  s.description = reader.read_text("description", longest_description);
  const Shape mean{s.dim_in}, map{s.dim, s.dim_in};
  s.mean = read_floats(reader, "mean", &mean);
  s.query_map = read_floats(reader, "query_map", &map);
  s.base_map = read_floats(reader, "base_map", &map);
  if (reader.has("binarizer_shape")) {
    s.binarizer_shape = reader.read_vector<std::uint32_t>("binarizer_shape", reader.file_bytes());
    s.binarizer = read_floats(reader, "binarizer", nullptr);
  }
  s.codec.tables = read_floats(reader, "tables", nullptr);
  if (reader.has("table_bits")) s.codec.table_bits = reader.read_vector<std::uint8_t>("table_bits", reader.file_bytes());
  if (reader.has("centroids")) {
    const Section& centroids = reader.section("centroids", DType::f32, 2);
    if (centroids.shape[1] != s.prefix_dim) reader.reject("centroids", "they have another dimension than the settings say");
    s.centroids = read_floats(reader, "centroids", nullptr);
  }
  const std::size_t nlist = s.centroids.empty() ? 1 : s.centroids.size() / s.prefix_dim;

  std::unique_ptr<ComposedIndex> index;
  try {
    index = std::make_unique<ComposedIndex>(std::move(s), kernels);
  } catch (const std::invalid_argument& error) {
    reader.reject("settings", error.what());
  }
  require(!how.rerank_on_disk || index->reranker_ != nullptr, "the index has no rerank that could stay on disk");
  require(!how.links_on_disk || reader.has("links"), "the index has no graph whose links could stay on disk");
  if (how.any_on_disk()) index->on_disk_ = std::make_unique<OnDisk>();
  OnDisk* const rerank_on_disk = how.rerank_on_disk ? index->on_disk_.get() : nullptr;
  const auto sizes = reader.read_vector<std::uint64_t>("list_sizes", nlist);
  if (sizes.size() != nlist) reader.reject("list_sizes", "there are " + std::to_string(sizes.size()) + " for " + std::to_string(nlist) + " lists");
  const std::uint64_t limit = reader.file_bytes();
  std::uint64_t codes = 0;
  for (const std::uint64_t size : sizes) {
    if (size >= largest_list || size > limit / sizeof(std::uint32_t)) reader.reject("list_sizes", "a list has " + std::to_string(size) + " codes");
    codes += size;  // at most 2³² lists of less than 2³² codes
  }
  if (codes % assignments != 0) reader.reject("list_sizes", "the codes are no multiple of the assignments");
  const bool wide = reader.section("ids").dtype != DType::u32;
  const Section& ids = reader.section("ids", wide ? DType::i64 : DType::u32, Shape{codes});
  // Sizes are compared with the file before memory is taken for them.
  std::array<std::uint64_t, max_parts> scanned{}, finer{};
  const Reranker* reranker = index->reranker_.get();
  for (const std::uint64_t size : sizes)
    for (std::size_t part = 0; part < max_parts; ++part) {
      scanned[part] += index->lists_->code_bytes(part, size);
      finer[part] += reranker == nullptr ? 0 : reranker->code_bytes(part, size);
    }
  std::array<const Section*, max_parts> scanned_sections, finer_sections;
  for (std::size_t part = 0; part < max_parts; ++part) {
    scanned_sections[part] = &reader.section("codes" + std::to_string(part), DType::u8, Shape{scanned[part]});
    finer_sections[part] = &reader.section("rerank" + std::to_string(part), DType::u8, Shape{finer[part]});
  }

  auto& lists = index->lists_->all();
  std::vector<MutablePiece> pieces;
  for (std::size_t l = 0; l < nlist; ++l) {
    index->make_room(l, sizes[l], 0);
    if (reranker != nullptr && how.any_on_disk())
      for (std::size_t part = how.rerank_on_disk ? 1 : 0; part < max_parts; ++part)
        lists[l].rerank[part].reserve(reranker->code_bytes(part, sizes[l]));
    lists[l].ids = IdList(sizes[l], wide);
    pieces.push_back({lists[l].ids.data(), sizes[l] * lists[l].ids.width()});
  }
  reader.read(ids, pieces);
  for (CodeList& list : lists) {
    for (std::size_t i = 0; wide && i < list.size(); ++i)
      if (list.ids[i] < 0) reader.reject("ids", "one is negative");
    list.ids.shrink_to_fit();
  }
  for (std::size_t part = 0; part < max_parts; ++part) {
    const auto read = [&](const Section& section, auto bytes_of, auto buffer_of) {
      pieces.clear();
      for (CodeList& list : lists) pieces.push_back({buffer_of(list), bytes_of(list.size())});
      reader.read(section, pieces);
    };
    read(*scanned_sections[part], [&](std::size_t n) { return index->lists_->code_bytes(part, n); },
         [&](CodeList& list) { return list.codes[part].data(); });
    if (part == 0 && rerank_on_disk != nullptr) {
      rerank_on_disk->keep_rerank(reader, *finer_sections[0], *reranker, sizes);
      continue;
    }
    read(*finer_sections[part], [&](std::size_t n) { return reranker == nullptr ? 0 : reranker->code_bytes(part, n); },
         [&](CodeList& list) { return list.rerank[part].data(); });
  }
  index->size_ = codes / assignments;
  index->assignments_ = assignments;
  OnDisk* const links_on_disk = how.links_on_disk ? index->on_disk_.get() : nullptr;
  if (std::optional<Graph> graph = read_graph(reader, codes, links_on_disk)) {
    if (nlist > 1 || !index->settings_.centroids.empty()) reader.reject("links", "a graph has no lists");
    index->graph_ = std::move(*graph);
  }
  reader.require_all_read();
  if (index->on_disk_) index->on_disk_->open(reader, how.cache_bytes);
  return index;
}

}  // namespace annbench
