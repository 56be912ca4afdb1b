// The Python face of the exhaustive index of packed bits.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "bindings.hpp"
#include "numpy_arrays.hpp"
#include "structures/hamming_flat.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace annbench {
namespace {

class BoundHammingFlat {
 public:
  BoundHammingFlat(Matrix<const std::uint8_t> codes, std::optional<std::string_view> isa)
      : kernels_(kernels_for(isa)), flat_(codes.data(), codes.shape(0), codes.shape(1)) {}

  std::size_t size() const { return flat_.size(); }
  std::size_t nbytes() const { return flat_.nbytes(); }

  nb::tuple search(Matrix<const std::uint8_t> queries, std::size_t k, std::size_t threads) const {
    require(queries.shape(1) == flat_.code_bytes(), "queries and codes must have the same number of bytes");
    const std::size_t count = queries.shape(0);
    check_answers(count, k);
    return found(queries.data(), count, k, threads, new_array<std::int64_t>(count, k), new_array<float>(count, k));
  }

  nb::tuple search_one(nb::handle query, std::size_t k) const {
    std::size_t bytes = 0;
    const std::uint8_t* values = vector_values<std::uint8_t>(query, bytes);
    require(bytes == flat_.code_bytes(), "query and codes must have the same number of bytes");
    check_answers(1, k);
    return found(values, 1, k, 1, new_array<std::int64_t>(k), new_array<float>(k));
  }

  NumpyMatrix<std::uint8_t> codes() const {
    auto rows = std::make_unique<std::uint8_t[]>(flat_.size() * flat_.code_bytes());
    flat_.copy_to(rows.get());
    return owned_by_numpy(std::move(rows), flat_.size(), flat_.code_bytes());
  }

 private:
  static void check_answers(std::size_t count, std::size_t k) {
    require(k >= 1 && k <= (std::size_t{1} << 32) / std::max<std::size_t>(count, 1),
            "k must be at least 1, and the answers fit");
  }

  nb::tuple found(const std::uint8_t* queries, std::size_t count, std::size_t k, std::size_t threads,
                  NewArray<std::int64_t> ids, NewArray<float> distances) const {
    {
      nb::gil_scoped_release unlocked;
      flat_.search(queries, count, k, threads, ids.values, distances.values, kernels_);
    }
    return nb::make_tuple(std::move(ids.array), std::move(distances.array));
  }

  const KernelTable& kernels_;
  HammingFlat flat_;
};

}  // namespace

void bind_hamming_flat(nb::module_& m) {
  nb::class_<BoundHammingFlat>(m, "HammingFlat")
      .def(nb::init<Matrix<const std::uint8_t>, std::optional<std::string_view>>(), "codes"_a.noconvert(), nb::kw_only(),
           "isa"_a = nb::none())
      .def("__len__", &BoundHammingFlat::size)
      .def_prop_ro("nbytes", &BoundHammingFlat::nbytes)
      .def_prop_ro("codes", &BoundHammingFlat::codes, nb::rv_policy::move)
      .def("search", &BoundHammingFlat::search, "queries"_a.noconvert(), "k"_a, "threads"_a = 1)
      .def("search_one", &BoundHammingFlat::search_one, "query"_a, "k"_a);
}

}  // namespace annbench
