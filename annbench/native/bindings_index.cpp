// The Python face of the composed index.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "codecs/float_rows.hpp"
#include "index/composed.hpp"
#include "io/index_file.hpp"
#include "numpy_arrays.hpp"
#include "structures/graph_builder.hpp"
#include "support/prefetch.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace annbench {
namespace {

template <class E>
E named(std::string_view what, std::string_view name, std::initializer_list<std::pair<std::string_view, E>> names) {
  for (const auto& [candidate, value] : names)
    if (candidate == name) return value;
  throw std::invalid_argument(std::string(what) + " cannot be '" + std::string(name) + "'");
}

CodecKind codec_named(std::string_view name) {
  return named<CodecKind>("codec", name,
                          {{"float32", CodecKind::float32}, {"float16", CodecKind::float16},
                           {"uniform", CodecKind::uniform}, {"planes", CodecKind::planes},
                           {"two-level", CodecKind::two_level}, {"staged", CodecKind::staged},
                           {"signs", CodecKind::signs},
                           {"product", CodecKind::product}, {"va-file", CodecKind::va_file},
                           {"level-blocks", CodecKind::level_blocks}, {"level-rows", CodecKind::level_rows}});
}

UniformFit fit_named(std::string_view name) {
  return named<UniformFit>("fit", name,
                           {{"min-max", UniformFit::min_max}, {"rabitq", UniformFit::rabitq},
                            {"rabitq-fast", UniformFit::rabitq_fast}, {"osq", UniformFit::osq}});
}

RerankKind rerank_named(std::string_view name) {
  return named<RerankKind>("rerank", name,
                           {{"none", RerankKind::none}, {"uniform", RerankKind::uniform},
                            {"float16", RerankKind::float16}, {"float32", RerankKind::float32}});
}

template <class Array>
auto values_of(const std::optional<Array>& array) {
  using T = std::remove_const_t<typename Array::Scalar>;
  return array ? std::vector<T>(array->data(), array->data() + array->size()) : std::vector<T>();
}

using OptionalMatrix = std::optional<Matrix<const float>>;
using OptionalVector = std::optional<Vector<const float>>;

void construct(ComposedIndex* self, std::string_view metric, std::size_t dim_in, std::size_t dim, OptionalVector mean,
               OptionalMatrix query_map, OptionalMatrix base_map, std::optional<std::uint32_t> rotation,
               std::optional<Vector<const std::uint32_t>> binarizer_shape, OptionalVector binarizer, bool normalise,
               bool mapped_metric, std::string_view codec, std::uint32_t bits, std::uint32_t second_bits,
               std::string_view fit, std::uint32_t query_bits, bool rescale, bool factors, float parameter, OptionalVector tables,
               std::optional<Vector<const std::uint8_t>> table_bits, OptionalMatrix centroids, std::string_view rerank,
               std::uint32_t rerank_bits, float rerank_scale, std::string description, std::optional<std::string_view> isa) {
  for (const OptionalMatrix& map : {query_map, base_map})
    require(!map || (map->shape(0) == dim && map->shape(1) == dim_in), "maps must be dim × dim_in");
  IndexSettings s;
  s.metric = metric_named(metric);
  s.dim_in = dim_in;
  s.dim = dim;
  s.mean = values_of(mean);
  s.query_map = values_of(query_map);
  s.base_map = values_of(base_map);
  s.rotation = rotation ? std::uint64_t{*rotation} + 1 : 0;
  s.binarizer_shape = values_of(binarizer_shape);
  s.binarizer = values_of(binarizer);
  s.normalise = normalise;
  s.mapped_metric = mapped_metric;
  s.codec = {codec_named(codec), bits,      second_bits, fit_named(fit),    query_bits,
             rescale,            factors,   parameter,   values_of(tables), values_of(table_bits)};
  s.centroids = values_of(centroids);
  s.prefix_dim = centroids ? centroids->shape(1) : 0;
  s.rerank = rerank_named(rerank);
  s.rerank_bits = rerank_bits;
  s.rerank_scale = rerank_scale;
  s.description = std::move(description);
  nb::gil_scoped_release unlocked;
  new (self) ComposedIndex(std::move(s), isa ? &kernels_named(*isa) : nullptr);
}

void add(ComposedIndex& self, Matrix<const float> originals, Matrix<const float> mapped,
         Matrix<const std::uint32_t> lists, Vector<const std::int64_t> ids, bool check_ids, std::size_t threads) {
  const std::size_t n = originals.shape(0);
  require(originals.shape(1) == self.settings().dim_in, "originals must have dim_in columns");
  require(mapped.shape(0) == n && mapped.shape(1) == self.settings().dim, "mapped must be n × dim");
  require(lists.shape(0) == n && ids.shape(0) == n, "lists and ids must have a row a vector");
  nb::gil_scoped_release unlocked;
  self.add(originals.data(), mapped.data(), lists.data(), lists.shape(1), ids.data(), n, check_ids, threads);
}

nb::tuple search(const ComposedIndex& self, Matrix<const float> queries, std::size_t k, std::size_t nprobe,
                 std::size_t rerank_k, float epsilon, std::size_t threads, std::size_t ef, std::size_t interleave,
                 std::size_t patience, float slack, const IdFilter* filter, std::optional<bool> shared) {
  const std::size_t count = queries.shape(0);
  require(queries.shape(1) == self.settings().dim_in, "queries must have dim_in columns");
  require(k <= (std::size_t{1} << 32) / std::max<std::size_t>(count, 1), "that many answers do not fit into memory");
  auto ids = new_array<std::int64_t>(count, k);
  auto distances = new_array<float>(count, k);
  {
    nb::gil_scoped_release unlocked;
    self.search(queries.data(), count, k, {nprobe, rerank_k, epsilon, threads, shared, ef, interleave, patience, slack, filter},
                ids.values, distances.values);
  }
  return nb::make_tuple(std::move(ids.array), std::move(distances.array));
}

nb::tuple search_one(const ComposedIndex& self, nb::handle query, std::size_t k, std::size_t nprobe,
                     std::size_t rerank_k, float epsilon, std::size_t threads, std::size_t ef, std::size_t patience,
                     float slack, const IdFilter* filter) {
  std::size_t dim = 0;
  const float* values = vector_values<float>(query, dim);
  require(dim == self.settings().dim_in, "a query must have dim_in values");
  require(k < std::size_t{1} << 32, "that many answers do not fit into memory");
  constexpr std::size_t asked_for = 4096;
  prefetch(values, dim * sizeof(float), asked_for);  // it comes while arrays are made
  auto ids = new_array<std::int64_t>(k);
  auto distances = new_array<float>(k);
  {
    nb::gil_scoped_release unlocked;
    self.search(values, 1, k, {nprobe, rerank_k, epsilon, threads, {}, ef, 1, patience, slack, filter}, ids.values,
                distances.values);
  }
  return nb::make_tuple(std::move(ids.array), std::move(distances.array));
}

nb::object copied(const std::vector<float>& values, std::size_t columns) {
  if (values.empty()) return nb::none();
  auto copy = std::make_unique<float[]>(values.size());
  std::copy(values.begin(), values.end(), copy.get());
  if (columns == 0) return nb::cast(owned_by_numpy(std::move(copy), values.size()));
  return nb::cast(owned_by_numpy(std::move(copy), values.size() / columns, columns));
}

nb::dict maps(const ComposedIndex& self) {
  const IndexSettings& s = self.settings();
  nb::dict found;
  found["mean"] = copied(s.mean, 0);
  found["query_map"] = copied(s.query_map, s.dim_in);
  found["base_map"] = copied(s.base_map, s.dim_in);
  found["rotation"] = nb::none();
  if (s.rotation != 0) found["rotation"] = s.rotation - 1;
  found["binarizer_shape"] = nb::none();
  if (!s.binarizer_shape.empty()) {
    auto shape = std::make_unique<std::uint32_t[]>(s.binarizer_shape.size());
    std::ranges::copy(s.binarizer_shape, shape.get());
    found["binarizer_shape"] = nb::cast(owned_by_numpy(std::move(shape), s.binarizer_shape.size()));
  }
  found["binarizer"] = copied(s.binarizer, 0);
  found["centroids"] = copied(s.centroids, s.prefix_dim);
  return found;
}

auto rotated(Matrix<const float> rows, std::uint32_t seed) {
  const std::size_t n = rows.shape(0), dim = rows.shape(1);
  auto turned = std::make_unique<float[]>(n * dim);
  {
    nb::gil_scoped_release unlocked;
    const FastRotation rotation(dim, seed);
    std::copy_n(rows.data(), n * dim, turned.get());
    for (std::size_t i = 0; i < n; ++i) rotation.rotate(active_kernels(), turned.get() + i * dim);
  }
  return owned_by_numpy(std::move(turned), n, dim);
}

auto binarized(const RecurrentBinarizer& self, Matrix<const float> rows) {
  require(rows.shape(1) == self.dim_in(), "rows must have dim_in columns");
  const std::size_t n = rows.shape(0);
  auto codes = std::make_unique<float[]>(n * self.dim());
  {
    nb::gil_scoped_release unlocked;
    RecurrentBinarizer::Room room;
    self.map(active_kernels(), rows.data(), n, codes.get(), room);
  }
  return owned_by_numpy(std::move(codes), n, self.dim());
}

nb::dict by_part(const std::vector<std::pair<std::string, std::size_t>>& bytes) {
  nb::dict parts;
  for (const auto& [name, count] : bytes) parts[nb::str(name.c_str())] = count;
  return parts;
}

}  // namespace

void bind_composed_index(nb::module_& m) {
  // Raised with three arguments: where, what was found, what to do.
  static nb::object index_file_error = nb::exception<IndexFileError>(m, "IndexFileError");
  nb::register_exception_translator(
      [](const std::exception_ptr& raised, void*) {
        try {
          std::rethrow_exception(raised);
        } catch (const IndexFileError& error) {
          PyErr_SetObject(index_file_error.ptr(), nb::make_tuple(error.where(), error.message(), error.remedy()).ptr());
        }
      },
      nullptr);
  m.def("rotated", rotated, "rows"_a.noconvert(), "seed"_a);
  m.def("half_scale", &FloatRows::scale_for, "largest"_a);
  nb::class_<RecurrentBinarizer>(m, "RecurrentBinarizer")
      .def("__init__", [](RecurrentBinarizer* self, Vector<const std::uint32_t> shape, Vector<const float> values) {
            new (self) RecurrentBinarizer({shape.data(), shape.size()}, {values.data(), values.size()});
          }, "shape"_a.noconvert(), "values"_a.noconvert())
      .def("map", binarized, "rows"_a.noconvert())
      .def_prop_ro("nbytes", &RecurrentBinarizer::nbytes);
  nb::class_<HalfVectors>(m, "HalfVectors")
      .def(nb::init<std::size_t, std::size_t, float>(), "nodes"_a, nb::kw_only(), "dim"_a, "scale"_a)
      .def("put", [](HalfVectors& self, std::size_t first, Matrix<const float> vectors) {
            require(vectors.shape(1) == self.dim(), "vectors must have dim columns");
            nb::gil_scoped_release unlocked;
            self.put(first, vectors.data(), vectors.shape(0));
          }, "first"_a, "vectors"_a.noconvert());
  nb::class_<GraphBuilder>(m, "GraphBuilder")
      .def("step", &GraphBuilder::step, "threads"_a = 1, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("linked", &GraphBuilder::linked)
      .def_prop_ro("asked", &GraphBuilder::asked)
      .def_prop_ro("repaired", &GraphBuilder::repaired);
  nb::class_<IdFilter>(m, "IdFilter")
      .def("__init__", [](IdFilter* self, Vector<const std::int64_t> ids) {
            nb::gil_scoped_release unlocked;
            new (self) IdFilter({ids.data(), ids.shape(0)});
          }, "ids"_a.noconvert())
      .def("__len__", &IdFilter::size);
  nb::class_<ComposedIndex>(m, "ComposedIndex")
      .def("__init__", construct, nb::kw_only(), "metric"_a, "dim_in"_a, "dim"_a, "mean"_a.noconvert() = nb::none(),
           "query_map"_a.noconvert() = nb::none(), "base_map"_a.noconvert() = nb::none(),
           "rotation"_a = nb::none(), "binarizer_shape"_a.noconvert() = nb::none(), "binarizer"_a.noconvert() = nb::none(),
           "normalise"_a = false, "mapped_metric"_a = false, "codec"_a, "bits"_a = 0, "second_bits"_a = 0, "fit"_a = "rabitq-fast",
           "query_bits"_a = 8, "rescale"_a = true, "factors"_a = true, "parameter"_a = 1.0f,
           "tables"_a.noconvert() = nb::none(), "table_bits"_a.noconvert() = nb::none(),
           "centroids"_a.noconvert() = nb::none(), "rerank"_a = "none", "rerank_bits"_a = 8, "rerank_scale"_a = 1.0f, "description"_a = "",
           "isa"_a = nb::none())
      .def("add", add, "originals"_a.noconvert(), "mapped"_a.noconvert(), "lists"_a.noconvert(), "ids"_a.noconvert(),
           nb::kw_only(), "check_ids"_a = true, "threads"_a = 1)
      .def("reserve", &ComposedIndex::reserve, "n"_a, "largest_id"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("compact", &ComposedIndex::compact, "threads"_a = 1, nb::call_guard<nb::gil_scoped_release>())
      .def("remove", [](ComposedIndex& self, Vector<const std::int64_t> ids, std::size_t threads) {
            nb::gil_scoped_release unlocked;
            self.remove(ids.data(), ids.shape(0), threads);
          }, "ids"_a.noconvert(), "threads"_a = 1)
      .def("search", search, "queries"_a.noconvert(), "k"_a, nb::kw_only(), "nprobe"_a = 1, "rerank_k"_a = 0,
           "epsilon"_a = 1.9f, "threads"_a = 1, "ef"_a = 64, "interleave"_a = 3, "patience"_a = 0, "slack"_a = -1.0f,
           "filter"_a = nb::none(), "shared"_a = nb::none())
      .def("search_one", search_one, "query"_a, "k"_a, "nprobe"_a = 1, "rerank_k"_a = 0, "epsilon"_a = 1.9f,
           "threads"_a = 1, "ef"_a = 64, "patience"_a = 0, "slack"_a = -1.0f,
           "filter"_a = nb::none())
      .def_prop_ro("keeps_vectors", &ComposedIndex::keeps_vectors)
      .def("graph_builder", [](const ComposedIndex& self, Vector<const std::uint32_t> order, std::size_t entries,
                               std::size_t degree, float alpha, std::size_t candidates,
                               std::shared_ptr<HalfVectors> halves, std::size_t query_links,
                               std::optional<Matrix<const float>> queries) {
            nb::gil_scoped_release unlocked;
            std::span<const float> asked;
            if (queries) asked = {queries->data(), queries->size()};
            return self.graph_builder({degree, alpha, candidates, 0, query_links},
                                      {order.data(), order.data() + order.size()}, entries, std::move(halves), asked);
          }, "order"_a.noconvert(), "entries"_a, nb::kw_only(), "degree"_a, "alpha"_a, "candidates"_a,
          "halves"_a = nb::none(), "query_links"_a = 0, "queries"_a.noconvert() = nb::none(), nb::keep_alive<0, 1>(),
          nb::keep_alive<0, 9>())
      .def("set_graph", [](ComposedIndex& self, GraphBuilder& builder) {
            nb::gil_scoped_release unlocked;
            self.set_graph(builder.take());
          }, "builder"_a)
      .def("set_growth", [](ComposedIndex& self, float alpha, std::size_t candidates, std::size_t entries) {
            nb::gil_scoped_release unlocked;
            self.set_growth({alpha, candidates, entries});
          }, nb::kw_only(), "alpha"_a, "candidates"_a, "entries"_a)
      .def_prop_ro("degree", &ComposedIndex::degree)
      .def_prop_ro("links", [](const ComposedIndex& self) -> nb::object {
            const std::size_t degree = self.degree();
            if (degree == 0) return nb::none();
            const std::vector<std::uint32_t> all = self.links();
            NewArray<std::uint32_t> links = new_array<std::uint32_t>(all.size() / degree, degree);
            std::ranges::copy(all, links.values);
            return links.array;
          })
      .def_prop_ro("counts", [](const ComposedIndex& self) {
            const SearchCounts counts = self.counts();
            nb::dict found;
            found["hops"] = counts.hops;
            found["distances"] = counts.scored;
            found["reranked"] = counts.reranked;
            found["bytes"] = counts.bytes;
            if (self.disk_nbytes().empty()) return found;
            found["cache_hits"] = counts.cache_hits;
            found["cache_misses"] = counts.cache_misses;
            found["bytes_read"] = counts.bytes_read;
            return found;
          })
      .def("reset_counts", &ComposedIndex::reset_counts)
      .def("__len__", &ComposedIndex::size)
      .def("save", &ComposedIndex::save, "path"_a, nb::kw_only(), "description"_a = nb::none(),
           nb::call_guard<nb::gil_scoped_release>())
      .def_static("load", [](const std::string& path, std::optional<std::string_view> isa, bool rerank_on_disk,
                             bool links_on_disk, std::size_t cache_bytes) {
            return ComposedIndex::load(path, isa ? &kernels_named(*isa) : nullptr,
                                       {rerank_on_disk, links_on_disk, cache_bytes});
          }, "path"_a, "isa"_a = nb::none(), nb::kw_only(), "rerank_on_disk"_a = false, "links_on_disk"_a = false,
          "cache_bytes"_a = 0, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("nbytes", [](const ComposedIndex& self) { return by_part(self.nbytes()); })
      .def_prop_ro("disk_nbytes", [](const ComposedIndex& self) { return by_part(self.disk_nbytes()); })
      .def_prop_ro("nlist", &ComposedIndex::nlist)
      .def_prop_ro("description", [](const ComposedIndex& self) { return self.settings().description; })
      .def_prop_ro("maps", maps)
      .def_prop_ro("ids", [](const ComposedIndex& self) {
        const std::vector<std::int64_t> all = self.ids();
        auto copy = std::make_unique<std::int64_t[]>(all.size());
        std::copy(all.begin(), all.end(), copy.get());
        // As an object: a property's values otherwise belong to the index, and this one has its owner.
        return nb::cast(owned_by_numpy(std::move(copy), all.size()));
      });
}

}  // namespace annbench
