#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>

#include "io/stored_sections.hpp"
#include "support/thread_pool.hpp"
#include "tests/check.hpp"
#include "tests/failing_new.hpp"
#include "tests/index_bytes.hpp"

namespace annbench::tests {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t section_count = 5;
constexpr std::size_t sizes[section_count] = {100, 3'000'001, 4096, 1, 20'000};  // bytes

struct Saved {
  std::array<Bytes, section_count> sections;

  explicit Saved(const std::string& path) {
    std::mt19937 random(5);
    IndexFileWriter writer(path);
    for (std::size_t s = 0; s < section_count; ++s) {
      sections[s].resize(sizes[s]);
      for (std::uint8_t& byte : sections[s]) byte = static_cast<std::uint8_t>(random());
      writer.add("part" + std::to_string(s), std::span<const std::uint8_t>(sections[s]));
    }
    writer.commit();
  }
};

// All sections of a file; their numbers are those of `sizes`.
std::unique_ptr<StoredSections> open(const std::string& path, std::size_t cache_bytes) {
  auto stored = std::make_unique<StoredSections>();
  IndexFileReader reader(path);
  for (const Section& section : reader.sections()) {
    std::uint64_t seen = 0;
    stored->keep(reader, section, [&](std::span<const unsigned char> bytes) { seen += bytes.size(); });
    check(seen == section.bytes, "who looks on sees all of a section");
  }
  reader.require_all_read();
  stored->open(reader, cache_bytes);
  return stored;
}

// Fetches ranges of one section, some of them next to each other, the same or empty, and compares.
void check_fetch(const StoredSections& stored, const Saved& saved, std::size_t section, std::size_t count,
                 std::mt19937& random) {
  const Bytes& all = saved.sections[section];
  std::vector<Bytes> found;
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = i % 3 == 1 ? begins.back() : random() % all.size();
    begins.push_back(begin);
    found.emplace_back(random() % (std::min<std::size_t>(all.size() - begin, i % 10 == 9 ? 50'000 : 700) + 1));
  }
  std::vector<StoredRange> ranges;
  for (std::size_t i = 0; i < count; ++i) ranges.push_back({begins[i], found[i].size(), found[i].data()});
  stored.fetch(section, ranges);
  for (std::size_t i = 0; i < count; ++i)
    check(std::equal(found[i].begin(), found[i].end(), all.begin() + static_cast<std::ptrdiff_t>(begins[i])),
          "what is fetched is what was saved");
}

void check_budgets(const std::string& path, const Saved& saved) {
  for (const std::size_t budget : {std::size_t{0}, block_bytes + 200, std::size_t{100'000}, std::size_t{1} << 23}) {
    std::mt19937 random(9);
    const auto stored = open(path, budget);
    check(stored->cache_bytes() <= budget, "the cache is within its budget");
    check(stored->checksum_bytes() >= 4 * 3'000'001 / block_bytes && stored->checksum_bytes() < 4 * 900, "checksums");
    for (int round = 0; round < 30; ++round)
      for (std::size_t s = 0; s < section_count; ++s) check_fetch(*stored, saved, s, 1 + random() % 60, random);
    check_fetch(*stored, saved, 1, 3000, random);  // more blocks than are read at once
    const StoredCounts counts = stored->counts();
    check(counts.misses > 0 && counts.bytes_read > 0, "reads are counted");
    check(budget > 0 || (counts.hits == 0 && counts.bytes_read > 3'000'000), "without a cache all is read");
    if (budget < (1u << 23)) continue;
    check(counts.bytes_read <= 3'030'000, "what is in the cache is not read again");
    stored->reset_counts();
    Bytes whole(saved.sections[4].size());
    const StoredRange range{0, whole.size(), whole.data()};
    stored->fetch(4, {&range, 1});
    stored->fetch(4, {&range, 1});
    check(whole == saved.sections[4], "a section as a whole");
    const StoredCounts again = stored->counts();
    check(again.hits >= 5 && again.hits + again.misses == 12 && again.misses <= 6, "hits and misses are counted");
  }
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const IndexFileError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

void fetch(const StoredSections& stored, std::size_t section, std::uint64_t offset, std::size_t bytes) {
  Bytes found(bytes);
  const StoredRange range{offset, bytes, found.data()};
  stored.fetch(section, {&range, 1});
}

// The descriptor by which this process has a file open.
int descriptor_of(const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code none;
    if (std::filesystem::read_symlink(entry.path(), none) == path) return std::stoi(entry.path().filename());
  }
  return -1;
}

void check_troubles(const TemporaryFolder& folder) {
  const std::string path = folder.file("troubled");
  const Saved saved(path);
  const FileBytes bytes = bytes_of_file(path);
  std::mt19937 random(1);

  auto stored = open(path, 0);
  std::filesystem::remove(path);
  write_file(path, FileBytes(1000, 7));
  check_fetch(*stored, saved, 1, 50, random);  // it is the file that was checked that is read
  stored.reset();
  check(descriptor_of(path + " (deleted)") == -1 && descriptor_of(path) == -1, "nothing stays open");

  write_file(path, bytes);
  stored = open(path, 0);
  FileBytes altered = bytes;
  altered[altered.size() - 10] ^= 1;
  std::filesystem::resize_file(path, 0);
  write_file(path, altered);  // in place
  const std::string error = error_of([&] { fetch(*stored, 4, 19'990, 1); });
  check(contains(error, "section 'part4': was altered after it was loaded") && contains(error, path),
        "altered: " + error);
  fetch(*stored, 4, 0, 1);  // another block
  std::filesystem::resize_file(path, bytes.size() - 5000);
  check(contains(error_of([&] { fetch(*stored, 4, 19'990, 1); }), "ended at byte"), "cut short");
  fetch(*stored, 1, 0, 1'000'000);
  std::filesystem::resize_file(path, 0);
  check(contains(error_of([&] { fetch(*stored, 1, 0, 1'000'000); }), "ended at byte"), "emptied");

  write_file(path, bytes);
  stored = open(path, 1 << 20);
  fetch(*stored, 1, 5000, 10);
  const int number = descriptor_of(path), folder_number = ::open("/", O_RDONLY | O_DIRECTORY);
  check(number >= 0 && ::dup2(folder_number, number) == number, "the file's place is taken by what cannot be read");
  ::close(folder_number);
  check(contains(error_of([&] { fetch(*stored, 1, 900'000, 10); }), "cannot be read"), "a disk that fails");
  fetch(*stored, 1, 5000, 10);  // from the cache
}

void check_memory(const std::string& path) {
  const auto stored = open(path, 50'000);
  std::vector<Bytes> found(20, Bytes(500));
  std::vector<StoredRange> ranges;
  for (std::size_t i = 0; i < found.size(); ++i) ranges.push_back({i * 9000, 500, found[i].data()});
  bool failed = true;
  std::size_t at = 0;
  for (; failed; ++at) {
    const std::int64_t live = live_allocations();
    {
      const FailAllocation failure(at);
      try {
        stored->fetch(1, ranges);
      } catch (const std::bad_alloc&) {
      }
      failed = failure.happened();
    }
    const bool leaked = live_allocations() != live;
    check(!leaked, "no leak without memory, allocation " + std::to_string(at));
  }
  check(at > 2, "a fetch allocates");
}

}  // namespace

void test_stored_section_threads() {
  const TemporaryFolder folder;
  const std::string path = folder.file("shared");
  const Saved saved(path);
  const auto stored = open(path, 300'000);
  parallel_for(8, 4, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t job = begin; job < end; ++job) {
      std::mt19937 random(static_cast<unsigned>(job));
      for (int round = 0; round < 50; ++round) check_fetch(*stored, saved, 1, 30, random);
    }
  });
}

void test_stored_sections() {
  const TemporaryFolder folder;
  const std::string path = folder.file("stored");
  const Saved saved(path);
  check_budgets(path, saved);
  check_troubles(folder);
  check_memory(path);
  test_stored_section_threads();
}

}  // namespace annbench::tests
