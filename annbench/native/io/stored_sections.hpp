// Sections of an index file that stay in the file: checked once, then read where they are needed, through a cache.
//
//   StoredSections stored;
//   const std::size_t vectors = stored.keep(reader, reader.section("rerank0"));   // verifies its CRC, in little memory
//   … the rest of the file is read …
//   stored.open(reader, cache_bytes);
//   stored.fetch(vectors, ranges);   // by any number of threads
//
// The file stays open: who replaces or deletes it under its name changes nothing here. Who writes into it is found out:
// while a section is checked every block of 4 KiB gets a CRC32C of its own, which every later read is compared with. A
// CRC is no signature: what a caller indexes memory by it compares with its limits all the same.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/block_cache.hpp"
#include "io/file_descriptor.hpp"
#include "io/index_file.hpp"
#include "io/read_runs.hpp"

namespace annbench {

// Bytes of a section and where they are wanted.
struct StoredRange {
  std::uint64_t offset;
  std::size_t bytes;
  std::uint8_t* to;
};

// Blocks that were in the cache and that were not, and the bytes that were read for these.
struct StoredCounts {
  std::uint64_t hits = 0, misses = 0, bytes_read = 0;
};

class StoredSections {
 public:
  // Checks a section, and knows it by the number that is returned. Throws IndexFileError.
  std::size_t keep(IndexFileReader& reader, const Section& section, const IndexFileReader::Visitor& visit = {});
  // Goes on with the reader's file. To be called once, after the last keep(). Throws std::bad_alloc.
  void open(IndexFileReader& reader, std::size_t cache_bytes);

  // Reads ranges of a section: what is not in the cache in the order of the file, up to 256 blocks asked for before any
  // of them is waited for. In between this takes up to 1 MiB. Throws IndexFileError where the file cannot be read or is not what
  // was checked, std::bad_alloc; what the ranges hold then is of no use.
  void fetch(std::size_t section, std::span<const StoredRange> ranges) const;

  // Raises the error of a section whose contents cannot be, although its checksums are right.
  [[noreturn]] void reject(std::size_t section, const std::string& found) const;

  std::uint64_t section_bytes(std::size_t section) const { return kept_.at(section).bytes; }
  std::size_t cache_bytes() const { return cache_ ? cache_->nbytes() : 0; }
  std::size_t checksum_bytes() const;
  StoredCounts counts() const { return {hits_.load(), misses_.load(), bytes_read_.load()}; }
  void reset_counts() { hits_ = misses_ = bytes_read_ = 0; }

 private:
  // Blocks are those of the file, so that none lies in two of its pages: the first and the last hold what there is of
  // the section.
  struct Kept {
    std::string name;
    std::uint64_t offset, bytes, first_block;
    std::uint64_t number;  // of the first block, in the cache
    std::vector<std::uint32_t> checksums;
  };
  // A part of a range that lies in one block.
  struct Miss {
    std::uint64_t block;
    std::size_t begin, bytes;
    std::uint8_t* to;
  };

  [[noreturn]] void fail(const Kept& kept, const std::string& found) const;
  static Run run_of(const Kept& kept, std::uint64_t block, std::uint8_t* to);
  void read_misses(const Kept& kept, std::span<const Miss> misses, std::uint64_t blocks) const;
  void check(const Kept& kept, std::uint64_t block, std::span<const std::uint8_t> data) const;

  std::string path_;
  FileDescriptor file_;
  std::vector<Kept> kept_;
  mutable std::optional<BlockCache> cache_;
  mutable std::atomic<std::uint64_t> hits_ = 0, misses_ = 0, bytes_read_ = 0;
};

}  // namespace annbench
