#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "io/checked_math.hpp"
#include "io/index_format.hpp"
#include "kernels/dispatch.hpp"

namespace annbench {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;  // summed while it is in cache, then written

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A file that nobody else has, in the folder of the one it will become: a rename does not cross file systems.
std::string temporary_in(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  return folder + "/.annbench-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".partial";
}

void require(bool condition, std::string_view name, const char* what) {
  if (!condition) throw std::invalid_argument("section '" + std::string(name) + "' " + what);
}

std::uint64_t bytes_of(std::string_view name, DType dtype, const Shape& shape) {
  require(dtype_bytes(dtype) != 0, name, "has no DType");
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    require(shape[i] <= max_section_extent, name, "is too large");
    require(i == 0 || shape[i] != 0, name, "has nothing along a dimension other than the first");
  }
  const auto count = checked_product(shape.extents());
  const auto bytes = count ? checked_mul(*count, dtype_bytes(dtype)) : std::nullopt;
  require(bytes.has_value(), name, "is too large");
  return *bytes;
}

}  // namespace

IndexFileWriter::IndexFileWriter(std::string path) : path_(std::move(path)), folder_(folder_of(path_)) {
  std::string name;
  int number = -1;
  do {  // again where a dead process has left one, in a container with few process numbers
    name = temporary_in(folder_);
    number = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (number < 0 && (errno == EINTR || errno == EEXIST));
  if (number < 0) fail("cannot make a file in its folder", errno);
  file_ = FileDescriptor(number);
  temporary_ = std::move(name);
  try {
    const IndexHeader nothing_yet{};
    write({&nothing_yet, sizeof(nothing_yet)}, 0);
  } catch (...) {
    ::unlink(temporary_.c_str());
    throw;
  }
}

IndexFileWriter::~IndexFileWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void IndexFileWriter::fail(const std::string& doing, int error) const {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw IndexFileError(path_, doing + ": " + std::generic_category().message(error),
                       full ? "make room or save elsewhere" : "save to a folder that can be written to");
}

std::uint32_t IndexFileWriter::write(const Piece& piece, std::uint32_t crc) {
  const Crc32cFn crc32c = active_kernels().crc32c;
  const auto* from = static_cast<const unsigned char*>(piece.data);
  for (std::size_t left = piece.bytes; left > 0;) {
    const std::size_t chunk = std::min(left, chunk_bytes);
    crc = crc32c(crc, from, chunk);
    for (std::size_t done = 0; done < chunk;) {
      const ssize_t wrote = ::write(file_.number(), from + done, chunk - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) fail("cannot write", wrote < 0 ? errno : ENOSPC);
      done += static_cast<std::size_t>(wrote);
    }
    from += chunk;
    left -= chunk;
  }
  written_ += piece.bytes;
  return crc;
}

void IndexFileWriter::pad() {
  constexpr unsigned char zeros[section_alignment] = {};
  const std::uint64_t beyond = written_ % section_alignment;
  if (beyond != 0) write({zeros, section_alignment - beyond}, 0);
}

void IndexFileWriter::add(std::string_view name, DType dtype, const Shape& shape, std::span<const Piece> pieces) {
  require(is_section_name(name), name, "is no name: 1 to 31 of a-z 0-9 _ . -");
  require(sections_.size() < max_sections, name, "is one too many: a file holds 64");
  for (const Section& other : sections_) require(other.name != name, name, "was added before");
  std::uint64_t total = 0;
  for (const Piece& piece : pieces) total += piece.bytes;
  require(total == bytes_of(name, dtype, shape), name, "has other bytes than its shape");
  sections_.reserve(sections_.size() + 1);
  pad();
  Section section{std::string(name), dtype, shape, written_, total, 0, sections_.size()};
  for (const Piece& piece : pieces) section.crc = write(piece, section.crc);
  sections_.push_back(std::move(section));
}

void IndexFileWriter::add(std::string_view name, DType dtype, const Shape& shape, const void* data) {
  const Piece all{data, bytes_of(name, dtype, shape)};
  add(name, dtype, shape, std::span(&all, 1));
}

void IndexFileWriter::add_text(std::string_view name, std::string_view text) {
  add(name, DType::u8, {text.size()}, text.data());
}

// Writes the header over the zeros that kept its place.
void IndexFileWriter::seal() {
  IndexHeader header;
  header.prelude.header_bytes = sizeof(IndexHeader);
  header.prelude.section_count = static_cast<std::uint32_t>(sections_.size());
  header.prelude.file_bytes = written_;
  for (const Section& section : sections_) {
    IndexEntry& entry = header.entries[section.index];
    std::copy(section.name.begin(), section.name.end(), entry.name.begin());
    entry.dtype = static_cast<std::uint32_t>(section.dtype);
    entry.rank = static_cast<std::uint32_t>(section.shape.rank());
    std::copy(section.shape.extents().begin(), section.shape.extents().end(), entry.shape.begin());
    entry.offset = section.offset;
    entry.bytes = section.bytes;
    entry.crc = section.crc;
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  header.prelude.header_crc = crc_of_header({bytes, sizeof(header)});
  if (::lseek(file_.number(), 0, SEEK_SET) != 0) fail("cannot write", errno);
  write({bytes, sizeof(header)}, 0);
}

void IndexFileWriter::commit() {
  if (temporary_.empty()) throw std::logic_error("an index file is committed once");
  seal();
  if (::fsync(file_.number()) != 0) fail("cannot write", errno);
  if (file_.close() != 0) fail("cannot write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be put in its place", errno);
  temporary_.clear();
  // So that the new name outlives a power failure; some file systems cannot and need not.
  const FileDescriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.is_open()) ::fsync(folder.number());
}

}  // namespace annbench
