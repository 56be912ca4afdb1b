#include "transforms/byte_row.hpp"

#include <cmath>
#include <random>

#include "tests/check.hpp"
#include "tests/projection_checks.hpp"
#include "transforms/linear_map.hpp"

namespace annbench::tests {
namespace {

std::int64_t signed_of_four(std::int32_t four, std::size_t place) {
  return std::int64_t{static_cast<std::int8_t>(static_cast<std::uint32_t>(four) >> 8 * place)};
}
std::int64_t unsigned_of_four(std::int32_t four, std::size_t place) {
  return std::int64_t{static_cast<std::uint8_t>(static_cast<std::uint32_t>(four) >> 8 * place)};
}

const IntegerProjection bytes{"byte projection", &KernelTable::byte_projection, 4, signed_of_four, unsigned_of_four};

// Bytes at random, of a matrix none of −128.
std::vector<std::int32_t> random_rows(std::size_t count, std::size_t fours, bool of_matrix, std::mt19937& random) {
  std::vector<std::int32_t> rows(count * fours);
  for (std::int32_t& four : rows)
    for (int shift = 0; shift < 32; shift += 8) {
      const auto value = static_cast<std::uint8_t>(of_matrix ? random() % 255 - 127 : random() % 256);
      four |= static_cast<std::int32_t>(std::uint32_t{value} << shift);
    }
  return rows;
}

// The longest rows there are, of the largest values.
void compare_extremes() {
  const std::size_t fours = byte_fours(byte_projection_most);
  std::vector<std::int32_t> w(3 * fours, 0x7f7f7f7f);
  std::fill_n(w.begin(), fours, static_cast<std::int32_t>(0x81818181u));
  compare(bytes, {fours, 3, 2}, w, std::vector<std::int32_t>(2 * fours, -1));
}

void check_by_hand() {
  const std::int32_t w[] = {0x04fe0201, 5};  // 1, 2, −2, 4; 5
  const std::int32_t x[] = {static_cast<std::int32_t>(0xff030201u), 7};  // 1, 2, 3, 255; 7
  std::int32_t packed[32], sum = 0;
  pack_projection(w, 2, 1, packed);
  kernels_named("scalar").byte_projection(packed, 2, 1, x, 1, &sum);
  check(sum == 1 + 4 - 6 + 1020 + 35, "byte projection by hand");
}

void check_rows() {
  const auto row = [](const std::vector<float>& x, std::int32_t* fours) {
    return byte_row(active_kernels(), x, wide_dot(x.data(), x.data(), x.size()), fours).unit;
  };
  for (const KernelTable* kernels : available_kernels()) {
    std::int32_t fours[2] = {-1, -1};
    const std::vector<float> x = {127, -127, 2.4f, -2.6f, 100};
    const ByteRow made = byte_row(*kernels, x, wide_dot(x.data(), x.data(), 5), fours);
    check(made.unit == 1 && made.sum == 99, "what 1 stands for, and the sum");
    check(fours[0] == static_cast<std::int32_t>(0xfd02817fu) && fours[1] == 100, "the nearest bytes, and zeros behind them");
  }
  std::int32_t fours[100];
  check(row({0, 0, 0}, fours) == 0 && row({1e-42f, 1e-42f}, fours) == 0, "rows of nothing are none");
  // A row of which one value is larger than the others by a factor: bytes lose a twelfth of a squared step of each.
  for (const float factor : {5.0f, 6.0f, 9.0f, 100.0f}) {
    std::vector<float> x(400, 1);
    x[17] = factor;
    const double lost = 400.0 / 12 * factor * factor / 127 / 127, squares = wide_dot(x.data(), x.data(), 400);
    check((row(x, fours) == 0) == (lost > byte_error * byte_error * squares), "rows that bytes are too coarse for");
  }
  std::vector<float> x(400, 1);
  x[17] = 5;
  check(row(x, fours) > 0, "a row with one larger value");
  x[17] = 100;
  check(row(x, fours) == 0, "a row of almost nothing else than one value");
}

// A map in bytes: off by little, the same on every ISA and for a query by itself; of queries, and with rows, that bytes are
// too coarse for, in fixed point.
void check_map() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const std::size_t dim_in = 387, dim_out = 33, count = 100;
  std::vector<float> w(dim_in * dim_out), x(dim_in * count);
  for (float& value : w) value = normal(random);
  for (float& value : x) value = 1e-3f * normal(random);
  const auto coarse = [](std::size_t r) { return r % 7 == 3; };
  for (std::size_t r = 0; r < count; ++r)
    if (coarse(r)) x[r * dim_in + r] = 1;
  std::vector<double> squares(count);
  for (std::size_t r = 0; r < count; ++r) squares[r] = wide_dot(&x[r * dim_in], &x[r * dim_in], dim_in);
  const auto mapped = [&](const LinearMap& map, const KernelTable& kernels, std::size_t first, std::size_t some) {
    std::vector<float> y(some * dim_out);
    LinearMap::Room room;
    map.map(kernels, x.data() + first * dim_in, squares.data() + first, some, y.data(), room);
    return y;
  };
  const LinearMap in_bytes(w, dim_in, dim_out, MapNumbers::bytes), fixed(w, dim_in, dim_out, MapNumbers::fixed),
      floats(w, dim_in, dim_out, MapNumbers::floats);
  const std::vector<float> y = mapped(in_bytes, active_kernels(), 0, count), finer = mapped(fixed, active_kernels(), 0, count),
                           exact = mapped(floats, active_kernels(), 0, count);
  double total = 0;
  for (std::size_t r = 0; r < count; ++r) {
    bool same = true;
    for (std::size_t i = 0; i < dim_out; ++i) {
      const std::size_t at = r * dim_out + i;
      same = same && y[at] == finer[at];
      if (coarse(r)) continue;
      const double length = std::sqrt(wide_dot(&w[i * dim_in], &w[i * dim_in], dim_in) * squares[r]), error = (y[at] - exact[at]) / length;
      check(std::fabs(error) < 0.01, "an output of a map in bytes");
      total += error * error;
    }
    check(same == coarse(r), "queries that bytes are too coarse for are mapped in fixed point, and no others");
    check(mapped(in_bytes, active_kernels(), r, 1) == std::vector<float>(y.begin() + static_cast<std::ptrdiff_t>(r * dim_out), y.begin() + static_cast<std::ptrdiff_t>((r + 1) * dim_out)),
          "a query by itself is mapped as it is among others");
  }
  check(std::sqrt(total / static_cast<double>(count * dim_out)) < 0x1p-10, "outputs of a map in bytes in the mean");
  for (const KernelTable* kernels : available_kernels())
    check(mapped(in_bytes, *kernels, 0, count) == y, "a map in bytes is the same on " + std::string(isa_name(kernels->isa)));
  w[5 * dim_in + 7] = 100;
  const LinearMap peaked(w, dim_in, dim_out, MapNumbers::bytes), as_fixed(w, dim_in, dim_out, MapNumbers::fixed);
  check(peaked.nbytes() == as_fixed.nbytes() && mapped(peaked, active_kernels(), 0, count) == mapped(as_fixed, active_kernels(), 0, count),
        "a matrix that bytes are too coarse for");
}

}  // namespace

void test_byte_projection() {
  check_by_hand();
  check_rows();
  check_map();
  std::mt19937 random(314);
  compare_shapes(bytes, [&](std::size_t count, std::size_t fours, bool of_matrix) { return random_rows(count, fours, of_matrix, random); }, random);
  compare_extremes();
}

}  // namespace annbench::tests
