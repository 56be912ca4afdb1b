// What the reconstruction w of a vector v is good for: how ⟨q, v⟩ is estimated from ⟨q, w⟩, and how far off that is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace annbench {

// ‖v‖² / ⟨w, v⟩, so that rescale·⟨q, w⟩ is without bias (codecs/uniform.hpp); 0 if that is no positive number.
inline double rescale_of(const float* v, const double* w, std::size_t dim) {
  double squares = 0, product = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    squares += static_cast<double>(v[j]) * v[j];
    product += w[j] * v[j];
  }
  const double factor = squares / product;
  return product > 0 && factor > 0 && std::isfinite(static_cast<float>(factor)) ? factor : 0;
}

// Of v − rescale·w, what the estimate leaves out.
struct Rest {
  // ⟨a, v⟩ − rescale·⟨a, w⟩: what makes the estimate exact at q = a (codecs/codec.hpp).
  double correction = 0;
  // The standard deviation of ⟨d, v − rescale·w⟩ for a d of length 1 in any direction across v. With the rescale above
  // the rest stands across v, in dim − 1 dimensions: RaBitQ's error (Gao and Long, SIGMOD 2024), for any code.
  double error = 0;
};

// `anchor` is null for none.
inline Rest rest_of(const float* v, const double* w, double rescale, const float* anchor, std::size_t dim) {
  Rest found;
  double squares = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double rest = v[j] - rescale * w[j];
    squares += rest * rest;
    if (anchor != nullptr) found.correction += anchor[j] * rest;
  }
  found.error = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(dim, 2) - 1));
  return found;
}

}  // namespace annbench
