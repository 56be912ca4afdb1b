// A file of named arrays: what every index is saved as. io/index_format.hpp draws the bytes.
//
// The reader trusts nothing: before anything is allocated it has compared the header's CRC, every limit, every product
// and every offset with the size of the file, so that no section is larger than the file and none lies outside it. What
// a section says is checked by whoever reads it: `reject` raises the error in the same form.
//
//   IndexFileWriter writer(path);
//   writer.add("ids", std::span<const std::int64_t>(ids));
//   writer.add("codes", DType::u8, {n, row_bytes}, pieces);   // one Piece a list
//   writer.commit();                                          // only now does `path` change, and all at once
//
//   IndexFileReader reader(path);
//   const Section& codes = reader.section("codes", DType::u8, 2);
//   … codes.shape[0] and codes.shape[1] are compared with what is known; memory is allocated …
//   reader.read(codes, pieces);                               // verifies the section's CRC on the way
//   reader.require_all_read();                                // nothing in the file went unchecked
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "io/file_descriptor.hpp"
#include "support/error.hpp"

namespace annbench {

// A file that is no sound index, or that cannot be read or written.
class IndexFileError : public Error {
 public:
  using Error::Error;
};

struct IndexEntry;  // io/index_format.hpp

// float16 values are u16.
enum class DType : std::uint32_t { u8 = 1, u16 = 2, u32 = 3, u64 = 4, i8 = 5, i64 = 6, f32 = 7 };

std::string_view dtype_name(DType dtype);
// Bytes of one element; 0 for a number that is no DType.
std::size_t dtype_bytes(DType dtype);

bool is_section_name(std::string_view name);

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::u8;
  else if constexpr (std::is_same_v<T, std::uint16_t>) return DType::u16;
  else if constexpr (std::is_same_v<T, std::uint32_t>) return DType::u32;
  else if constexpr (std::is_same_v<T, std::uint64_t>) return DType::u64;
  else if constexpr (std::is_same_v<T, std::int8_t>) return DType::i8;
  else if constexpr (std::is_same_v<T, std::int64_t>) return DType::i64;
  else if constexpr (std::is_same_v<T, float>) return DType::f32;
  else static_assert(sizeof(T) == 0, "no DType for this type");
}

inline constexpr std::size_t max_sections = 64;
inline constexpr std::size_t max_section_name = 31;  // bytes: a-z 0-9 _ . -
inline constexpr std::size_t max_section_rank = 3;
inline constexpr std::uint64_t max_section_extent = std::uint64_t{1} << 48;

// The size of a section along each of up to three dimensions. Only the first may be 0: n = 0 is an empty index, dim = 0
// none.
class Shape {
 public:
  Shape() = default;
  // Throws std::invalid_argument for more than three.
  Shape(std::initializer_list<std::uint64_t> extents)
      : Shape(std::span<const std::uint64_t>(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::uint64_t> extents);

  std::size_t rank() const { return rank_; }
  std::uint64_t operator[](std::size_t i) const { return extents_[i]; }
  std::span<const std::uint64_t> extents() const { return std::span(extents_).first(rank_); }
  std::string text() const;  // "(1000, 384)"
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::uint64_t, max_section_rank> extents_{};
  std::size_t rank_ = 0;
};

struct Piece {
  const void* data = nullptr;
  std::size_t bytes = 0;
};
struct MutablePiece {
  void* data = nullptr;
  std::size_t bytes = 0;
};

struct Section {
  std::string name;
  DType dtype = DType::u8;
  Shape shape;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
  std::size_t index = 0;  // its place in the file

  std::uint64_t count() const { return bytes / dtype_bytes(dtype); }  // elements
};

// Writes a new file beside `path` and puts it in its place by commit(). Without commit() nothing is left of it.
class IndexFileWriter {
 public:
  // Throws IndexFileError where the folder cannot be written to.
  explicit IndexFileWriter(std::string path);
  IndexFileWriter(const IndexFileWriter&) = delete;
  IndexFileWriter& operator=(const IndexFileWriter&) = delete;
  ~IndexFileWriter();

  // Writes a section from pieces that together have the bytes of `shape`. Throws IndexFileError where the system
  // refuses (a full disk), std::invalid_argument where the section itself is wrong: its name, its shape, the sum of its
  // pieces.
  void add(std::string_view name, DType dtype, const Shape& shape, std::span<const Piece> pieces);
  void add(std::string_view name, DType dtype, const Shape& shape, const void* data);
  // An array of pieces would else be taken for its own bytes.
  template <std::size_t n>
  void add(std::string_view name, DType dtype, const Shape& shape, const Piece (&pieces)[n]) {
    add(name, dtype, shape, std::span<const Piece>(pieces));
  }
  template <class T>
  void add(std::string_view name, std::span<const T> values) {
    add(name, dtype_of<T>(), {values.size()}, values.data());
  }
  void add_text(std::string_view name, std::string_view text);

  // Syncs the file to disk and renames it to `path`. To be called once. Throws IndexFileError; `path` is then as it
  // was.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& doing, int error) const;
  std::uint32_t write(const Piece& piece, std::uint32_t crc);
  void pad();
  void seal();

  std::string path_, folder_, temporary_;
  FileDescriptor file_;
  std::uint64_t written_ = 0;
  std::vector<Section> sections_;
};

// One thread at a time.
class IndexFileReader {
 public:
  // Opens the file and checks all of it but the contents of the sections. Throws IndexFileError.
  explicit IndexFileReader(std::string path);

  const std::string& path() const { return path_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  const std::vector<Section>& sections() const { return sections_; }
  bool has(std::string_view name) const;

  // References stay valid as long as the reader. All throw IndexFileError where the section is missing or another than
  // the caller expects.
  const Section& section(std::string_view name) const;
  const Section& section(std::string_view name, DType dtype, std::size_t rank) const;
  const Section& section(std::string_view name, DType dtype, const Shape& shape) const;

  // Reads a section into pieces that together have its bytes (else std::invalid_argument). Throws IndexFileError where
  // its CRC is wrong; what the pieces hold then is of no use.
  void read(const Section& section, std::span<const MutablePiece> pieces);
  void read(const Section& section, void* data);
  template <std::size_t n>
  void read(const Section& section, const MutablePiece (&pieces)[n]) {
    read(section, std::span<const MutablePiece>(pieces));
  }
  // Reads a section just to compare its CRC. `visit` sees its bytes on the way, a stretch at a time, each but the last of
  // a multiple of 4,096 bytes; they are the section's only if nothing is thrown.
  using Visitor = std::function<void(std::span<const unsigned char>)>;
  void verify(const Section& section, const Visitor& visit = {});

  // A section of rank 1 with at most `max_count` elements of T.
  template <class T>
  std::vector<T> read_vector(std::string_view name, std::uint64_t max_count) {
    const Section& found = section(name, dtype_of<T>(), 1);
    require_at_most(found, max_count);
    std::vector<T> values(found.shape[0]);
    read(found, values.data());
    return values;
  }
  std::string read_text(std::string_view name, std::uint64_t max_bytes);

  // Throws IndexFileError where a section was neither read nor verified: a loader ends with it, so that whatever was
  // damaged was noticed, and what it does not know was not ignored.
  void require_all_read() const;
  // The open file, for who reads on from what was verified; the reader can read no more.
  FileDescriptor take_file() { return std::move(file_); }

  // Raises the error of a section whose contents cannot be: reject("lists", "list 3 begins at 90, list 2 ends at 100").
  [[noreturn]] void reject(std::string_view section, const std::string& found) const;

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& found) const;
  void require_at_most(const Section& section, std::uint64_t max_count) const;
  void open();
  std::vector<unsigned char> read_header() const;
  void check_layout(std::span<const unsigned char> header);
  Section checked(const IndexEntry& entry, std::size_t index, std::uint64_t end) const;
  void check_padding(std::uint64_t begin, std::uint64_t end) const;
  void read_exactly(std::uint64_t offset, void* data, std::size_t bytes) const;
  void check_crc(const Section& section, std::uint32_t crc);

  std::string path_;
  FileDescriptor file_;
  std::uint64_t file_bytes_ = 0;
  std::vector<Section> sections_;
  std::vector<bool> read_;
};

}  // namespace annbench
