// What the files of the Python face share.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <optional>
#include <string_view>

#include "kernels/dispatch.hpp"
#include "structures/neighbor_collector.hpp"
#include "support/require.hpp"

namespace annbench {

template <class T>
using Vector = nanobind::ndarray<T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Matrix = nanobind::ndarray<T, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using NumpyVector = nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>, nanobind::c_contig>;
template <class T>
using NumpyMatrix = nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<2>, nanobind::c_contig>;

inline const KernelTable& kernels_for(std::optional<std::string_view> isa) {
  return isa ? kernels_named(*isa) : active_kernels();
}

Metric metric_named(std::string_view name);

// Hands a buffer to numpy without copying it.
template <class T>
nanobind::capsule owner_of(T* data) {
  return nanobind::capsule(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
}

template <class T>
NumpyVector<T> owned_by_numpy(std::unique_ptr<T[]> values, std::size_t count) {
  T* data = values.release();
  return NumpyVector<T>(data, {count}, owner_of(data));
}

template <class T>
NumpyMatrix<T> owned_by_numpy(std::unique_ptr<T[]> values, std::size_t rows, std::size_t columns) {
  T* data = values.release();
  return NumpyMatrix<T>(data, {rows, columns}, owner_of(data));
}

void bind_composed_index(nanobind::module_& m);
void bind_hamming_flat(nanobind::module_& m);

}  // namespace annbench
