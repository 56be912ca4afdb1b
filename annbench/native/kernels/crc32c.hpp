// crc32c: the checksum of what is kept on disk.
//
// Contract
//   crc32c(crc, data, bytes) is the CRC-32C (Castagnoli; RFC 3720, appendix B.4) of what `crc` is the checksum of,
//   followed by `bytes` bytes at `data`: crc32c(crc32c(0, a), b) = crc32c(0, ab), and that of nothing is 0. No
//   alignment is needed; nothing is read beyond `bytes`. Every ISA gives the same integer.
//
// The instruction takes eight bytes a cycle but three cycles to answer, so three stretches are summed side by side. The
// CRC of one that is followed by n bytes is that CRC times x^(8n) modulo the polynomial, a linear map of 32 bits: four
// table look-ups. Reference for the arrangement: Gopal et al., "Fast CRC computation for iSCSI polynomial", Intel,
// 2011.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa.hpp"

namespace annbench {

using Crc32cFn = std::uint32_t (*)(std::uint32_t crc, const void* data, std::size_t bytes);

namespace crc32c_detail {

inline constexpr std::uint32_t polynomial = 0x82f63b78;  // bits reversed: the lowest is the coefficient of x^31

// table[t][b]: byte b, followed by t bytes of zeros.
inline constexpr auto byte_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][b] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t b = 0; b < 256; ++b)
      tables[t][b] = (tables[t - 1][b] >> 8) ^ tables[0][tables[t - 1][b] & 255];
  return tables;
}();

}  // namespace crc32c_detail

// ---- scalar reference: eight bytes at a time, each by the table for the bytes that follow it

inline std::uint32_t crc32c_scalar(std::uint32_t crc, const void* data, std::size_t bytes) {
  const auto* p = static_cast<const std::uint8_t*>(data);
  const auto& tables = crc32c_detail::byte_tables;
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8)
    crc = tables[7][(crc ^ p[0]) & 255] ^ tables[6][((crc >> 8) ^ p[1]) & 255] ^ tables[5][((crc >> 16) ^ p[2]) & 255] ^
          tables[4][(crc >> 24) ^ p[3]] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
  for (; bytes > 0; --bytes, ++p) crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 255];
  return ~crc;
}

// ---- three stretches side by side, for every ISA that has an instruction

#if ANNBENCH_HAS_AVX2 || ANNBENCH_HAS_NEON
namespace crc32c_detail {

// a·b modulo the polynomial, bits reversed.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1, b = (b >> 1) ^ ((b & 1) != 0 ? polynomial : 0))
    if ((a & bit) != 0) product ^= b;
  return product;
}

// How a CRC changes that `bytes` more bytes of zeros follow, by its four bytes.
class Shift {
 public:
  explicit constexpr Shift(std::size_t bytes) {
    std::uint32_t power = 1u << 31, square = 1u << 23;  // 1, x^8
    for (; bytes > 0; bytes /= 2, square = multiply(square, square))
      if (bytes % 2 == 1) power = multiply(power, square);
    for (std::uint32_t t = 0; t < 4; ++t)
      for (std::uint32_t b = 1; b < 256; ++b) {
        const std::uint32_t lowest = b & -b;
        tables_[t][b] = b == lowest ? multiply(power, b << (8 * t)) : tables_[t][b ^ lowest] ^ tables_[t][lowest];
      }
  }
  std::uint32_t operator()(std::uint32_t crc) const {
    return tables_[0][crc & 255] ^ tables_[1][(crc >> 8) & 255] ^ tables_[2][(crc >> 16) & 255] ^ tables_[3][crc >> 24];
  }

 private:
  std::array<std::array<std::uint32_t, 256>, 4> tables_{};
};

inline constexpr std::size_t long_stretch = 4096, short_stretch = 256;  // bytes
inline constexpr Shift after_long{long_stretch}, after_short{short_stretch};

inline std::uint64_t word_at(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

}  // namespace crc32c_detail
#endif

// ---- AVX2 and AVX-512: the instruction of SSE4.2, which every processor with AVX has

#if ANNBENCH_HAS_AVX2
#define ANNBENCH_TARGET_SSE42 __attribute__((target("sse4.2")))
namespace crc32c_detail {

ANNBENCH_TARGET_SSE42 inline std::uint32_t three_sse42(std::uint32_t crc, const std::uint8_t* p, std::size_t stretch,
                                                       const Shift& after) {
  std::uint64_t a = crc, b = 0, c = 0;
  for (std::size_t i = 0; i < stretch; i += 8) {
    a = _mm_crc32_u64(a, word_at(p + i));
    b = _mm_crc32_u64(b, word_at(p + i + stretch));
    c = _mm_crc32_u64(c, word_at(p + i + 2 * stretch));
  }
  const std::uint32_t ab = after(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
  return after(ab) ^ static_cast<std::uint32_t>(c);
}

}  // namespace crc32c_detail

ANNBENCH_TARGET_SSE42 inline std::uint32_t crc32c_sse42(std::uint32_t crc, const void* data, std::size_t bytes) {
  using namespace crc32c_detail;
  const auto* p = static_cast<const std::uint8_t*>(data);
  crc = ~crc;
  for (; bytes >= 3 * long_stretch; bytes -= 3 * long_stretch, p += 3 * long_stretch)
    crc = three_sse42(crc, p, long_stretch, after_long);
  for (; bytes >= 3 * short_stretch; bytes -= 3 * short_stretch, p += 3 * short_stretch)
    crc = three_sse42(crc, p, short_stretch, after_short);
  for (; bytes >= 8; bytes -= 8, p += 8) crc = static_cast<std::uint32_t>(_mm_crc32_u64(crc, word_at(p)));
  for (; bytes > 0; --bytes, ++p) crc = _mm_crc32_u8(crc, *p);
  return ~crc;
}
#endif

// ---- AArch64: an extension of its own, which every processor of the last ten years has; dispatch.cpp asks for it. By
// assembler, because compilers declare the intrinsics only where all of the file is compiled for it

#if ANNBENCH_HAS_NEON
namespace crc32c_detail {

inline std::uint32_t add_word_arm(std::uint32_t crc, std::uint64_t word) {
  __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
  return crc;
}
inline std::uint32_t add_byte_arm(std::uint32_t crc, std::uint8_t byte) {
  __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(byte));
  return crc;
}

inline std::uint32_t three_arm(std::uint32_t crc, const std::uint8_t* p, std::size_t stretch, const Shift& after) {
  std::uint32_t a = crc, b = 0, c = 0;
  for (std::size_t i = 0; i < stretch; i += 8) {
    a = add_word_arm(a, word_at(p + i));
    b = add_word_arm(b, word_at(p + i + stretch));
    c = add_word_arm(c, word_at(p + i + 2 * stretch));
  }
  return after(after(a) ^ b) ^ c;
}

}  // namespace crc32c_detail

inline std::uint32_t crc32c_arm(std::uint32_t crc, const void* data, std::size_t bytes) {
  using namespace crc32c_detail;
  const auto* p = static_cast<const std::uint8_t*>(data);
  crc = ~crc;
  for (; bytes >= 3 * long_stretch; bytes -= 3 * long_stretch, p += 3 * long_stretch)
    crc = three_arm(crc, p, long_stretch, after_long);
  for (; bytes >= 3 * short_stretch; bytes -= 3 * short_stretch, p += 3 * short_stretch)
    crc = three_arm(crc, p, short_stretch, after_short);
  for (; bytes >= 8; bytes -= 8, p += 8) crc = add_word_arm(crc, word_at(p));
  for (; bytes > 0; --bytes, ++p) crc = add_byte_arm(crc, *p);
  return ~crc;
}
#endif

// ---- table row; there is no wider version, memory is no faster than this one

inline constexpr Crc32cFn crc32c_table[isa_count] = {
    crc32c_scalar,
#if ANNBENCH_HAS_AVX2
    crc32c_sse42,
    crc32c_sse42,
#elif ANNBENCH_HAS_AVX512
    nullptr,
    crc32c_scalar,  // emulated builds have no SSE4.2
#else
    nullptr,
    nullptr,
#endif
#if ANNBENCH_HAS_NEON
    crc32c_arm,
#else
    nullptr,
#endif
};

}  // namespace annbench
