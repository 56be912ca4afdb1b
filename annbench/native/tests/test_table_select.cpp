#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

#include "structures/hamming_blocks.hpp"
#include "structures/hamming_flat.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();

Bytes random_bytes(std::size_t size, std::mt19937& random) {
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

// Every ISA against the rows' kernel, whose reference needs no blocks and no tables. What is read ends at guard pages.
void compare(std::size_t bytes, std::size_t count, std::size_t query_count, std::size_t offset, std::mt19937& random) {
  const std::size_t groups = hamming_groups(bytes), block_bytes = (count + 31) / 32 * table_block_bytes(groups);
  Bytes rows = random_bytes(count * bytes, random), queries = random_bytes(query_count * bytes, random);
  if (count > 2 && bytes > 0) {  // the greatest distance, and the least
    for (std::size_t b = 0; b < bytes; ++b) rows[b] = static_cast<std::uint8_t>(~queries[b]);
    std::copy_n(queries.begin(), bytes, rows.end() - static_cast<std::ptrdiff_t>(bytes));
  }
  Guarded<std::uint8_t> blocks(block_bytes + offset), tables(16 * groups * query_count + offset);
  hamming_blocks_of(rows.data(), bytes, count, blocks.data() + offset);
  for (std::size_t q = 0; q < query_count; ++q)
    hamming_tables_of(queries.data() + q * bytes, bytes, tables.data() + offset + 16 * groups * q);
  Bytes back(count * bytes);
  hamming_rows_of(blocks.data() + offset, bytes, count, back.data());
  check(back == rows, "rows there and back, bytes " + std::to_string(bytes));
  std::vector<const std::uint8_t*> of_queries(query_count);
  for (std::size_t q = 0; q < query_count; ++q) of_queries[q] = tables.data() + offset + 16 * groups * q;
  std::vector<SelectLimit> limits(query_count);
  for (SelectLimit& limit : limits) {
    const auto half = static_cast<std::uint32_t>(4 * bytes);
    const std::uint32_t choices[] = {0, half, 2 * half, no_limit};
    limit = select_up_to(choices[random() % 4]);
  }
  Guarded<std::uint32_t> indices(query_count * count), distances(query_count * count);
  std::vector<std::size_t> found(query_count);
  std::vector<std::uint32_t> expected(count), expected_distances(count);
  for (const KernelTable* kernels : available_kernels()) {
    kernels->table_select(of_queries.data(), query_count, blocks.data() + offset, groups, count,
                          largest_hamming_entry, limits.data(), {}, indices.data(), distances.data(), found.data());
    for (std::size_t q = 0; q < query_count; ++q) {
      const std::size_t right = kernels_named("scalar").hamming_select(
          queries.data() + q * bytes, rows.data(), bytes, count, limits[q].lines[0].most, expected.data(), expected_distances.data());
      check(found[q] == right && std::equal(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(right),
                                            indices.data() + q * count) &&
                std::equal(expected_distances.begin(), expected_distances.begin() + static_cast<std::ptrdiff_t>(right),
                           distances.data() + q * count),
            "table_select " + std::string(isa_name(kernels->isa)) + " bytes " + std::to_string(bytes) + " count " +
                std::to_string(count) + " query " + std::to_string(q) + " of " + std::to_string(query_count));
    }
  }
}

// Every ISA against the sums of table_scan, with entries up to `largest`, some of them all as large as that, and limits that
// fall with lengths.
void compare_entries(std::uint32_t largest, std::size_t groups, std::size_t count, std::size_t query_count,
                     std::mt19937& random) {
  const Guarded<std::uint8_t> blocks(random_bytes((count + 31) / 32 * table_block_bytes(groups), random));
  Bytes entries(16 * groups * query_count);
  for (std::size_t e = 0; e < entries.size(); ++e)
    entries[e] = static_cast<std::uint8_t>(e < 16 * groups ? largest : random() % (largest + 1));
  const Guarded<std::uint8_t> tables(entries);
  std::vector<const std::uint8_t*> of_queries(query_count);
  for (std::size_t q = 0; q < query_count; ++q) of_queries[q] = tables.data() + 16 * groups * q;
  std::vector<SelectLimit> limits(query_count);
  const std::size_t middle = groups * largest / 2;
  for (SelectLimit& limit : limits) {
    // Some fall by a little, some below 0, the steepest and the flattest among them.
    for (SelectLine& line : limit.lines) {
      const std::size_t slopes[] = {0, 1, middle / 8, middle, 0xffff};
      line.most = random() % 3 == 0 ? most_of_table_select : static_cast<std::uint16_t>(middle);
      line.slope = static_cast<std::uint16_t>(std::min<std::size_t>(slopes[random() % 5], 0xffff));
    }
  }
  const int shift = static_cast<int>(random() % 16);
  std::vector<std::uint16_t> some_lengths(count);
  for (std::uint16_t& length : some_lengths) length = static_cast<std::uint16_t>((random() % 8 == 0 ? 0xffff : random() & 0xffff) >> shift);
  Guarded<std::uint8_t> lengths(2 * count);
  if (count > 0) std::memcpy(lengths.data(), some_lengths.data(), 2 * count);
  Guarded<std::uint32_t> indices(query_count * count), sums(query_count * count);
  std::vector<std::size_t> found(query_count);
  std::vector<std::uint32_t> all(count);
  for (const KernelTable* kernels : available_kernels())
    for (const CodeLengths& given : {CodeLengths{lengths.data(), shift}, CodeLengths{}}) {
      kernels->table_select(of_queries.data(), query_count, blocks.data(), groups, count, largest, limits.data(), given,
                            indices.data(), sums.data(), found.data());
      for (std::size_t q = 0; q < query_count; ++q) {
        kernels_named("scalar").table_scan(of_queries[q], blocks.data(), groups, count, all.data());
        std::size_t right = 0;
        bool same = true;
        for (std::uint32_t i = 0; i < count; ++i) {
          // As the contract has it, by other arithmetic.
          const double length = given.values == nullptr ? 0 : std::ldexp(some_lengths[i], shift);
          double limit = 0;
          for (const SelectLine& line : limits[q].lines) limit = std::max(limit, line.most - std::floor(line.slope * length / 65536));
          if (all[i] > limit) continue;
          same = same && right < found[q] && indices.data()[q * count + right] == i && sums.data()[q * count + right] == all[i];
          ++right;
        }
        check(same && right == found[q], "table_select " + std::string(isa_name(kernels->isa)) + " entries up to " +
                                             std::to_string(largest) + " groups " + std::to_string(groups) + " count " +
                                             std::to_string(count) + " query " + std::to_string(q) +
                                             (given.values == nullptr ? "" : " by length"));
      }
    }
}

// Against sorting everything; `levels` few values a byte make nearly every distance a tie.
void check_flat(const KernelTable& kernels, std::size_t n, std::size_t k, std::size_t bytes, unsigned levels,
                std::size_t threads) {
  std::mt19937 random(20240614);
  constexpr std::size_t query_count = 7;
  Bytes base = random_bytes(n * bytes, random), queries = random_bytes(query_count * bytes, random);
  for (Bytes* codes : {&base, &queries})
    for (std::uint8_t& value : *codes) value = static_cast<std::uint8_t>(value % levels);
  const HammingFlat flat(base.data(), n, bytes);
  Bytes back(n * bytes);
  flat.copy_to(back.data());
  check(back == base, "a flat index gives its codes back");
  std::vector<std::int64_t> ids(query_count * k);
  std::vector<float> found(query_count * k);
  flat.search(queries.data(), query_count, k, threads, ids.data(), found.data(), kernels);
  for (std::size_t q = 0; q < query_count; ++q) {
    std::vector<std::uint32_t> indices(n), distances(n);
    kernels_named("scalar").hamming_select(queries.data() + q * bytes, base.data(), bytes, n, no_limit, indices.data(),
                                           distances.data());
    std::vector<std::pair<std::uint32_t, std::int64_t>> all;
    for (std::size_t i = 0; i < n; ++i) all.emplace_back(distances[i], static_cast<std::int64_t>(i));
    std::sort(all.begin(), all.end());
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t at = q * k + j;
      check(j < n ? ids[at] == all[j].second && found[at] == static_cast<float>(all[j].first)
                  : ids[at] == -1 && found[at] == std::numeric_limits<float>::infinity(),
            "flat search " + std::string(isa_name(kernels.isa)) + " n " + std::to_string(n) + " k " + std::to_string(k) +
                " levels " + std::to_string(levels));
    }
  }
}

void check_too_long_codes() {
  bool refused = false;
  try {
    const HammingFlat flat(nullptr, 0, HammingFlat::most_bytes + 1);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  check(refused, "codes whose distances do not fit into 16 bits are refused");
}

}  // namespace

void test_table_select() {
  std::mt19937 random(20240614);
  std::vector<std::size_t> sizes(130);
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = i;
  sizes.insert(sizes.end(), {251, 252, 253, 257, 509, 1021, HammingFlat::most_bytes});
  for (const std::size_t bytes : sizes)
    compare(bytes, 1 + random() % 100, 1 + random() % 9, random() % 64, random);
  for (const std::size_t count : {0, 1, 31, 32, 33, 64, 97})
    for (const std::size_t queries : {1, 2, 3, 4, 5, 8}) compare(6, count, queries, 1, random);
  for (const std::uint32_t largest : {1u, 4u, 18u, 28u, 63u, 64u, 84u, 127u, 128u, 225u, 255u})
    for (const std::size_t groups : {0, 4, 12, 52, 56, 60, 64, 196, 252})
      compare_entries(largest, groups, 1 + random() % 100, 1 + random() % 6, random);
  for (const KernelTable* kernels : available_kernels())
    for (const std::size_t n : {0, 1, 5, 600, 5000})
      for (const std::size_t k : {1, 7, 700})
        for (const unsigned levels : {1u, 2u, 256u}) check_flat(*kernels, n, k, 6, levels, 1 + k % 2);
  check_too_long_codes();
}

}  // namespace annbench::tests
