#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/codec_checks.hpp"

namespace annbench::tests {

// Vectors that graphs have been broken by.
inline std::vector<std::pair<std::string, Vector>> hard_sets(std::size_t n, std::size_t dim, std::mt19937& random) {
  std::vector<std::pair<std::string, Vector>> sets;
  sets.emplace_back("normal values", normal_values(n * dim, random));
  sets.emplace_back("equal vectors", Vector(n * dim, 0.5f));
  Vector far = normal_values(n * dim, random);
  for (std::size_t i = n / 2 * dim; i < far.size(); ++i) far[i] += 1000;
  sets.emplace_back("two far clusters", far);
  Vector line(n * dim);
  for (std::size_t i = 0; i < n; ++i) std::fill_n(line.begin() + static_cast<std::ptrdiff_t>(i * dim), dim, static_cast<float>(i));
  sets.emplace_back("a line", line);
  Vector twice = normal_values(n * dim, random);
  std::copy_n(twice.begin(), n / 2 * dim, twice.begin() + static_cast<std::ptrdiff_t>(n / 2 * dim));
  sets.emplace_back("duplicates", twice);
  Vector huge = normal_values(n * dim, random);
  std::fill_n(huge.begin(), dim, 5000.0f);
  sets.emplace_back("one huge vector", huge);
  return sets;
}

}  // namespace annbench::tests
