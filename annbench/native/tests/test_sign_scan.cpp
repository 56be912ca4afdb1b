#include "kernels/sign_scan.hpp"

#include <algorithm>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Tables whose largest entries sum to 255, no less, in the even and in the odd groups of every stretch; or to less.
std::vector<std::uint8_t> random_tables(std::size_t groups, std::size_t used, bool full, std::mt19937& random) {
  std::vector<std::uint8_t> tables(16 * groups, 0);
  for (std::size_t begin = 0; begin < used; begin += sign_stretch)
    for (std::size_t parity = 0; parity < 2; ++parity) {
      const std::size_t end = std::min(used, begin + sign_stretch);
      unsigned left = 255;
      for (std::size_t g = begin + parity; g < end; g += 2) {
        const unsigned largest = g + 2 >= end && full ? left : random() % (left + 1);
        left -= largest;
        for (std::size_t e = 0; e < 16; ++e)
          tables[16 * g + e] = static_cast<std::uint8_t>(full ? largest : random() % (largest + 1));
      }
    }
  return tables;
}

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

// Tables and blocks end at a guard page and begin `offset` bytes into their memory; so do what is written.
void compare(std::size_t groups, std::size_t count, std::size_t offset, bool full, std::mt19937& random) {
  const std::string name = " groups " + std::to_string(groups) + " count " + std::to_string(count);
  const std::size_t used = groups - random() % 2 * 2;
  std::vector<std::uint8_t> entries = random_tables(groups, used, full, random);
  entries.insert(entries.begin(), offset, std::uint8_t{255});
  const std::size_t bytes = sign_block_bytes(groups);
  std::vector<std::uint8_t> memory(offset + (count + table_block - 1) / table_block * bytes);
  for (std::uint8_t& byte : memory) byte = static_cast<std::uint8_t>(random());  // what is beyond count stays that
  std::normal_distribution<float> normal;
  std::vector<float> expected(count);
  const SignScan values{nullptr, groups, used, 0.01f, -3.7f, 0.3f, 1.9f};
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t* block = memory.data() + offset + i / table_block * bytes;
    const std::size_t j = i % table_block;
    const float bias = normal(random);
    const std::uint32_t word = bits_of(std::fabs(normal(random))) ^ (random() & 0xfff);
    std::memcpy(block + sign_bias_offset(groups) + 4 * j, &bias, 4);
    std::memcpy(block + sign_word_offset(groups) + 4 * j, &word, 4);
    std::vector<std::uint8_t> code(groups);
    get_table_code(block, groups, j, code.data());
    std::uint32_t sum = 0;
    for (std::size_t g = 0; g < groups; ++g) sum += entries[offset + 16 * g + code[g]];
    check(sum <= 65535, "the rule of tables keeps sums within 16 bits");
    const float inner = std::fma(values.step, static_cast<float>(sum), values.base);
    const float error = std::bit_cast<float>((word & 0x1fff) << 19);
    expected[i] = std::fma(std::bit_cast<float>(word & 0x7fffffff), inner, bias) + std::fma(values.slack, error, values.offset);
  }
  const Guarded<std::uint8_t> blocks(memory), tables(entries);
  SignScan scan = values;
  scan.tables = tables.data() + offset;
  for (const KernelTable* kernels : available_kernels()) {
    const std::string where = std::string(isa_name(kernels->isa)) + name;
    Guarded<float> bounds(count);
    kernels->sign_bounds(scan, blocks.data() + offset, count, bounds.data());
    bool same = true;
    for (std::size_t i = 0; i < count; ++i) same = same && bits_of(bounds[i]) == bits_of(expected[i]);
    check(same, "sign_bounds " + where);
  }
}

}  // namespace

void test_sign_scan() {
  std::mt19937 random(3120);
  for (std::size_t groups = 4; groups <= 260; groups += 4) compare(groups, 1 + random() % 100, random() % 64, groups % 8 == 0, random);
  for (const std::size_t groups : {4, 16, 60})
    for (const std::size_t count : {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 131}) compare(groups, count, 1, false, random);
  compare(max_table_groups, 70, 0, true, random);
}

}  // namespace annbench::tests
