#include "kernels/projection.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

struct Case {
  std::size_t dim_in, dim_out, count;
};

std::string name_of(const Case& c) {
  return std::to_string(c.dim_in) + " to " + std::to_string(c.dim_out) + ", " + std::to_string(c.count) + " rows";
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

// Against the sum in float64, within the bound; and every ISA, for all rows together and for one alone, against the
// reference, bit for bit. All memory ends at a guard page.
void compare(const Case& c, const std::vector<float>& w, const std::vector<float>& rows) {
  std::vector<float> weights(packed_projection_size(c.dim_in, c.dim_out));
  pack_projection(w.data(), c.dim_in, c.dim_out, weights.data());
  const Guarded<float> packed(weights);
  const Guarded<float> x(rows);
  Guarded<float> y(c.count * c.dim_out);
  std::vector<float> expected(y.size());
  kernels_named("scalar").projection(packed.data(), c.dim_in, c.dim_out, x.data(), c.count, expected.data());
  const double u = std::ldexp(1.0, -24), blocks = std::ceil(static_cast<double>(c.dim_in) / 256);
  const double m = std::min(static_cast<double>(c.dim_in), 256.0) + blocks;
  for (std::size_t r = 0; r < c.count; ++r)
    for (std::size_t i = r % 5; i < c.dim_out; i += 5) {
      double exact = 0, size = 0;
      for (std::size_t k = 0; k < c.dim_in; ++k) {
        const double product = static_cast<double>(w[i * c.dim_in + k]) * rows[r * c.dim_in + k];
        exact += product;
        size += std::fabs(product);
      }
      check(!(std::fabs(expected[r * c.dim_out + i] - exact) > m * u / (1 - m * u) * size), "projection within its bound, " + name_of(c));
    }
  for (const KernelTable* kernels : available_kernels()) {
    const std::string name = "projection " + std::string(isa_name(kernels->isa)) + " " + name_of(c);
    std::fill_n(y.data(), y.size(), -1.0f);
    kernels->projection(packed.data(), c.dim_in, c.dim_out, x.data(), c.count, y.data());
    check(std::equal(expected.begin(), expected.end(), y.data(), same), name);
    if (c.count == 0) continue;
    float* last = y.data() + (c.count - 1) * c.dim_out;
    std::fill_n(last, c.dim_out, -1.0f);
    kernels->projection(packed.data(), c.dim_in, c.dim_out, x.data() + (c.count - 1) * c.dim_in, 1, last);
    check(std::equal(last, last + c.dim_out, expected.end() - static_cast<std::ptrdiff_t>(c.dim_out), same), name + ": one alone");
  }
}

void compare(const Case& c, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> w(c.dim_in * c.dim_out), rows(c.count * c.dim_in);
  for (float& value : w) value = normal(random);
  for (float& value : rows) value = normal(random);
  compare(c, w, rows);
}

void check_by_hand() {
  const float w[] = {1, 2, 3, -1, 0, 5}, x[] = {10, 100, 1000};
  float packed[48], y[2] = {};
  pack_projection(w, 3, 2, packed);
  check(packed[0] == 1 && packed[1] == -1 && packed[2] == 0 && packed[16] == 2 && packed[33] == 5, "panels by hand");
  kernels_named("scalar").projection(packed, 3, 2, x, 1, y);
  check(y[0] == 3210 && y[1] == 4990, "projection by hand");
}

// Sums that come out otherwise in any other order, or with products rounded on their own.
void check_order_of_summation() {
  const auto project = [](const std::vector<float>& w, const std::vector<float>& x) {
    std::vector<float> packed(packed_projection_size(x.size(), 1));
    pack_projection(w.data(), x.size(), 1, packed.data());
    float y = 0;
    kernels_named("scalar").projection(packed.data(), x.size(), 1, x.data(), 1, &y);
    return y;
  };
  std::vector<float> x(512, 1.0f);
  x[0] = 0x1p24f;  // one more is lost, 256 together are not
  check(project(std::vector<float>(512, 1.0f), x) == 0x1p24f + 256, "a block of 256 from its first to its last, then the next");
  check(project({-(1 + 0x1p-11f), 1 + 0x1p-12f}, {1, 1 + 0x1p-12f}) == 0x1p-24f, "products are not rounded");
}

void check_corner_values() {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float corner : {inf, -inf, nan, 3e38f, 1e-40f}) {
    const Case c{300, 19, 9};
    std::vector<float> w(c.dim_in * c.dim_out, 2.0f), rows(c.count * c.dim_in, 1.0f);
    rows[4 * c.dim_in + 299] = corner;  // one row alone has it
    std::vector<float> packed(packed_projection_size(c.dim_in, c.dim_out)), expected(c.count * c.dim_out), y(expected.size());
    pack_projection(w.data(), c.dim_in, c.dim_out, packed.data());
    kernels_named("scalar").projection(packed.data(), c.dim_in, c.dim_out, rows.data(), c.count, expected.data());
    check(expected[3 * c.dim_out] == 600 && expected[5 * c.dim_out] == 600, "a corner value stays in its row");
    const float there = expected[4 * c.dim_out];
    check(std::isnan(corner) ? std::isnan(there) : same(there, 598 + 2 * corner), "what is not finite is passed on");
    for (const KernelTable* kernels : available_kernels()) {
      kernels->projection(packed.data(), c.dim_in, c.dim_out, rows.data(), c.count, y.data());
      check(std::equal(expected.begin(), expected.end(), y.data(), same), "projection of corner values");
    }
  }
}

}  // namespace

void test_projection() {
  check_by_hand();
  check_order_of_summation();
  std::mt19937 random(271);
  for (std::size_t dim = 0; dim <= 257; ++dim) {
    compare({dim, 1 + random() % 70, 1 + random() % 3}, random);
    if (dim % 3 == 0) compare({1 + random() % 40, dim, 1 + random() % 9}, random);
  }
  for (std::size_t count = 0; count <= 20; ++count) compare({37, 50, count}, random);
  compare({23, 17, 201}, random);  // several portions of rows
  for (const std::size_t dim : {509, 512, 513, 1021}) compare({dim, 131, 7}, random);
  check_corner_values();
}

}  // namespace annbench::tests
