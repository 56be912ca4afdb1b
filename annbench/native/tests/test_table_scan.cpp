#include "kernels/table_scan.hpp"

#include <algorithm>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Tables and blocks end at a guard page, and start `offset` bytes into their memory; so does what is written.
void compare(std::size_t groups, std::size_t count, std::size_t offset, auto code_byte, auto entry) {
  std::vector<std::uint8_t> bytes(offset + (count + table_block - 1) / table_block * table_block_bytes(groups));
  std::vector<std::uint8_t> entries(offset + 16 * groups);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(code_byte());
  for (std::uint8_t& byte : entries) byte = static_cast<std::uint8_t>(entry());
  const Guarded<std::uint8_t> blocks(bytes), tables(entries);
  std::vector<std::uint32_t> expected(count);
  kernels_named("scalar").table_scan(tables.data() + offset, blocks.data() + offset, groups, count, expected.data());
  Guarded<std::uint32_t> found(count);
  for (const KernelTable* kernels : available_kernels()) {
    std::fill_n(found.data(), count, 0xdeadbeefu);
    kernels->table_scan(tables.data() + offset, blocks.data() + offset, groups, count, found.data());
    check(std::equal(expected.begin(), expected.end(), found.data()),
          "table_scan " + std::string(isa_name(kernels->isa)) + " groups " + std::to_string(groups) + " count " +
              std::to_string(count) + " offset " + std::to_string(offset));
  }
}

// Codes there and back, in any order, each leaving the others alone; and their sums against the definition.
void check_codes(std::size_t m, std::size_t count, std::mt19937& random) {
  const std::size_t groups = table_groups(m);
  std::vector<std::uint8_t> codes(count * m), tables(16 * groups, 0), back(m);
  std::vector<std::uint8_t> blocks((count + table_block - 1) / table_block * table_block_bytes(groups));
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random() % 16);
  for (std::size_t e = 0; e < 16 * m; ++e) tables[e] = static_cast<std::uint8_t>(random());
  for (std::uint8_t& byte : blocks) byte = static_cast<std::uint8_t>(random());  // what was there is replaced
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (5 * i + 1) % count;
    put_table_code(codes.data() + at * m, m, at, blocks.data());
  }
  std::vector<std::uint32_t> found(count);
  kernels_named("scalar").table_scan(tables.data(), blocks.data(), groups, count, found.data());
  for (std::size_t i = 0; i < count; ++i) {
    get_table_code(blocks.data(), m, i, back.data());
    std::uint32_t expected = 0;
    for (std::size_t g = 0; g < m; ++g) expected += tables[16 * g + codes[i * m + g]];
    const std::string name = ", groups " + std::to_string(m) + " code " + std::to_string(i);
    check(std::equal(back.begin(), back.end(), codes.begin() + static_cast<std::ptrdiff_t>(i * m)), "a code there and back" + name);
    check(found[i] == expected, "the sum of a packed code" + name);
  }
}

}  // namespace

void test_table_scan() {
  std::mt19937 random(1617);
  const auto any = [&] { return random(); };
  for (const std::size_t m : {1, 2, 3, 4, 7, 16, 25, 97}) check_codes(m, 97, random);  // 5 and 97 have no common divisor
  for (std::size_t groups = 0; groups <= 260; groups += 4) compare(groups, 1 + random() % 100, random() % 64, any, any);
  for (const std::size_t groups : {4, 12, 60})
    for (const std::size_t count : {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 131}) compare(groups, count, 1, any, any);
  // Where 16 bits would overflow, and where a signed 16 bits would.
  for (const std::size_t groups : {128, 132, 256, 260, 512, 516, 1020, 2044, 2048}) {
    compare(groups, 37, 0, any, [] { return 255; });
    compare(groups, 33, 3, any, any);
  }
}

}  // namespace annbench::tests
