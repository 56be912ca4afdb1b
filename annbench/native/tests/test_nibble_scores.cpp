#include "kernels/nibble_scores.hpp"

#include <cstring>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Scores by their words, of products from the kernel before; up to a guard page behind the slack.
void compare(std::size_t lines, std::size_t count, std::mt19937& random) {
  const std::size_t bytes = lines * code_line, offset = random() % 64;
  std::normal_distribution<float> normal;
  std::vector<std::uint8_t> codes(offset + count * bytes);
  std::vector<std::int8_t> values(2 * bytes);
  for (std::uint8_t& byte : codes) byte = static_cast<std::uint8_t>(random());
  for (std::int8_t& byte : values) byte = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
  for (std::size_t i = 0; i < count; ++i) {
    const float factors[] = {normal(random), 1e-3f * normal(random)};
    std::memcpy(codes.data() + offset + (i + 1) * bytes - 8, factors, 8);
  }
  const Guarded<std::uint8_t> base(codes);
  const Guarded<std::int8_t> query(values);
  std::vector<std::uint32_t> gathered(count);
  for (std::uint32_t& row : gathered) row = static_cast<std::uint32_t>(random() % count);
  const Guarded<std::uint32_t> guarded(gathered);
  const ScoreTerms terms{normal(random), 0.013f, normal(random)};
  for (const std::uint32_t* rows : {static_cast<const std::uint32_t*>(nullptr), static_cast<const std::uint32_t*>(guarded.data())}) {
    std::vector<std::int32_t> products(count);
    kernels_named("scalar").nibble_dot(query.data(), base.data() + offset, bytes, rows, count, products.data());
    std::vector<float> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      float factors[2];
      std::memcpy(factors, base.data() + offset + ((rows == nullptr ? i : rows[i]) + 1) * bytes - 8, 8);
      const float inner = terms.step * static_cast<float>(products[i]) + terms.centre;
      expected[i] = terms.offset + factors[0] + factors[1] * inner;
    }
    for (const KernelTable* kernels : available_kernels()) {
      Guarded<float> found(count);
      kernels->nibble_scores(query.data(), terms, base.data() + offset, bytes, rows, count, found.data());
      check(std::memcmp(expected.data(), found.data(), count * sizeof(float)) == 0,
            "nibble_scores " + std::string(isa_name(kernels->isa)) + " lines " + std::to_string(lines) + " count " + std::to_string(count));
    }
  }
}

}  // namespace

void test_nibble_scores() {
  std::mt19937 random(20262);
  for (const std::size_t lines : {1, 2, 3, 6})
    for (std::size_t count = 0; count <= 70; ++count) compare(lines, count, random);
  compare(2, 600, random);
}

}  // namespace annbench::tests
