#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

struct Case {
  std::size_t dim;
  std::vector<float> query, base;
  std::vector<std::uint32_t> rows;
};

// The contract's bound, against sums in long double (64-bit mantissa on x86; where it is float64, the slack doubles).
void check_bound(const Case& c, const double* dot, const double* squared_l2) {
  const double u = std::ldexp(1.0, -53);
  const double m = std::ceil(static_cast<double>(c.dim) / 16) + 4;
  const double own = static_cast<double>(c.dim) * static_cast<double>(std::numeric_limits<long double>::epsilon());
  for (std::size_t j = 0; j < c.rows.size(); ++j) {
    long double product = 0, size = 0, square = 0;
    for (std::size_t i = 0; i < c.dim; ++i) {
      const long double q = c.query[i], x = c.base[c.rows[j] * c.dim + i];
      product += q * x;
      size += std::fabs(q * x);
      square += (x - q) * (x - q);
    }
    const auto bound = [&](double terms, long double sum) { return (terms * u / (1 - terms * u) + own) * sum; };
    check(std::fabs(dot[j] - product) <= bound(m, size), "exact_dot within its bound, dim " + std::to_string(c.dim));
    check(std::fabs(squared_l2[j] - square) <= bound(m + 3, square),
          "exact_squared_l2 within its bound, dim " + std::to_string(c.dim));
  }
}

void compare(const Case& c, bool finite) {
  const Guarded<float> query(c.query), base(c.base);
  const Guarded<std::uint32_t> rows(c.rows);
  const std::size_t count = c.rows.size();
  Guarded<double> dot(count), squared_l2(count), got(count);
  const KernelTable& reference = kernels_named("scalar");
  reference.exact_dot(query.data(), base.data(), c.dim, rows.data(), count, dot.data());
  reference.exact_squared_l2(query.data(), base.data(), c.dim, rows.data(), count, squared_l2.data());
  if (finite) check_bound(c, dot.data(), squared_l2.data());
  for (const KernelTable* kernels : available_kernels()) {
    const std::string label = std::string(isa_name(kernels->isa)) + " dim " + std::to_string(c.dim);
    kernels->exact_dot(query.data(), base.data(), c.dim, rows.data(), count, got.data());
    for (std::size_t j = 0; j < count; ++j) check(same(got[j], dot[j]), "exact_dot " + label);
    kernels->exact_squared_l2(query.data(), base.data(), c.dim, rows.data(), count, got.data());
    for (std::size_t j = 0; j < count; ++j) check(same(got[j], squared_l2[j]), "exact_squared_l2 " + label);
  }
}

}  // namespace

void test_exact_distance() {
  std::mt19937 random(20240612);
  std::normal_distribution<float> normal;
  const std::vector<float> corners = {0.0f, -0.0f, FLT_MAX, -FLT_MAX, FLT_MIN, FLT_TRUE_MIN, 1.0f, -1e-20f, 3e20f};
  std::vector<std::size_t> dims(258);
  for (std::size_t i = 0; i < dims.size(); ++i) dims[i] = i;
  dims.insert(dims.end(), {509, 1021, 1536});
  for (const std::size_t dim : dims) {
    const std::size_t n = 7;
    Case c{dim, std::vector<float>(dim), std::vector<float>(n * dim), {6, 0, 3, 3, 5}};
    for (float& value : c.query) value = normal(random);
    for (float& value : c.base) value = normal(random) + 10.0f;
    compare(c, true);
    c.rows.clear();
    compare(c, true);
    c.rows = {6, 1};
    for (float& value : c.base) value = corners[random() % corners.size()];
    compare(c, true);
    c.query.assign(c.base.begin() + static_cast<std::ptrdiff_t>(dim), c.base.begin() + static_cast<std::ptrdiff_t>(2 * dim));
    compare(c, true);
    for (float& value : c.base)
      if (random() % 8 == 0) value = random() % 2 ? inf : nan_value;
    compare(c, false);
  }
}

}  // namespace annbench::tests
