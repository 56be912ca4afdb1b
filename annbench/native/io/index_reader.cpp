#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "io/checked_math.hpp"
#include "io/index_format.hpp"
#include "io/read_runs.hpp"
#include "kernels/dispatch.hpp"

namespace annbench {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 18;  // read, then summed while it is in cache

std::string quoted(std::string_view name) { return "section '" + std::string(name) + "'"; }

std::string hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%08x", value);
  return text;
}

std::string mismatch(std::uint32_t found, std::uint32_t expected) {
  return "CRC32C is " + hex(found) + ", should be " + hex(expected);
}

std::string at_most(std::uint64_t found, std::uint64_t limit) {
  return std::to_string(found) + ", at most " + std::to_string(limit) + " are possible";
}

bool all_zero(std::span<const unsigned char> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
}

IndexPrelude prelude_of(std::span<const unsigned char> header) {
  IndexPrelude prelude;
  std::memcpy(&prelude, header.data(), sizeof(prelude));
  return prelude;
}

// Empty where the name is none.
std::string name_of(const IndexEntry& entry) {
  const auto end = std::find(entry.name.begin(), entry.name.end(), '\0');
  const auto rest = std::count(end, entry.name.end(), '\0');
  const bool filled_up = rest > 0 && rest == entry.name.end() - end;
  std::string name(entry.name.begin(), end);
  return filled_up && is_section_name(name) ? name : "";
}

template <class T>
std::size_t total_bytes(std::span<const T> pieces) {
  std::size_t total = 0;
  for (const T& piece : pieces) total += piece.bytes;
  return total;
}

}  // namespace

IndexFileReader::IndexFileReader(std::string path) : path_(std::move(path)) {
  open();
  check_layout(read_header());
  read_.resize(sections_.size());
}

void IndexFileReader::fail(const std::string& field, const std::string& found) const {
  throw IndexFileError(path_ + ": " + field, found, damaged_file);
}

void IndexFileReader::reject(std::string_view section, const std::string& found) const { fail(quoted(section), found); }

void IndexFileReader::open() {
  // Without waiting: a pipe would wait for somebody to write to it.
  int number = -1;
  do number = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (number < 0 && errno == EINTR);
  const int error = errno;
  if (number < 0)
    throw IndexFileError(path_, "cannot be opened: " + std::generic_category().message(error),
                         "name an index that was saved, or rebuild it");
  file_ = FileDescriptor(number);
  struct stat status{};
  if (::fstat(number, &status) != 0 || !S_ISREG(status.st_mode))
    throw IndexFileError(path_, "is no regular file", "name an index that was saved, or rebuild it");
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

void IndexFileReader::read_exactly(std::uint64_t offset, void* data, std::size_t bytes) const {
  read_at({file_.number(), path_}, {offset, bytes, static_cast<std::uint8_t*>(data)});
}

// All that is in the header is believed only if its CRC is right; so a version or a byte order that is named was
// written.
std::vector<unsigned char> IndexFileReader::read_header() const {
  std::vector<unsigned char> header(sizeof(IndexPrelude));
  if (file_bytes_ < header.size())
    fail("header", "the file has " + std::to_string(file_bytes_) + " bytes, a header " + std::to_string(header.size()));
  read_exactly(0, header.data(), header.size());
  IndexPrelude prelude = prelude_of(header);
  const bool swapped = prelude.byte_order == __builtin_bswap32(index_byte_order);
  if (prelude.magic != index_magic) fail("magic", "the file does not begin as an index of annbench does");
  if (!swapped && prelude.byte_order != index_byte_order) fail("byte_order", hex(prelude.byte_order) + " is none");
  if (swapped)
    for (std::uint32_t* field : {&prelude.version, &prelude.header_bytes, &prelude.header_crc})
      *field = __builtin_bswap32(*field);

  const std::uint64_t limit = std::min<std::uint64_t>(max_header_bytes, file_bytes_);
  if (prelude.header_bytes < sizeof(IndexPrelude) || prelude.header_bytes > limit)
    fail("header_bytes", at_most(prelude.header_bytes, limit) + ", at least " + std::to_string(sizeof(IndexPrelude)));
  header.resize(prelude.header_bytes);
  read_exactly(0, header.data(), header.size());
  const std::uint32_t crc = crc_of_header(header);
  if (crc != prelude.header_crc) fail("header", mismatch(crc, prelude.header_crc));
  if (swapped)
    throw IndexFileError(path_ + ": byte_order", "written on a machine of the other byte order",
                         "rebuild the index here");
  if (prelude.version != index_version)
    throw IndexFileError(path_ + ": version",
                         "format " + std::to_string(prelude.version) + ", this annbench reads format " +
                             std::to_string(index_version),
                         "rebuild the index, or read it with the annbench that wrote it");
  return header;
}

void IndexFileReader::check_layout(std::span<const unsigned char> bytes) {
  const IndexPrelude prelude = prelude_of(bytes);
  if (bytes.size() != sizeof(IndexHeader))
    fail("header_bytes", std::to_string(bytes.size()) + ", should be " + std::to_string(sizeof(IndexHeader)));
  if (prelude.section_count > max_sections) fail("section_count", at_most(prelude.section_count, max_sections));
  if (prelude.file_bytes != file_bytes_)
    fail("file_bytes", "the header says " + std::to_string(prelude.file_bytes) + ", the file has " +
                           std::to_string(file_bytes_));
  if (!all_zero(prelude.reserved)) fail("header", "what is reserved is not zero");
  const std::size_t used = sizeof(IndexPrelude) + prelude.section_count * sizeof(IndexEntry);
  if (!all_zero(bytes.subspan(used))) fail("header", "the table goes on beyond its last section");

  std::uint64_t end = sizeof(IndexHeader);
  for (std::size_t i = 0; i < prelude.section_count; ++i) {
    IndexEntry entry;
    std::memcpy(&entry, bytes.data() + sizeof(IndexPrelude) + i * sizeof(IndexEntry), sizeof(entry));
    sections_.push_back(checked(entry, i, end));
    check_padding(end, sections_.back().offset);
    end = sections_.back().offset + sections_.back().bytes;
  }
  if (end != file_bytes_)
    fail("file_bytes", std::to_string(file_bytes_) + ", but the last section ends at " + std::to_string(end));
}

// The section that an entry describes, the one before it ending at `end`.
Section IndexFileReader::checked(const IndexEntry& entry, std::size_t index, std::uint64_t end) const {
  const std::string name = name_of(entry);
  if (name.empty()) fail("section " + std::to_string(index), "its name is none");
  if (has(name)) reject(name, "is there twice");
  const auto dtype = static_cast<DType>(entry.dtype);
  if (dtype_bytes(dtype) == 0) reject(name, "dtype " + std::to_string(entry.dtype) + " is none");
  if (entry.rank > max_section_rank) reject(name, "rank " + at_most(entry.rank, max_section_rank));
  for (std::size_t i = 0; i < max_section_rank; ++i) {
    const std::string extent = "shape[" + std::to_string(i) + "] is " + std::to_string(entry.shape[i]);
    if (i >= entry.rank && entry.shape[i] != 0)
      reject(name, extent + ", but the rank is " + std::to_string(entry.rank));
    if (i > 0 && i < entry.rank && entry.shape[i] == 0) reject(name, extent);
    if (entry.shape[i] > max_section_extent) reject(name, extent + ", at most 2^48 is possible");
  }
  const Shape shape(std::span(entry.shape).first(entry.rank));
  const auto count = checked_product(shape.extents());
  const auto bytes = count ? checked_mul(*count, dtype_bytes(dtype)) : std::nullopt;
  if (!bytes) reject(name, "the bytes of shape " + shape.text() + " do not fit into 64 bits");
  if (*bytes != entry.bytes)
    reject(name, "has " + std::to_string(entry.bytes) + " bytes, its shape " + shape.text() + " of " +
                     std::string(dtype_name(dtype)) + " takes " + std::to_string(*bytes));
  const auto offset = checked_round_up(end, section_alignment);
  if (!offset || *offset != entry.offset)
    reject(name, "begins at " + std::to_string(entry.offset) + ", the one before it ends at " + std::to_string(end));
  const auto last = checked_add(*offset, *bytes);
  if (!last || *last > file_bytes_)
    reject(name, std::to_string(*bytes) + " bytes from " + std::to_string(*offset) + " on are more than the file's " +
                     std::to_string(file_bytes_));
  if (entry.reserved != 0) reject(name, "what is reserved is not zero");
  return {name, dtype, shape, *offset, *bytes, entry.crc, index};
}

void IndexFileReader::check_padding(std::uint64_t begin, std::uint64_t end) const {
  unsigned char padding[section_alignment];
  const std::size_t bytes = end - begin;
  read_exactly(begin, padding, bytes);
  if (!all_zero({padding, bytes})) fail("file", "is not zero between its sections, at byte " + std::to_string(begin));
}

bool IndexFileReader::has(std::string_view name) const {
  return std::any_of(sections_.begin(), sections_.end(), [&](const Section& section) { return section.name == name; });
}

const Section& IndexFileReader::section(std::string_view name) const {
  for (const Section& candidate : sections_)
    if (candidate.name == name) return candidate;
  std::string names;
  for (const Section& candidate : sections_) names += (names.empty() ? "" : ", ") + candidate.name;
  reject(name, "is missing; there are: " + (names.empty() ? "none" : names));
}

const Section& IndexFileReader::section(std::string_view name, DType dtype, std::size_t rank) const {
  const Section& found = section(name);
  if (found.dtype != dtype)
    reject(name, "is " + std::string(dtype_name(found.dtype)) + ", should be " + std::string(dtype_name(dtype)));
  if (found.shape.rank() != rank)
    reject(name, "has shape " + found.shape.text() + ", should have " + std::to_string(rank) + " dimensions");
  return found;
}

const Section& IndexFileReader::section(std::string_view name, DType dtype, const Shape& shape) const {
  const Section& found = section(name, dtype, shape.rank());
  if (found.shape != shape) reject(name, "has shape " + found.shape.text() + ", should have " + shape.text());
  return found;
}

void IndexFileReader::check_crc(const Section& section, std::uint32_t crc) {
  if (crc != section.crc) reject(section.name, mismatch(crc, section.crc));
  read_.at(section.index) = true;
}

void IndexFileReader::read(const Section& section, std::span<const MutablePiece> pieces) {
  if (total_bytes(pieces) != section.bytes)
    throw std::invalid_argument(quoted(section.name) + " is read into pieces of other bytes than it has");
  const Crc32cFn crc32c = active_kernels().crc32c;
  std::uint64_t offset = section.offset;
  std::uint32_t crc = 0;
  for (const MutablePiece& piece : pieces)
    for (std::size_t done = 0; done < piece.bytes;) {
      const std::size_t chunk = std::min(piece.bytes - done, chunk_bytes);
      auto* to = static_cast<unsigned char*>(piece.data) + done;
      read_exactly(offset, to, chunk);
      crc = crc32c(crc, to, chunk);
      offset += chunk;
      done += chunk;
    }
  check_crc(section, crc);
}

void IndexFileReader::read(const Section& section, void* data) {
  const MutablePiece all{data, section.bytes};
  read(section, std::span(&all, 1));
}

void IndexFileReader::verify(const Section& section, const Visitor& visit) {
  std::vector<unsigned char> buffer(std::min<std::uint64_t>(section.bytes, chunk_bytes));
  const Crc32cFn crc32c = active_kernels().crc32c;
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < section.bytes;) {
    const std::size_t chunk = std::min<std::uint64_t>(section.bytes - done, buffer.size());
    read_exactly(section.offset + done, buffer.data(), chunk);
    crc = crc32c(crc, buffer.data(), chunk);
    if (visit) visit({buffer.data(), chunk});
    done += chunk;
  }
  check_crc(section, crc);
}

void IndexFileReader::require_at_most(const Section& section, std::uint64_t max_count) const {
  if (section.count() > max_count) reject(section.name, "has " + at_most(section.count(), max_count));
}

std::string IndexFileReader::read_text(std::string_view name, std::uint64_t max_bytes) {
  const Section& found = section(name, DType::u8, 1);
  require_at_most(found, max_bytes);
  std::string text(found.bytes, '\0');
  read(found, text.data());
  return text;
}

void IndexFileReader::require_all_read() const {
  for (const Section& section : sections_)
    if (!read_[section.index]) reject(section.name, "belongs to no index that this annbench knows");
}

}  // namespace annbench
