// What the reconstruction w of a vector v is good for: how ⟨q, v⟩ is estimated from ⟨q, w⟩, and how far off that is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace annbench {

struct Reconstruction {
  // ‖v‖² / ⟨w, v⟩, so that rescale·⟨q, w⟩ is without bias (codecs/uniform.hpp); 0 if that is no positive number.
  double rescale = 0;
  // ⟨a, v⟩ − rescale·⟨a, w⟩: what makes the estimate exact at q = a (codecs/codec.hpp).
  double correction = 0;
  // The standard deviation of ⟨d, v − rescale·w⟩ for a d of length 1 in any direction across v. What is left of v after
  // rescale·w stands across v, in dim − 1 dimensions: RaBitQ's error (Gao and Long, SIGMOD 2024), for any code.
  double error = 0;
};

// `anchor` is null for none; without `rescaled` the factor is 1.
inline Reconstruction examine_reconstruction(const float* v, const double* w, const float* anchor, std::size_t dim,
                                             bool rescaled) {
  Reconstruction found{.rescale = 1};
  if (rescaled) {
    double squares = 0, product = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      squares += static_cast<double>(v[j]) * v[j];
      product += w[j] * v[j];
    }
    const double factor = squares / product;
    found.rescale = product > 0 && factor > 0 && std::isfinite(static_cast<float>(factor)) ? factor : 0;
  }
  double missed = 0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double rest = v[j] - found.rescale * w[j];
    missed += rest * rest;
    if (anchor != nullptr) found.correction += anchor[j] * rest;
  }
  found.error = std::sqrt(missed / static_cast<double>(std::max<std::size_t>(dim, 2) - 1));
  return found;
}

}  // namespace annbench
