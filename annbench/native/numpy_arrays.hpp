// Arrays by numpy's own C interface, where a call's own cost counts: nanobind's go through the buffer protocol, which
// takes longer.
#pragma once

#include <nanobind/nanobind.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL annbench_numpy_api
#ifndef ANNBENCH_IMPORTS_NUMPY  // by one file, the one that makes the module
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace annbench {

template <class T>
constexpr int numpy_type() {
  if constexpr (std::is_same_v<T, float>) return NPY_FLOAT32;
  else if constexpr (std::is_same_v<T, std::int64_t>) return NPY_INT64;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return NPY_UINT8;
  else if constexpr (std::is_same_v<T, std::uint32_t>) return NPY_UINT32;
  else static_assert(sizeof(T) == 0, "no numpy type for this one");
}

// A new array, whose values are the caller's to write.
template <class T>
struct NewArray {
  nanobind::object array;
  T* values;
};

template <class T, class... Extents>
NewArray<T> new_array(Extents... extents) {
  std::array<npy_intp, sizeof...(extents)> shape{static_cast<npy_intp>(extents)...};
  PyObject* array = PyArray_SimpleNew(static_cast<int>(shape.size()), shape.data(), numpy_type<T>());
  if (array == nullptr) throw nanobind::python_error();
  return {nanobind::steal(array), static_cast<T*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array)))};
}

// The values of an array (dim,) that is just what kernels read: of this type, aligned, without gaps. Throws
// nanobind::type_error for whatever else it is.
template <class T>
const T* vector_values(nanobind::handle object, std::size_t& dim) {
  auto* array = reinterpret_cast<PyArrayObject*>(object.ptr());
  if (!PyArray_Check(object.ptr()) || PyArray_NDIM(array) != 1 || PyArray_TYPE(array) != numpy_type<T>() ||
      !PyArray_ISCARRAY_RO(array))
    throw nanobind::type_error("a query must be a one-dimensional array of the right type without gaps");
  dim = static_cast<std::size_t>(PyArray_DIM(array, 0));
  return static_cast<const T*>(PyArray_DATA(array));
}

}  // namespace annbench
