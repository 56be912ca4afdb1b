// Reading stretches of an open file by their positions: explicit reads, so that a file that was cut short meanwhile is
// an error and not a signal, as it would be for mapped memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace annbench {

inline constexpr const char* damaged_file = "the file is damaged or was altered: copy it again or rebuild the index";

struct OpenFile {
  int number;
  const std::string& path;  // for messages
};

struct Run {
  std::uint64_t offset;
  std::size_t bytes;
  std::uint8_t* to;
};

// Throws IndexFileError where the system refuses or the file ends before.
void read_at(const OpenFile& file, const Run& run);

// The same for several. The disk is asked for all that the system does not have in memory before the first is waited
// for.
void read_all(const OpenFile& file, std::span<const Run> runs);

// Tells the system that no stretch says anything about the next.
void expect_random_reads(const OpenFile& file);

}  // namespace annbench
