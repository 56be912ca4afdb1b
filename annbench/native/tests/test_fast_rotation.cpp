#include "transforms/fast_rotation.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;

Vector normal_vector(std::size_t dim, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Vector v(dim);
  for (float& value : v) value = normal(random);
  return v;
}

double dot(const Vector& a, const Vector& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

void check_hadamard() {
  std::mt19937 random(12);
  const KernelTable& reference = kernels_named("scalar");
  for (std::size_t n = 1; n <= 4096; n *= 2) {
    const Vector v = normal_vector(n, random);
    Vector expected = v;
    reference.hadamard(expected.data(), n);
    if (n <= 256)
      for (std::size_t i = 0; i < n; ++i) {
        double direct = 0;  // row i of H has the sign (−1)^(number of common bits of i and j)
        for (std::size_t j = 0; j < n; ++j) direct += std::popcount(i & j) % 2 == 0 ? v[j] : -v[j];
        check(std::fabs(expected[i] - direct) <= 1e-4 * static_cast<double>(n), "the matrix itself, n " + std::to_string(n));
      }
    for (const KernelTable* kernels : available_kernels()) {
      Guarded<float> found(v);
      kernels->hadamard(found.data(), n);
      check(std::equal(expected.begin(), expected.end(), found.data()),
            "hadamard " + std::string(isa_name(kernels->isa)) + " n " + std::to_string(n));
    }
  }
}

void check_rotation() {
  std::mt19937 random(13);
  for (const std::size_t dim : {1, 2, 3, 5, 7, 8, 31, 64, 100, 127, 384, 768, 784, 960, 1536}) {
    const FastRotation rotation(dim, 99), same(dim, 99), other(dim, 100);
    const Vector a = normal_vector(dim, random), b = normal_vector(dim, random);
    Vector first;
    for (const KernelTable* kernels : available_kernels()) {
      Vector turned_a = a, turned_b = b;
      rotation.rotate(*kernels, turned_a.data());
      rotation.rotate(*kernels, turned_b.data());
      const std::string name = "rotation of dim " + std::to_string(dim);
      check(std::fabs(dot(turned_a, turned_a) / dot(a, a) - 1) < 1e-5, name + " keeps lengths");
      check(std::fabs(dot(turned_a, turned_b) - dot(a, b)) < 1e-4 * std::sqrt(dot(a, a) * dot(b, b)), name + " keeps angles");
      if (first.empty()) first = turned_a;
      check(turned_a == first, name + " is the same on every instruction set");
      Vector again = a;
      same.rotate(*kernels, again.data());
      check(again == turned_a, name + " is the same for a seed");
      if (dim > 8) {
        other.rotate(*kernels, (again = a).data());
        check(again != turned_a, name + " is another for another seed");
      }
      rotation.rotate_back(*kernels, turned_a.data());
      for (std::size_t i = 0; i < dim; ++i)
        check(std::fabs(turned_a[i] - a[i]) < 1e-4f * (1 + std::fabs(a[i])), name + " has an inverse");
    }
  }
}

// One dimension, however large, is spread over all: what codes with one grid for all dimensions need.
void check_spread() {
  for (const std::size_t dim : {100, 384, 768, 784}) {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const FastRotation rotation(dim, seed);
      for (const std::size_t axis : {std::size_t{0}, dim / 2, dim - 1}) {
        Vector v(dim, 0.0f);
        v[axis] = 1;
        rotation.rotate(*available_kernels().back(), v.data());
        for (const float value : v) worst = std::max(worst, std::fabs(static_cast<double>(value)));
      }
    }
    // The largest of d normal values of deviation 1/√d is near √(2 ln d)/√d; 60 vectors are looked at.
    const double typical = std::sqrt(2 * std::log(60.0 * static_cast<double>(dim)) / static_cast<double>(dim));
    check(worst < 1.5 * typical, "an axis is spread, dim " + std::to_string(dim) + ": " + std::to_string(worst) + ", typical " +
                                   std::to_string(typical));
  }
}

}  // namespace

void test_fast_rotation() {
  check_hadamard();
  check_rotation();
  check_spread();
}

}  // namespace annbench::tests
