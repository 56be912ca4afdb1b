// The bytes of an index file, as the writer lays them out and the reader takes them apart.
//
//   offset      bytes
//   0           64        prelude: magic, byte order, version, sizes, CRC32C of the header
//   64          64 · 88   the table of sections: as many entries as the prelude says, the rest zeros
//   5,696       …         sections in the order of the table, each on the next multiple of 64, zeros between
//
// Everything is in the byte order of the machine that wrote it, as the arrays in memory were. The prelude keeps its
// form in every version and byte order, so that a reader can say which one it met; its CRC is compared before either is
// believed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/index_file.hpp"

namespace annbench {

inline constexpr std::array<unsigned char, 8> index_magic = {0x89, 'A', 'N', 'N', 'B', '\r', '\n', 0x1a};
inline constexpr std::uint32_t index_byte_order = 0x01020304;
inline constexpr std::uint32_t index_version = 1;
inline constexpr std::uint64_t section_alignment = 64;

struct IndexPrelude {
  std::array<unsigned char, 8> magic = index_magic;
  std::uint32_t byte_order = index_byte_order;
  std::uint32_t version = index_version;
  std::uint32_t header_bytes = 0;  // prelude and table
  std::uint32_t section_count = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t header_crc = 0;  // computed with this field 0
  std::array<unsigned char, 28> reserved{};
};
static_assert(sizeof(IndexPrelude) == 64 && alignof(IndexPrelude) == 8);

struct IndexEntry {
  std::array<char, max_section_name + 1> name{};  // filled up with zeros
  std::uint32_t dtype = 0;
  std::uint32_t rank = 0;
  std::array<std::uint64_t, max_section_rank> shape{};  // zeros beyond the rank
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(IndexEntry) == 88 && alignof(IndexEntry) == 8);

struct IndexHeader {
  IndexPrelude prelude;
  std::array<IndexEntry, max_sections> entries{};
};
static_assert(sizeof(IndexHeader) == sizeof(IndexPrelude) + max_sections * sizeof(IndexEntry));
static_assert(sizeof(IndexHeader) % section_alignment == 0);

inline constexpr std::uint32_t max_header_bytes = 1u << 16;  // of any version
static_assert(sizeof(IndexHeader) <= max_header_bytes);

// The CRC32C that belongs into the field header_crc of a header of at least a prelude, whatever is there now.
std::uint32_t crc_of_header(std::span<const unsigned char> header);

}  // namespace annbench
