#include <random>
#include <string_view>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Bytes = std::vector<std::uint8_t>;

// The definition, bit by bit.
std::uint32_t by_bits(std::uint32_t crc, const std::uint8_t* data, std::size_t bytes) {
  crc = ~crc;
  for (std::size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

// RFC 3720, appendix B.4, and the check value of the usual catalogues of CRCs.
void check_published_values(const KernelTable& kernels) {
  const std::string isa(isa_name(kernels.isa));
  const auto crc = [&](const Bytes& bytes) { return kernels.crc32c(0, bytes.data(), bytes.size()); };
  Bytes rising(32), falling(32);
  for (std::uint8_t i = 0; i < 32; ++i) rising[i] = i, falling[31 - i] = i;
  constexpr std::string_view digits = "123456789";
  check(crc(Bytes(32, 0x00)) == 0x8a9136aa, "crc32c of 32 zeros, " + isa);
  check(crc(Bytes(32, 0xff)) == 0x62a8ab43, "crc32c of 32 times 0xff, " + isa);
  check(crc(rising) == 0x46dd794e, "crc32c of 0 … 31, " + isa);
  check(crc(falling) == 0x113fdb5c, "crc32c of 31 … 0, " + isa);
  check(crc(Bytes(digits.begin(), digits.end())) == 0xe3069283, "crc32c of the nine digits, " + isa);
  check(crc({}) == 0 && kernels.crc32c(0x12345678, nullptr, 0) == 0x12345678, "crc32c of nothing, " + isa);
}

void compare(const KernelTable& kernels, const Guarded<std::uint8_t>& bytes, std::size_t offset, std::uint32_t start) {
  const std::size_t count = bytes.size() - offset;
  const std::uint32_t expected = by_bits(start, bytes.data() + offset, count);
  const std::string label = std::string(isa_name(kernels.isa)) + " bytes " + std::to_string(count) + " offset " +
                            std::to_string(offset);
  check(kernels.crc32c(start, bytes.data() + offset, count) == expected, "crc32c " + label);
  const std::size_t part = count / 3;
  const std::uint32_t first = kernels.crc32c(start, bytes.data() + offset, part);
  check(kernels.crc32c(first, bytes.data() + offset + part, count - part) == expected, "crc32c in two parts, " + label);
}

}  // namespace

void test_crc32c() {
  std::mt19937 random(20240614);
  // Up to 300, and around where the three stretches of 256 and of 4,096 bytes begin.
  std::vector<std::size_t> sizes(301);
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = i;
  sizes.insert(sizes.end(), {767, 768, 769, 1535, 1536, 1544, 12287, 12288, 12289, 13064, 65537});
  for (const KernelTable* kernels : available_kernels()) check_published_values(*kernels);
  for (const std::size_t size : sizes)
    for (const std::size_t offset : {0, 1, 2, 3, 4, 5, 6, 7}) {
      Guarded<std::uint8_t> bytes(size + offset);
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(random());
      const auto start = static_cast<std::uint32_t>(offset % 2 == 0 ? 0 : random());
      for (const KernelTable* kernels : available_kernels()) compare(*kernels, bytes, offset, start);
    }
}

}  // namespace annbench::tests
