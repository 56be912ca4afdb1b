// The Python face of the native core: checks, releases the GIL, calls, converts.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bindings.hpp"
#include "kernels/dispatch.hpp"
#define ANNBENCH_IMPORTS_NUMPY
#include "numpy_arrays.hpp"
#include "structures/hamming_collector.hpp"
#include "structures/neighbor_collector.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace annbench {
namespace {

std::vector<std::string> isa_names() {
  std::vector<std::string> names(available_isas().size());
  std::transform(available_isas().begin(), available_isas().end(), names.begin(),
                 [](Isa isa) { return std::string(isa_name(isa)); });
  return names;
}

nb::tuple select(Vector<const float> scores, float threshold, std::optional<Vector<const float>> add,
                 std::optional<Vector<const float>> multiply, std::optional<std::string_view> isa) {
  const KernelTable& kernels = kernels_for(isa);
  require(!add || !multiply, "threshold_select takes add or multiply, not both");
  const std::size_t count = scores.shape(0);
  require(!add || add->shape(0) == count, "add must be as long as scores");
  require(!multiply || multiply->shape(0) == count, "multiply must be as long as scores");
  require(count <= UINT32_MAX, "a row of scores must be shorter than 2^32");
  const Adjust adjust = add ? Adjust::add : multiply ? Adjust::multiply : Adjust::none;
  const float* terms = add ? add->data() : multiply ? multiply->data() : nullptr;
  auto indices = std::make_unique<std::uint32_t[]>(count);
  auto values = std::make_unique<float[]>(count);
  std::size_t found = 0;
  {
    nb::gil_scoped_release unlocked;
    found = kernels.threshold_select(scores.data(), terms, adjust, count, threshold, indices.get(), values.get());
  }
  return nb::make_tuple(owned_by_numpy(std::move(indices), found), owned_by_numpy(std::move(values), found));
}

ExactDistanceFn exact_kernel(const KernelTable& kernels, std::string_view form) {
  if (form == "dot") return kernels.exact_dot;
  if (form == "squared_l2") return kernels.exact_squared_l2;
  throw std::invalid_argument("form must be 'dot' or 'squared_l2'");
}

NumpyVector<double> exact_distance(Vector<const float> query, Matrix<const float> base,
                                   Vector<const std::uint32_t> rows, std::string_view form,
                                   std::optional<std::string_view> isa) {
  const ExactDistanceFn kernel = exact_kernel(kernels_for(isa), form);
  const std::size_t count = rows.shape(0), dim = base.shape(1);
  require(query.shape(0) == dim, "query and base must have the same dim");
  require(count == 0 || *std::max_element(rows.data(), rows.data() + count) < base.shape(0),
          "rows must be below the number of rows of base");
  auto distances = std::make_unique<double[]>(count);
  {
    nb::gil_scoped_release unlocked;
    kernel(query.data(), base.data(), dim, rows.data(), count, distances.get());
  }
  return owned_by_numpy(std::move(distances), count);
}

void fill_squared_norms(Matrix<const float> rows, Vector<double> out, std::optional<std::string_view> isa) {
  const KernelTable& kernels = kernels_for(isa);
  require(out.shape(0) == rows.shape(0), "out must have one entry a row");
  nb::gil_scoped_release unlocked;
  squared_norms(rows.data(), rows.shape(0), rows.shape(1), out.data(), kernels);
}

// Keeps the arrays alive that the collector refers to.
class BoundCollector {
 public:
  BoundCollector(std::string_view metric, Matrix<const float> base, Vector<const double> base_squared_norms,
                 Vector<const float> base_terms, std::int64_t first_id, Matrix<const float> queries,
                 Vector<const double> query_squared_norms, Matrix<std::int64_t> neighbors, Matrix<double> distances,
                 Vector<std::int64_t> ties, std::optional<std::string_view> isa)
      : base_(base),
        base_squared_norms_(base_squared_norms),
        base_terms_(base_terms),
        queries_(queries),
        query_squared_norms_(query_squared_norms),
        neighbors_(neighbors),
        distances_(distances),
        ties_(ties) {
    check();
    const BaseRows rows{base.data(),   base_squared_norms.data(), base_terms.data(),
                        base.shape(0), base.shape(1),             first_id};
    const QueryRows query_rows{queries.data(), query_squared_norms.data(), queries.shape(0)};
    collector_ = std::make_unique<NeighborCollector>(metric_named(metric), neighbors.shape(1), rows, query_rows,
                                                     lists(), kernels_for(isa));
  }

  void offer(Matrix<const float> scores, std::size_t first, double error_slope, double error_constant) {
    const std::size_t count = scores.shape(1);
    require(scores.shape(0) == queries_.shape(0), "scores must have one row a query");
    require(first <= base_.shape(0) && count <= base_.shape(0) - first, "scores go beyond the rows of base");
    nb::gil_scoped_release unlocked;
    collector_->offer(scores.data(), first, count, error_slope, error_constant);
  }

  void finish() {
    nb::gil_scoped_release unlocked;
    collector_->finish(lists());
  }

 private:
  NeighborLists lists() const { return {neighbors_.data(), distances_.data(), ties_.data()}; }

  void check() const {
    const std::size_t count = queries_.shape(0), k = neighbors_.shape(1);
    require(queries_.shape(1) == base_.shape(1), "queries and base must have the same dim");
    require(base_.shape(0) < UINT32_MAX, "base must have fewer than 2^32 rows");
    require(base_squared_norms_.shape(0) == base_.shape(0), "base_squared_norms must have one entry a row of base");
    require(base_terms_.shape(0) == base_.shape(0), "base_terms must have one entry a row of base");
    require(query_squared_norms_.shape(0) == count, "query_squared_norms must have one entry a query");
    require(k >= 1, "neighbors must have at least one column");
    require(neighbors_.shape(0) == count, "neighbors must have one row a query");
    require(distances_.shape(0) == count && distances_.shape(1) == k, "distances must be shaped as neighbors");
    require(ties_.shape(0) == count, "ties must have one entry a query");
  }

  Matrix<const float> base_;
  Vector<const double> base_squared_norms_;
  Vector<const float> base_terms_;
  Matrix<const float> queries_;
  Vector<const double> query_squared_norms_;
  Matrix<std::int64_t> neighbors_;
  Matrix<double> distances_;
  Vector<std::int64_t> ties_;
  std::unique_ptr<NeighborCollector> collector_;
};

nb::tuple select_codes(Vector<const std::uint8_t> query, Matrix<const std::uint8_t> codes, std::uint32_t limit,
                       std::optional<std::string_view> isa) {
  const KernelTable& kernels = kernels_for(isa);
  const std::size_t count = codes.shape(0), bytes = codes.shape(1);
  require(query.shape(0) == bytes, "query and codes must have the same number of bytes");
  require(count <= UINT32_MAX && bytes < (1u << 29), "codes must be fewer than 2^32, of less than 2^29 bytes");
  auto indices = std::make_unique<std::uint32_t[]>(count);
  auto distances = std::make_unique<std::uint32_t[]>(count);
  std::size_t found = 0;
  {
    nb::gil_scoped_release unlocked;
    found = kernels.hamming_select(query.data(), codes.data(), bytes, count, limit, indices.get(), distances.get());
  }
  return nb::make_tuple(owned_by_numpy(std::move(indices), found), owned_by_numpy(std::move(distances), found));
}

// Keeps the arrays alive that the collector refers to.
class BoundHammingCollector {
 public:
  BoundHammingCollector(Matrix<const std::uint8_t> base, std::int64_t first_id, Matrix<const std::uint8_t> queries,
                        Matrix<std::int64_t> neighbors, Matrix<double> distances, Vector<std::int64_t> ties,
                        std::optional<std::string_view> isa)
      : base_(base), queries_(queries), neighbors_(neighbors), distances_(distances), ties_(ties) {
    const std::size_t count = queries.shape(0), k = neighbors.shape(1);
    require(queries.shape(1) == base.shape(1), "queries and base must have the same number of bytes");
    require(base.shape(1) < (1u << 29), "codes must have less than 2^29 bytes");
    require(k >= 1, "neighbors must have at least one column");
    require(neighbors.shape(0) == count, "neighbors must have one row a query");
    require(distances.shape(0) == count && distances.shape(1) == k, "distances must be shaped as neighbors");
    require(ties.shape(0) == count, "ties must have one entry a query");
    const CodeRows rows{base.data(), base.shape(0), base.shape(1), first_id};
    collector_ = std::make_unique<HammingCollector>(k, rows, queries.data(), count, lists(), kernels_for(isa));
  }

  void offer(std::size_t first, std::size_t count) {
    require(first <= base_.shape(0) && count <= base_.shape(0) - first, "these rows go beyond the base");
    nb::gil_scoped_release unlocked;
    collector_->offer(first, count);
  }

  void finish() {
    nb::gil_scoped_release unlocked;
    collector_->finish(lists());
  }

 private:
  NeighborLists lists() const { return {neighbors_.data(), distances_.data(), ties_.data()}; }

  Matrix<const std::uint8_t> base_, queries_;
  Matrix<std::int64_t> neighbors_;
  Matrix<double> distances_;
  Vector<std::int64_t> ties_;
  std::unique_ptr<HammingCollector> collector_;
};

}  // namespace

Metric metric_named(std::string_view name) {
  if (name == "euclidean") return Metric::euclidean;
  if (name == "cosine") return Metric::cosine;
  if (name == "ip") return Metric::inner_product;
  throw std::invalid_argument("metric must be 'euclidean', 'cosine' or 'ip'");
}

NB_MODULE(_native, m) {
  m.doc() = "Native kernels of annbench. An unusable ANNBENCH_ISA raises ValueError at every use, never at import.";
  if (_import_array() < 0) throw nb::python_error();
  m.def("isa", [] { return std::string(isa_name(active_kernels().isa)); });
  m.def("available_isas", isa_names);
  m.def("threshold_select", select, "scores"_a.noconvert(), "threshold"_a, nb::kw_only(),
        "add"_a.noconvert() = nb::none(), "multiply"_a.noconvert() = nb::none(), "isa"_a = nb::none());
  m.def("exact_distance", exact_distance, "query"_a.noconvert(), "base"_a.noconvert(), "rows"_a.noconvert(), "form"_a,
        nb::kw_only(), "isa"_a = nb::none());
  m.def("squared_norms", fill_squared_norms, "rows"_a.noconvert(), "out"_a.noconvert(), nb::kw_only(),
        "isa"_a = nb::none());
  m.def("hamming_select", select_codes, "query"_a.noconvert(), "codes"_a.noconvert(), "limit"_a, nb::kw_only(),
        "isa"_a = nb::none());
  nb::class_<BoundHammingCollector>(m, "HammingCollector")
      .def(nb::init<Matrix<const std::uint8_t>, std::int64_t, Matrix<const std::uint8_t>, Matrix<std::int64_t>,
                    Matrix<double>, Vector<std::int64_t>, std::optional<std::string_view>>(),
           nb::kw_only(), "base"_a.noconvert(), "first_id"_a, "queries"_a.noconvert(), "neighbors"_a.noconvert(),
           "distances"_a.noconvert(), "ties"_a.noconvert(), "isa"_a = nb::none())
      .def("offer", &BoundHammingCollector::offer, "first"_a, "count"_a)
      .def("finish", &BoundHammingCollector::finish)
      .def_static("bytes", &HammingCollector::bytes, "queries"_a, "k"_a);
  // Objects that outlive the interpreter are no leak, and nobody but us could do anything about one.
  nb::set_leak_warnings(false);
  bind_composed_index(m);
  bind_hamming_flat(m);
  nb::class_<BoundCollector>(m, "NeighborCollector")
      .def(nb::init<std::string_view, Matrix<const float>, Vector<const double>, Vector<const float>, std::int64_t,
                    Matrix<const float>, Vector<const double>, Matrix<std::int64_t>, Matrix<double>,
                    Vector<std::int64_t>, std::optional<std::string_view>>(),
           "metric"_a, nb::kw_only(), "base"_a.noconvert(), "base_squared_norms"_a.noconvert(),
           "base_terms"_a.noconvert(), "first_id"_a, "queries"_a.noconvert(), "query_squared_norms"_a.noconvert(),
           "neighbors"_a.noconvert(), "distances"_a.noconvert(), "ties"_a.noconvert(),
           "isa"_a = nb::none())
      .def("offer", &BoundCollector::offer, "scores"_a.noconvert(), "first"_a, "error_slope"_a, "error_constant"_a)
      .def("finish", &BoundCollector::finish)
      .def_static("bytes", &NeighborCollector::bytes, "queries"_a, "k"_a, "offered_rows"_a);
}

}  // namespace annbench
