#include <algorithm>
#include <numeric>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

struct Form {
  const char* name;
  CodeDotFn KernelTable::* kernel;
  std::size_t query_per_byte;
};

const Form forms[] = {{"nibble_dot", &KernelTable::nibble_dot, 2}, {"byte_dot", &KernelTable::byte_dot, 1}};

// Base and query end at a guard page, and start `offset` bytes into their memory.
void compare(const Form& form, std::size_t lines, std::size_t count, std::size_t offset, auto code, auto value) {
  const std::size_t bytes = lines * code_line;
  std::vector<std::uint8_t> codes(offset + count * bytes);
  std::vector<std::int8_t> values(offset + form.query_per_byte * bytes);
  for (std::uint8_t& byte : codes) byte = static_cast<std::uint8_t>(code());
  for (std::int8_t& byte : values) byte = static_cast<std::int8_t>(value());
  const Guarded<std::uint8_t> base(codes);
  const Guarded<std::int8_t> query(values);
  std::vector<std::uint32_t> gathered(count);
  for (std::size_t i = 0; i < count; ++i) gathered[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const std::uint32_t* rows : {static_cast<const std::uint32_t*>(nullptr), static_cast<const std::uint32_t*>(gathered.data())}) {
    std::vector<std::int32_t> expected(count);
    const KernelTable& reference = kernels_named("scalar");
    (reference.*form.kernel)(query.data() + offset, base.data() + offset, bytes, rows, count, expected.data());
    for (const KernelTable* kernels : available_kernels()) {
      Guarded<std::int32_t> found(count);
      (kernels->*form.kernel)(query.data() + offset, base.data() + offset, bytes, rows, count, found.data());
      check(std::equal(expected.begin(), expected.end(), found.data()),
            std::string(form.name) + " " + std::string(isa_name(kernels->isa)) + " lines " + std::to_string(lines) +
                " count " + std::to_string(count) + " offset " + std::to_string(offset));
    }
  }
}

void check_reference_by_hand() {
  std::vector<std::uint8_t> row(64, 0);
  std::vector<std::int8_t> query(128, 0);
  row[0] = 0x21;   // dim 0 has code 1, dim 64 code 2
  row[63] = 0xf0;  // dim 63 has code 0, dim 127 code 15
  query[0] = 3, query[64] = -5, query[63] = 100, query[127] = 7;
  std::int32_t found = 0;
  kernels_named("scalar").nibble_dot(query.data(), row.data(), 64, nullptr, 1, &found);
  check(found == 3 - 10 + 105, "nibble_dot by hand");
  kernels_named("scalar").byte_dot(query.data(), row.data(), 64, nullptr, 1, &found);
  check(found == 0x21 * 3 + 0xf0 * 100, "byte_dot by hand");
}

}  // namespace

void test_code_dot() {
  check_reference_by_hand();
  std::mt19937 random(20261);
  for (const Form& form : forms) {
    for (const std::size_t lines : {1, 2, 3, 5, 12, 31}) {
      for (const std::size_t count : {0, 1, 2, 3, 4, 5, 8, 13}) {
        const std::size_t offset = random() % 64;
        compare(form, lines, count, offset, [&] { return random() & 255; },
                [&] { return static_cast<int>(random() % 255) - 127; });
      }
      for (const int extreme : {-127, 127})
        compare(form, lines, 9, 1, [] { return 255; }, [&] { return extreme; });
    }
    compare(form, max_code_bytes / code_line, 5, 0, [] { return 255; }, [] { return -127; });
  }
}

}  // namespace annbench::tests
