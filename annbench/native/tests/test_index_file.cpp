#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <functional>
#include <limits>
#include <stdexcept>

#include "io/checked_math.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/index_bytes.hpp"

namespace annbench::tests {
namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

// 5 rows of 3 bytes in two lists, ids, a float matrix, a text, an empty section, a scalar.
const std::vector<std::uint8_t> first_codes = {1, 2, 3, 4, 5, 6}, second_codes = {7, 8, 9, 10, 11, 12, 13, 14, 15};
const std::vector<std::int64_t> ids = {5, -1, 7, 1'000'000'000'000, 0};
const std::vector<float> centroids = {0.5f, -1.0f, 2.25f, 3.0f};

void add_small_index(IndexFileWriter& writer) {
  const std::uint64_t seed = 42;
  const Piece lists[] = {{first_codes.data(), 6}, {nullptr, 0}, {second_codes.data(), 9}};
  writer.add_text("spec", R"({"codec": "uniform"})");
  writer.add("codes", DType::u8, {5, 3}, lists);
  writer.add("ids", std::span<const std::int64_t>(ids));
  writer.add("removed", std::span<const std::uint32_t>());
  writer.add("centroids", DType::f32, {2, 2}, centroids.data());
  writer.add("seed", DType::u64, {}, &seed);
}

void save_small_index(const std::string& path) {
  IndexFileWriter writer(path);
  add_small_index(writer);
  writer.commit();
}

// As a loader does it: nothing is allocated that was not compared with what is expected.
struct SmallIndex {
  std::string spec;
  std::vector<std::uint8_t> codes;
  std::vector<std::int64_t> ids;
  std::vector<float> centroids;
  std::uint64_t seed = 0;
};

SmallIndex load_small_index(const std::string& path) {
  SmallIndex index;
  IndexFileReader reader(path);
  index.spec = reader.read_text("spec", 1000);
  index.ids = reader.read_vector<std::int64_t>("ids", 100);
  const std::uint64_t n = index.ids.size();
  const Section& codes = reader.section("codes", DType::u8, {n, 3});
  index.codes.resize(codes.count());
  const MutablePiece pieces[] = {{index.codes.data(), 1}, {nullptr, 0}, {index.codes.data() + 1, codes.bytes - 1}};
  reader.read(codes, pieces);
  const Section& centroids = reader.section("centroids", DType::f32, 2);
  if (centroids.shape[1] != 2) reader.reject("centroids", "dim is " + std::to_string(centroids.shape[1]));
  index.centroids.resize(centroids.count());
  reader.read(centroids, index.centroids.data());
  reader.verify(reader.section("removed", DType::u32, 1));
  reader.read(reader.section("seed", DType::u64, Shape{}), &index.seed);
  reader.require_all_read();
  return index;
}

// What an error says, or nothing.
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const IndexFileError& error) {
    check(!error.where().empty() && !error.message().empty() && !error.remedy().empty(),
          std::string("an error has all its parts: ") + error.what());
    return error.what();
  } catch (const std::exception& error) {
    check(false, std::string("another exception than IndexFileError: ") + error.what());
  }
  return "";
}

std::string load_error(const std::string& path) {
  return error_of([&] { load_small_index(path); });
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

bool is_misuse(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::logic_error&) {
    return true;
  }
  return false;
}

void check_round_trip(const TemporaryFolder& folder) {
  const std::string path = folder.file("small.annbench"), again = folder.file("again.annbench");
  save_small_index(path);
  save_small_index(again);
  check(bytes_of_file(path) == bytes_of_file(again), "the same index is the same bytes");
  check(folder.names().size() == 2, "a commit leaves no temporary file");

  const SmallIndex index = load_small_index(path);
  std::vector<std::uint8_t> codes = first_codes;
  codes.insert(codes.end(), second_codes.begin(), second_codes.end());
  check(index.spec == R"({"codec": "uniform"})" && index.codes == codes && index.ids == ids &&
            index.centroids == centroids && index.seed == 42,
        "what is saved is loaded");

  IndexFileReader reader(path);
  check(reader.sections().size() == 6 && reader.has("ids") && !reader.has("id"), "the table of sections");
  for (const Section& section : reader.sections()) check(section.offset % 64 == 0, "sections begin on cache lines");
  check(reader.file_bytes() == bytes_of_file(path).size(), "the size of the file");
  check(contains(error_of([&] { reader.require_all_read(); }), "spec"), "a section that nobody read is an error");
  check(contains(error_of([&] { reader.section("edges"); }), "spec, codes, ids"), "a missing section: what there is");
  check(contains(error_of([&] { reader.section("ids", DType::u32, 1); }), "is int64, should be uint32"),
        "another dtype");
  check(contains(error_of([&] { reader.section("ids", DType::i64, 2); }), "should have 2 dim"), "another rank");
  check(contains(error_of([&] { reader.section("codes", DType::u8, {5, 4}); }), "(5, 3), should have (5, 4)"),
        "another shape");
  check(contains(error_of([&] { reader.read_vector<std::int64_t>("ids", 4); }), "has 5, at most 4"),
        "more than expected");
  check(contains(error_of([&] { reader.read_text("spec", 3); }), "has 20, at most 3"), "a longer text than expected");
  check(is_misuse([&] { reader.read(reader.section("ids"), std::span<const MutablePiece>()); }), "too small pieces");
}

void check_empty_and_many(const TemporaryFolder& folder) {
  const std::string path = folder.file("sizes.annbench");
  IndexFileWriter(path).commit();
  check(IndexFileReader(path).sections().empty(), "a file without sections");
  IndexFileWriter writer(path);
  for (std::size_t i = 0; i < max_sections; ++i)
    writer.add_text("section-" + std::to_string(i) + std::string(i % 2 == 0 ? 0 : 10, 'x'), std::string(i, 'a'));
  check(is_misuse([&] { writer.add_text("one-too-many", ""); }), "65 sections");
  writer.commit();
  IndexFileReader reader(path);
  for (const Section& section : reader.sections())
    check(reader.read_text(section.name, 64) == std::string(section.index, 'a'), "64 sections");
}

void check_misuse(const TemporaryFolder& folder) {
  IndexFileWriter writer(folder.file("misuse.annbench"));
  const std::uint64_t two[] = {1, 2};
  writer.add("once", DType::u64, {2}, two);
  for (const std::string& name : {std::string(), std::string("Upper"), std::string(32, 'a'), std::string("a\0b", 3)})
    check(is_misuse([&] { writer.add_text(name, "x"); }), "a name that is none: " + name);
  check(is_misuse([&] { writer.add_text("once", "x"); }), "a name twice");
  check(is_misuse([&] { writer.add("zero", DType::u64, {1, 0}, two); }), "dim 0");
  check(is_misuse([&] { writer.add("large", DType::u64, {most}, two); }), "2^64 elements");
  check(is_misuse([&] { writer.add("large", DType::u64, {1u << 31, 1u << 31, 1u << 31}, two); }),
        "a product beyond 2^64");
  check(is_misuse([&] { writer.add("dtype", static_cast<DType>(99), {1}, two); }), "no dtype");
  const Piece one[] = {{two, 8}};
  check(is_misuse([&] { writer.add("short", DType::u64, {2}, one); }), "pieces of other bytes than the shape");
  check(is_misuse([&] { Shape{1, 2, 3, 4}; }), "four dimensions");
  writer.commit();
  check(is_misuse([&] { writer.commit(); }), "a second commit");
}

void check_truncation(const FileBytes& bytes, const std::string& path) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_file(path, FileBytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    check(!load_error(path).empty(), "truncated to " + std::to_string(size) + " bytes");
  }
  FileBytes longer = bytes;
  longer.push_back(0);
  write_file(path, longer);
  check(contains(load_error(path), "file_bytes"), "a byte too many");
}

// One byte of a file that is opened again and again.
void put_byte(int file, std::size_t at, unsigned char byte) {
  if (pwrite(file, &byte, 1, static_cast<off_t>(at)) != 1) std::abort();
}

void check_bit_flips(const FileBytes& bytes, const std::string& path) {
  write_file(path, bytes);
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      put_byte(file.number(), at, static_cast<unsigned char>(bytes[at] ^ (1 << bit)));
      check(!load_error(path).empty(), "bit " + std::to_string(bit) + " of byte " + std::to_string(at) + " flipped");
    }
    put_byte(file.number(), at, bytes[at]);
  }
  check(load_error(path).empty(), "all bits as they were");
}

// With every CRC corrected the structure alone is left to tell: it does, or what is read lies within the file.
void check_flips_that_look_sound(const FileBytes& bytes, const std::string& path) {
  std::size_t refused = 0, accepted = 0;
  for (std::size_t at = 0; at < sizeof(IndexPrelude) + 7 * sizeof(IndexEntry); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      FileBytes flipped = bytes;
      flipped[at] = static_cast<unsigned char>(flipped[at] ^ (1 << bit));
      reseal(flipped);
      write_file(path, flipped);
      load_error(path).empty() ? ++accepted : ++refused;
      error_of([&] {
        IndexFileReader reader(path);
        for (const Section& section : reader.sections()) reader.verify(section);
      });
    }
  // What is accepted: the fields that reseal wrote over.
  check(accepted == 8 * (sizeof(IndexPrelude::header_crc) + 6 * sizeof(IndexEntry::crc)),
        "flips with CRCs corrected: refused " + std::to_string(refused) + ", accepted " + std::to_string(accepted));
}

struct Forgery {
  const char* what;
  std::function<void(IndexHeader&)> change;
  const char* said;
};

// Entry 1 is "codes" (5, 3), entry 2 "ids" (5,), entry 3 "removed" (0,), entry 4 "centroids" (2, 2).
const Forgery forgeries[] = {
    {"n = 2^63", [](IndexHeader& h) { h.entries[1].shape[0] = std::uint64_t{1} << 63; }, "shape[0]"},
    {"n just beyond the limit", [](IndexHeader& h) { h.entries[1].shape[0] = max_section_extent + 1; }, "at most 2^48"},
    {"dim = 0", [](IndexHeader& h) { h.entries[1].shape[1] = 0; }, "shape[1] is 0"},
    {"dim = 0 and no bytes", [](IndexHeader& h) { h.entries[1].shape[1] = h.entries[1].bytes = 0; }, "shape[1] is 0"},
    {"n·dim wraps to the bytes it has",
     [](IndexHeader& h) {
       h.entries[1].rank = 3;
       h.entries[1].shape = {std::uint64_t{1} << 48, std::uint64_t{1} << 8, std::uint64_t{1} << 8};
       h.entries[1].bytes = 0;
     },
     "do not fit into 64 bits"},
    {"n·dim·bytes wraps",
     [](IndexHeader& h) {
       h.entries[4].shape = {std::uint64_t{1} << 48, std::uint64_t{1} << 14, 0};
       h.entries[4].bytes = 0;
     },
     "do not fit into 64 bits"},
    {"shape and bytes disagree", [](IndexHeader& h) { h.entries[2].shape[0] = 4; }, "its shape (4,) of int64 takes 32"},
    {"bytes and shape disagree", [](IndexHeader& h) { h.entries[2].bytes = 41; }, "has 41 bytes"},
    {"more bytes than the file",
     [](IndexHeader& h) {
       h.entries[2].shape[0] = std::uint64_t{1} << 40;
       h.entries[2].bytes = std::uint64_t{8} << 40;
     },
     "are more than the file's"},
    {"an extent beyond the rank", [](IndexHeader& h) { h.entries[2].shape[2] = 1; }, "but the rank is 1"},
    {"rank 4", [](IndexHeader& h) { h.entries[1].rank = 4; }, "rank 4, at most 3"},
    {"rank 2^32 - 1", [](IndexHeader& h) { h.entries[1].rank = 0xffffffff; }, "at most 3"},
    {"dtype 0", [](IndexHeader& h) { h.entries[1].dtype = 0; }, "dtype 0 is none"},
    {"dtype 2^31", [](IndexHeader& h) { h.entries[1].dtype = 1u << 31; }, "is none"},
    {"sections overlap", [](IndexHeader& h) { h.entries[2].offset = h.entries[1].offset; }, "'ids': begins at"},
    {"a section in the header", [](IndexHeader& h) { h.entries[0].offset = 0; }, "begins at 0"},
    {"a section at the end of all numbers", [](IndexHeader& h) { h.entries[1].offset = most - 63; }, "begins at"},
    {"a section not on a line", [](IndexHeader& h) { h.entries[1].offset += 1; }, "begins at"},
    {"a gap", [](IndexHeader& h) { h.entries[1].offset += 64; }, "begins at"},
    {"a section twice", [](IndexHeader& h) { h.entries[2].name = h.entries[1].name; }, "is there twice"},
    {"no name", [](IndexHeader& h) { h.entries[1].name = {}; }, "section 1: its name"},
    {"a name without end", [](IndexHeader& h) { h.entries[1].name.fill('a'); }, "its name"},
    {"a name with a tail", [](IndexHeader& h) { h.entries[1].name[30] = 'x'; }, "its name"},
    {"a name with control characters", [](IndexHeader& h) { h.entries[1].name[0] = '\n'; }, "its name"},
    {"65 sections", [](IndexHeader& h) { h.prelude.section_count = 65; }, "section_count: 65, at most 64"},
    {"2^32 - 1 sections", [](IndexHeader& h) { h.prelude.section_count = 0xffffffff; }, "at most 64"},
    {"a section more", [](IndexHeader& h) { ++h.prelude.section_count; }, "section 6"},
    {"a section less", [](IndexHeader& h) { --h.prelude.section_count; }, "goes on beyond"},
    {"another file_bytes", [](IndexHeader& h) { ++h.prelude.file_bytes; }, "file_bytes: the header says"},
    {"a header of 0 bytes", [](IndexHeader& h) { h.prelude.header_bytes = 0; }, "header_bytes: 0"},
    {"a header of 4 GiB", [](IndexHeader& h) { h.prelude.header_bytes = 0xffffffff; }, "header_bytes: 4294967295, at"},
    {"reserved bytes", [](IndexHeader& h) { h.prelude.reserved[27] = 1; }, "reserved"},
    {"reserved bytes of a section", [](IndexHeader& h) { h.entries[2].reserved = 1; }, "'ids': what is reserved"},
    {"another magic", [](IndexHeader& h) { h.prelude.magic[1] = 'B'; }, "does not begin as an index"},
    {"a byte order that is none", [](IndexHeader& h) { h.prelude.byte_order = 0x01030204; }, "0x01030204 is none"},
    {"format 2", [](IndexHeader& h) { h.prelude.version = 2; }, "format 2, this annbench reads format 1; rebuild"},
};

void check_forgeries(const FileBytes& bytes, const std::string& path) {
  for (const Forgery& forgery : forgeries) {
    FileBytes forged = bytes;
    IndexHeader header = header_of(bytes);
    forgery.change(header);
    put_header(header, forged);
    write_file(path, forged);
    const std::string said = load_error(path);
    check(contains(said, forgery.said) && contains(said, path) && contains(said, "rebuild"),
          std::string(forgery.what) + " is refused: " + said);
  }
}

// As written by a machine of the other byte order; a header of another length, as another version may have it.
void check_other_writers(const FileBytes& bytes, const std::string& path) {
  IndexHeader header = header_of(bytes);
  header.prelude.byte_order = __builtin_bswap32(index_byte_order);
  header.prelude.version = __builtin_bswap32(index_version);
  header.prelude.header_bytes = __builtin_bswap32(header.prelude.header_bytes);
  const auto* bytes_of_header = reinterpret_cast<const unsigned char*>(&header);
  header.prelude.header_crc = __builtin_bswap32(crc_of_header({bytes_of_header, sizeof(header)}));
  FileBytes foreign = bytes;
  std::memcpy(foreign.data(), &header, sizeof(header));
  write_file(path, foreign);
  check(contains(load_error(path), "other byte order; rebuild the index here"), "byte order: " + load_error(path));

  IndexPrelude prelude;
  prelude.version = 7;
  prelude.header_bytes = sizeof(prelude);
  FileBytes other(sizeof(prelude));
  for (const std::uint32_t version : {7u, index_version}) {
    prelude.version = version;
    prelude.header_crc = crc_of_header({reinterpret_cast<unsigned char*>(&prelude), sizeof(prelude)});
    std::memcpy(other.data(), &prelude, sizeof(prelude));
    write_file(path, other);
    check(contains(load_error(path), version == 7 ? "version: format 7" : "header_bytes: 64, should be"),
          "a header of another length: " + load_error(path));
  }
}

void check_what_is_no_file(const TemporaryFolder& folder) {
  const std::string pipe = folder.file("pipe"), missing = folder.file("missing"), inside = folder.file("");
  if (mkfifo(pipe.c_str(), 0600) != 0) std::abort();
  check(contains(load_error(pipe), "no regular file"), "a pipe does not block: " + load_error(pipe));
  check(contains(load_error(inside), "no regular file"), "a folder");
  check(contains(load_error("/dev/zero"), "no regular file"), "a device");
  check(contains(load_error(missing), "No such file"), "a missing file: " + load_error(missing));
}

void check_writing_fails_cleanly(const TemporaryFolder& folder) {
  const std::string path = folder.file("kept.annbench");
  save_small_index(path);
  const FileBytes before = bytes_of_file(path);
  { IndexFileWriter abandoned(path); add_small_index(abandoned); }
  check(bytes_of_file(path) == before && folder.names().size() == 1, "without a commit nothing changes");

  // A disk that fills up at every byte: the system refuses files beyond a size, as it refuses them on a full disk.
  struct rlimit unlimited{};
  getrlimit(RLIMIT_FSIZE, &unlimited);
  signal(SIGXFSZ, SIG_IGN);
  for (std::size_t room = 0; room < before.size(); room += room + 200 < before.size() ? 97 : 1) {
    struct rlimit limit = unlimited;
    limit.rlim_cur = room;
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string said = error_of([&] { save_small_index(path); });
    setrlimit(RLIMIT_FSIZE, &unlimited);
    check(contains(said, "cannot write: File too large; make room"), "room for " + std::to_string(room) + ": " + said);
    check(bytes_of_file(path) == before && folder.names().size() == 1, "a full disk leaves the old file and no other");
  }

  check(contains(error_of([&] { save_small_index(folder.file("no/such.annbench")); }), "No such file"),
        "a missing folder");
  check(contains(error_of([&] { save_small_index(path + "/x"); }), "Not a directory"), "a file as folder");
  check(!error_of([&] { save_small_index("/proc/annbench.index"); }).empty(), "a folder that cannot be written to");
  std::filesystem::create_directory(folder.file("taken"));
  check(contains(error_of([&] { save_small_index(folder.file("taken")); }), "be put in its place"),
        "a folder in its place");
  check(folder.names().size() == 2, "no temporary file is left behind");
}

void check_allocation_failures(const TemporaryFolder& folder) {
  const std::string path = folder.file("memory.annbench");
  save_small_index(path);
  const FileBytes before = bytes_of_file(path);
  for (const auto& [what, action] : {std::pair<const char*, void (*)(const std::string&)>{"save", save_small_index},
                                     {"load", [](const std::string& from) { load_small_index(from); }}}) {
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
      const std::int64_t live = live_allocations();
      bool thrown = false;
      {
        const FailAllocation failure(n);
        try {
          action(path);
        } catch (const std::bad_alloc&) {
          thrown = true;
        }
        failed = failure.happened();
      }
      const bool leaked = live_allocations() != live;
      const std::string label = std::string(what) + " without memory, allocation " + std::to_string(n);
      check(thrown == failed, label + ": std::bad_alloc");
      check(!leaked, label + ": no leak");
      check(bytes_of_file(path) == before && folder.names().size() == 1, label + ": the file is as it was");
    }
    check(n > 5, std::string(what) + " allocates");
  }
}

void check_checked_math() {
  check(checked_add(most, 0) == most && !checked_add(most, 1), "checked_add");
  constexpr std::uint64_t half = std::uint64_t{1} << 32;
  check(checked_mul(most, 1) == most && checked_mul(0, most) == 0 && !checked_mul(half, half), "checked_mul");
  check(checked_product({}) == 1, "checked_product of none");
  check(checked_round_up(0, 64) == 0 && checked_round_up(65, 64) == 128, "checked_round_up");
  check(!checked_round_up(most, 64), "checked_round_up beyond 2^64");
}

}  // namespace

void test_index_file() {
  check_checked_math();
  check_round_trip(TemporaryFolder());
  check_empty_and_many(TemporaryFolder());
  check_misuse(TemporaryFolder());
  const TemporaryFolder folder;
  const std::string path = folder.file("small.annbench");
  save_small_index(path);
  const FileBytes bytes = bytes_of_file(path);
  check_truncation(bytes, path);
  check_bit_flips(bytes, path);
  check_flips_that_look_sound(bytes, path);
  check_forgeries(bytes, path);
  check_other_writers(bytes, path);
  check_what_is_no_file(TemporaryFolder());
  check_writing_fails_cleanly(TemporaryFolder());
  check_allocation_failures(TemporaryFolder());
}

}  // namespace annbench::tests
