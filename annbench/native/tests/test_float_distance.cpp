#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "support/half.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Every half there and back; and the nearest one, ties to even, for floats between neighbours.
void check_halves() {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_of_half(half);
    if (std::isnan(value)) {
      check(std::isnan(float_of_half(half_of_float(value))), "NaN stays NaN");
      continue;
    }
    check(half_of_float(value) == half, "half " + std::to_string(bits) + " there and back");
    if ((bits & 0x7fff) >= 0x7bff) continue;
    const float next = float_of_half(static_cast<std::uint16_t>(bits + 1)), middle = value + (next - value) / 2;
    check(half_of_float(std::nextafter(middle, value)) == half, "below the middle");
    check(half_of_float(std::nextafter(middle, next)) == half + 1, "above the middle");
    check(half_of_float(middle) == (bits % 2 == 0 ? half : half + 1), "the middle goes to the even one");
  }
  check(half_of_float(65519.996f) == 0x7bff && half_of_float(65520.0f) == 0x7c00, "the largest half, and beyond");
  check(half_of_float(-std::numeric_limits<float>::infinity()) == 0xfc00, "infinity");
  check(float_of_half(0x3c00) == 1.0f && float_of_half(0x0001) == 0x1p-24f && float_of_half(0xc000) == -2.0f, "by hand");
}

struct Rows {
  std::size_t dim;
  std::vector<float> values;  // exactly what both forms store
};

double exact(const Rows& rows, const std::vector<float>& query, std::size_t row, bool squared, double* scale) {
  double total = 0;
  *scale = 0;
  for (std::size_t j = 0; j < rows.dim; ++j) {
    const double q = query[j], x = rows.values[row * rows.dim + j];
    const double term = squared ? (x - q) * (x - q) : q * x;
    total += term;
    *scale += std::fabs(term);
  }
  return total;
}

template <class T>
void compare(const Rows& rows, const std::vector<float>& query, const Guarded<T>& base, FloatDistanceFn KernelTable::* kernel,
             bool squared, const std::string& name) {
  const std::size_t count = rows.values.size() / rows.dim;
  const Guarded<float> guarded(query);
  std::vector<std::uint32_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint32_t>((5 * i + 2) % count);
  const double u = std::ldexp(1.0, -24), m = std::ceil(static_cast<double>(rows.dim) / 8) + 4 + (squared ? 2 : 0);
  for (const KernelTable* kernels : available_kernels()) {
    Guarded<float> consecutive(count), gathered(count);
    (kernels->*kernel)(guarded.data(), base.data(), rows.dim, nullptr, count, consecutive.data());
    (kernels->*kernel)(guarded.data(), base.data(), rows.dim, order.data(), count, gathered.data());
    for (std::size_t i = 0; i < count; ++i) {
      double scale = 0;
      const double expected = exact(rows, query, i, squared, &scale);
      check(std::fabs(consecutive[i] - expected) <= m * u / (1 - m * u) * scale,
            name + " within its bound, " + std::string(isa_name(kernels->isa)) + " dim " + std::to_string(rows.dim));
      check(gathered[i] == consecutive[order[i]], name + ": gathered rows as consecutive ones");
    }
  }
}

void check_dim(std::size_t dim, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const std::size_t count = 7;
  Rows rows{dim, std::vector<float>(count * dim)};
  std::vector<std::uint16_t> halves(count * dim);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    halves[i] = half_of_float(normal(random));
    rows.values[i] = float_of_half(halves[i]);
  }
  std::vector<float> query(dim);
  for (float& value : query) value = normal(random);
  const Guarded<float> wide(rows.values);
  const Guarded<std::uint16_t> narrow(halves);
  compare(rows, query, wide, &KernelTable::float32_dot, false, "float32_dot");
  compare(rows, query, wide, &KernelTable::float32_squared_l2, true, "float32_squared_l2");
  compare(rows, query, narrow, &KernelTable::float16_dot, false, "float16_dot");
  compare(rows, query, narrow, &KernelTable::float16_squared_l2, true, "float16_squared_l2");
}

void check_corner_values() {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelTable* kernels : available_kernels()) {
    for (const std::size_t dim : {1, 9, 40}) {
      for (const float corner : {inf, -inf, nan}) {
        std::vector<float> row(dim, 1.0f), query(dim, 1.0f);
        row[dim - 1] = corner;
        float dot = 0, square = 0;
        kernels->float32_dot(query.data(), row.data(), dim, nullptr, 1, &dot);
        kernels->float32_squared_l2(query.data(), row.data(), dim, nullptr, 1, &square);
        check(std::isnan(corner) ? std::isnan(dot) && std::isnan(square) : dot == corner && square == inf,
              "what is not finite is passed on");
      }
    }
  }
}

}  // namespace

void test_float_distance() {
  check_halves();
  std::mt19937 random(606);
  for (std::size_t dim = 0; dim <= 257; ++dim) check_dim(dim == 0 ? 1 : dim, random);
  for (const std::size_t dim : {509, 1021, 1536}) check_dim(dim, random);
  check_corner_values();
}

}  // namespace annbench::tests
