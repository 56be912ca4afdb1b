#include "transforms/fixed_row.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/check.hpp"
#include "tests/projection_checks.hpp"
#include "transforms/linear_map.hpp"

namespace annbench::tests {
namespace {

using Values = std::vector<std::int16_t>;

std::int64_t value_of_pair(std::int32_t pair, std::size_t place) {
  return std::int64_t{static_cast<std::int16_t>(static_cast<std::uint32_t>(pair) >> 16 * place)};
}

std::vector<std::int32_t> pairs_of(const Values& values) {
  std::vector<std::int32_t> pairs(fixed_pairs(values.size()));
  for (std::size_t k = 0; k < values.size(); ++k)
    pairs[k / 2] |= static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint16_t>(values[k])) << 16 * (k % 2));
  return pairs;
}

const IntegerProjection fixed_point{"fixed projection", &KernelTable::fixed_projection, 2, value_of_pair, value_of_pair};

// Rows of one value, of the largest, and of signs that all agree or differ: as large as sums become.
void compare_extremes() {
  for (const std::size_t dim : {1, 2, 3, 384, 4095}) {
    const std::size_t pairs = fixed_pairs(dim);
    std::vector<std::int32_t> w, rows;
    const auto add = [&](std::vector<std::int32_t>& to, float sign, bool all) {
      std::vector<float> x(dim, all ? sign * 3e38f / static_cast<float>(dim) : 0);
      x[0] = sign;
      if (all) x[0] = x[dim / 2];
      to.resize(to.size() + pairs);
      fixed_row(active_kernels(), x, to.data() + to.size() - pairs);
    };
    for (const float sign : {1.0f, -1.0f})
      for (const bool all : {false, true}) {
        for (int i = 0; i < 5; ++i) add(w, sign, all);
        for (int i = 0; i < 2; ++i) add(rows, sign, all);
      }
    compare(fixed_point, {pairs, 20, 8}, w, rows);
  }
}

void check_by_hand() {
  const std::vector<std::int32_t> w = [] {
    std::vector<std::int32_t> all = pairs_of({1, 2, 3});
    std::ranges::copy(pairs_of({-1, 0, 5}), std::back_inserter(all));
    return all;
  }();
  std::int32_t packed[32], sums[2] = {};
  pack_projection(w.data(), 2, 2, packed);
  check(packed[0] == 0x20001 && packed[1] == 0xffff && packed[16] == 3 && packed[17] == 5, "panels of pairs by hand");
  kernels_named("scalar").fixed_projection(packed, 2, 2, pairs_of({10, -100, 1000}).data(), 1, sums);
  check(sums[0] == 2810 && sums[1] == 4990, "fixed projection by hand");
}

void check_rows() {
  std::int32_t pairs[2];
  check(fixed_row(active_kernels(), std::vector<float>{3, -4, 0}, pairs) * 32766 == 5, "what 1 stands for");
  check(pairs[0] == pairs_of({19660, -26213})[0] && pairs[1] == 0, "the nearest integers");
  for (const float tiny : {0.0f, 1e-40f}) {
    pairs[0] = pairs[1] = -1;
    check(fixed_row(active_kernels(), std::vector<float>{tiny, tiny, tiny}, pairs) == 0 && pairs[0] == 0 && pairs[1] == 0, "rows of nothing");
  }
  const float large = 3e38f;
  check(std::isfinite(fixed_row(active_kernels(), std::vector<float>{large, -large, large}, pairs)), "the longest rows have a unit");
}

// Within what rounding may cost, and in the mean far within.
void check_errors() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const std::size_t dim_in = 385, dim_out = 33, count = 100;
  std::vector<float> w(dim_in * dim_out), x(dim_in * count), coarse(count * dim_out), exact(coarse.size());
  for (float& value : w) value = normal(random);
  for (float& value : x) value = 1e-3f * normal(random);
  const LinearMap fixed(w, dim_in, dim_out, MapNumbers::fixed), floats(w, dim_in, dim_out, MapNumbers::floats);
  check(fixed.nbytes() < floats.nbytes() * 0.52, "half of the memory");
  LinearMap::Room room;
  std::vector<double> lengths(count);
  for (std::size_t r = 0; r < count; ++r) lengths[r] = active_kernels().wide_dot(&x[r * dim_in], &x[r * dim_in], dim_in);
  fixed.map(active_kernels(), x.data(), lengths.data(), count, coarse.data(), room);
  floats.map(active_kernels(), x.data(), lengths.data(), count, exact.data(), room);
  double squares = 0;
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < dim_out; ++i) {
      const double lengths = std::sqrt(wide_dot(&w[i * dim_in], &w[i * dim_in], dim_in) * wide_dot(&x[r * dim_in], &x[r * dim_in], dim_in));
      const double error = (coarse[r * dim_out + i] - exact[r * dim_out + i]) / lengths;
      check(std::fabs(error) < std::sqrt(dim_in) / 32766 * 1.01, "an output of a fixed map");
      squares += error * error;
    }
  check(std::sqrt(squares / static_cast<double>(count * dim_out)) < 0x1p-16, "outputs of a fixed map in the mean");
}

std::vector<std::int32_t> random_rows(std::size_t count, std::size_t pairs, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<std::int32_t> fixed(count * pairs);
  std::vector<float> x(2 * pairs);
  for (std::size_t r = 0; r < count; ++r) {
    for (float& value : x) value = normal(random);
    fixed_row(active_kernels(), x, fixed.data() + r * pairs);
  }
  return fixed;
}

}  // namespace

void test_fixed_projection() {
  check_by_hand();
  check_rows();
  check_errors();
  std::mt19937 random(314);
  compare_shapes(fixed_point, [&](std::size_t count, std::size_t pairs, bool) { return random_rows(count, pairs, random); }, random);
  compare_extremes();
}

}  // namespace annbench::tests
