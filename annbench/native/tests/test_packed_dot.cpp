#include <algorithm>
#include <numeric>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Rows and query end at a guard page and start `offset` bytes into their memory; bits that are no code are set at random.
void compare(std::size_t dim, int bits, std::size_t count, std::size_t more, std::size_t offset, auto code, auto value) {
  const std::size_t planes = packed_plane_bytes(dim, bits), stride = planes + more;
  std::mt19937 random(static_cast<unsigned>(dim * 8 + static_cast<std::size_t>(bits)));
  std::vector<std::uint8_t> memory(offset + count * stride - more), row(planes), ones(planes), codes(count * dim);
  std::vector<std::int8_t> values(offset + packed_query_dim(dim));
  put_packed(std::vector<std::uint8_t>(dim, 255).data(), dim, bits, ones.data());
  for (std::uint8_t& one : codes) one = static_cast<std::uint8_t>(code() & ((1 << bits) - 1));
  for (std::size_t j = 0; j < dim; ++j) values[offset + j] = static_cast<std::int8_t>(value());
  for (std::size_t i = 0; i < count; ++i) {
    put_packed(codes.data() + i * dim, dim, bits, row.data());
    std::vector<std::uint8_t> back(dim);
    get_packed(row.data(), dim, bits, back.data());
    check(std::equal(back.begin(), back.end(), codes.data() + i * dim), "packed codes are read back");
    for (std::size_t b = 0; b < planes; ++b)
      memory[offset + i * stride + b] = static_cast<std::uint8_t>(row[b] | (random() & 255u & ~ones[b]));
  }
  const Guarded<std::uint8_t> base(memory);
  const Guarded<std::int8_t> query(values);
  std::vector<std::uint32_t> gathered(count);
  for (std::size_t i = 0; i < count; ++i) gathered[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  const PackedRows rows{base.data() + offset, stride, dim, bits};
  for (const bool in_order : {true, false}) {
    std::vector<std::int32_t> expected(count);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = 0; j < dim; ++j)
        expected[i] += codes[(in_order ? i : gathered[i]) * dim + j] * values[offset + j];
    for (const KernelTable* kernels : available_kernels()) {
      Guarded<std::int32_t> found(count);
      kernels->packed_dot(query.data() + offset, rows, in_order ? nullptr : gathered.data(), count, found.data());
      check(std::equal(expected.begin(), expected.end(), found.data()),
            "packed_dot " + std::string(isa_name(kernels->isa)) + " dim " + std::to_string(dim) + " bits " +
                std::to_string(bits) + " count " + std::to_string(count) + " offset " + std::to_string(offset));
    }
  }
}

}  // namespace

void test_packed_dot() {
  std::mt19937 random(20262);
  const auto any_code = [&] { return static_cast<int>(random() & 255); };
  const auto any_value = [&] { return static_cast<int>(random() % 255) - 127; };
  for (int bits = 1; bits <= 7; ++bits) {
    for (std::size_t dim = 1; dim <= 257; ++dim) compare(dim, bits, 1 + dim % 6, dim % 5, random() % 64, any_code, any_value);
    for (const std::size_t dim : {384, 769, 4099}) compare(dim, bits, 9, 8, random() % 64, any_code, any_value);
    for (const int extreme : {-127, 127})
      for (const std::size_t dim : {std::size_t{257}, std::size_t{5000}, max_packed_dim})
        compare(dim, bits, 5, 0, 1, [] { return 255; }, [&] { return extreme; });
  }
  check(packed_plane_bytes(384, 3) == 144 && packed_plane_bytes(384, 6) == 288 && packed_plane_bytes(100, 4) == 64,
        "planes take no more than their bits, to 16 bytes");
}

}  // namespace annbench::tests
