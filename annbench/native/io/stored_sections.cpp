#include "io/stored_sections.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "io/read_runs.hpp"
#include "kernels/dispatch.hpp"

namespace annbench {
namespace {

constexpr std::uint64_t blocks_at_once = 256;  // that are read before the first is looked at
constexpr std::size_t ranges_ahead = 8;        // that the cache is asked for before they are needed

}  // namespace

std::size_t StoredSections::keep(IndexFileReader& reader, const Section& section,
                                 const IndexFileReader::Visitor& visit) {
  const std::uint64_t number = kept_.empty() ? 0 : kept_.back().number + kept_.back().checksums.size();
  Kept kept{section.name, section.offset, section.bytes, section.offset / block_bytes, number, {}};
  const std::uint64_t end = section.offset + section.bytes;
  if (section.bytes > 0) kept.checksums.resize((end - 1) / block_bytes - kept.first_block + 1);
  const Crc32cFn crc32c = active_kernels().crc32c;
  std::uint64_t at = section.offset;
  reader.verify(section, [&](std::span<const unsigned char> bytes) {
    if (visit) visit(bytes);
    while (!bytes.empty()) {
      const std::size_t some = std::min<std::uint64_t>(bytes.size(), block_bytes - at % block_bytes);
      std::uint32_t& checksum = kept.checksums[at / block_bytes - kept.first_block];
      checksum = crc32c(checksum, bytes.data(), some);
      bytes = bytes.subspan(some);
      at += some;
    }
  });
  kept_.push_back(std::move(kept));
  return kept_.size() - 1;
}

void StoredSections::open(IndexFileReader& reader, std::size_t cache_bytes) {
  std::uint64_t blocks = 0;
  for (const Kept& kept : kept_) blocks += kept.checksums.size();
  cache_.emplace(cache_bytes, blocks);
  path_ = reader.path();
  file_ = reader.take_file();
  expect_random_reads({file_.number(), path_});
}

std::size_t StoredSections::checksum_bytes() const {
  std::size_t bytes = 0;
  for (const Kept& kept : kept_) bytes += kept.checksums.size() * sizeof(std::uint32_t);
  return bytes;
}

// What a block has of the section, as it lies in the file.
Run StoredSections::run_of(const Kept& kept, std::uint64_t block, std::uint8_t* to) {
  const std::uint64_t begin = std::max((kept.first_block + block) * block_bytes, kept.offset);
  const std::uint64_t end = std::min((kept.first_block + block + 1) * block_bytes, kept.offset + kept.bytes);
  return {begin, static_cast<std::size_t>(end - begin), to};
}

void StoredSections::fetch(std::size_t section, std::span<const StoredRange> ranges) const {
  const Kept& kept = kept_[section];
  const auto block_of = [&](const StoredRange& range) {
    return (kept.offset + range.offset) / block_bytes - kept.first_block;
  };
  for (std::size_t i = 0; i < std::min(ranges_ahead, ranges.size()); ++i)
    cache_->ask_for(kept.number + block_of(ranges[i]));
  std::vector<Miss> misses;
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i + ranges_ahead < ranges.size()) cache_->ask_for(kept.number + block_of(ranges[i + ranges_ahead]));
    const StoredRange& range = ranges[i];
    std::uint64_t block = block_of(range);
    for (std::size_t done = 0; done < range.bytes; ++block) {
      const Run run = run_of(kept, block, nullptr);
      const std::size_t begin = static_cast<std::size_t>(kept.offset + range.offset + done - run.offset);
      const std::size_t bytes = std::min(range.bytes - done, run.bytes - begin);
      if (cache_->get(kept.number + block, begin, bytes, range.to + done))
        ++hits;
      else
        misses.push_back({block, begin, bytes, range.to + done});
      done += bytes;
    }
  }
  hits_.fetch_add(hits, std::memory_order_relaxed);
  if (misses.empty()) return;
  std::ranges::sort(misses, {}, &Miss::block);
  for (std::size_t first = 0, end; first < misses.size(); first = end) {
    std::uint64_t blocks = 1;
    for (end = first + 1; end < misses.size(); ++end) {
      if (misses[end].block != misses[end - 1].block && ++blocks > blocks_at_once) break;
    }
    read_misses(kept, std::span(misses).subspan(first, end - first), std::min(blocks, blocks_at_once));
  }
}

// Misses of `blocks` blocks, in their order.
void StoredSections::read_misses(const Kept& kept, std::span<const Miss> misses, std::uint64_t blocks) const {
  const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(blocks * block_bytes);
  std::vector<Run> runs;
  std::uint64_t bytes_read = 0, last = 0;
  std::uint8_t* to = buffer.get();
  for (const Miss& miss : misses) {
    if (!runs.empty() && miss.block == last) continue;
    const Run run = run_of(kept, miss.block, to);
    if (!runs.empty() && miss.block == last + 1)
      runs.back().bytes += run.bytes;
    else
      runs.push_back(run);
    to += run.bytes;
    last = miss.block;
    bytes_read += run.bytes;
  }
  read_all({file_.number(), path_}, runs);
  misses_.fetch_add(misses.size(), std::memory_order_relaxed);
  bytes_read_.fetch_add(bytes_read, std::memory_order_relaxed);

  const std::uint8_t *block = nullptr, *next = buffer.get();
  for (const Miss& miss : misses) {
    if (block == nullptr || miss.block != last) {
      const std::size_t bytes = run_of(kept, miss.block, nullptr).bytes;
      block = next;
      next += bytes;
      last = miss.block;
      check(kept, last, {block, bytes});
      cache_->put(kept.number + last, block, bytes);
    }
    std::memcpy(miss.to, block + miss.begin, miss.bytes);
  }
}

void StoredSections::check(const Kept& kept, std::uint64_t block, std::span<const std::uint8_t> data) const {
  if (active_kernels().crc32c(0, data.data(), data.size()) == kept.checksums[block]) return;
  const std::uint64_t offset = run_of(kept, block, nullptr).offset;
  fail(kept, "was altered after it was loaded, at byte " + std::to_string(offset) + " of the file");
}

void StoredSections::reject(std::size_t section, const std::string& found) const { fail(kept_[section], found); }

void StoredSections::fail(const Kept& kept, const std::string& found) const {
  throw IndexFileError(path_ + ": section '" + kept.name + "'", found, damaged_file);
}

}  // namespace annbench
