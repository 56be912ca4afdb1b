#include <algorithm>
#include <limits>
#include <random>

#include "structures/hamming_collector.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();

struct Selection {
  std::vector<std::uint32_t> indices, distances;
  bool operator==(const Selection&) const = default;
};

// Inputs end at a guard page; outputs too, with room for exactly what the reference selects.
Selection run(HammingSelectFn kernel, const Guarded<std::uint8_t>& query, const Guarded<std::uint8_t>& codes,
              std::size_t offset, std::size_t count, std::uint32_t limit, std::size_t capacity) {
  Guarded<std::uint32_t> indices(capacity), distances(capacity);
  const std::size_t found = kernel(query.data() + offset, codes.data() + offset, query.size() - offset, count, limit,
                                   indices.data(), distances.data());
  Selection selection;
  for (std::size_t i = 0; i < found; ++i) {
    selection.indices.push_back(indices[i]);
    selection.distances.push_back(distances[i]);
  }
  return selection;
}

void compare(const Bytes& query, const Bytes& codes, std::size_t offset) {
  const Guarded<std::uint8_t> guarded_query(query), guarded_codes(codes);
  const std::size_t bytes = query.size() - offset;
  const std::size_t count = bytes == 0 ? 7 : (codes.size() - offset) / bytes;
  const auto bits = static_cast<std::uint32_t>(8 * bytes);
  for (const std::uint32_t limit : {0u, bits / 2, bits, no_limit}) {
    const HammingSelectFn reference = kernels_named("scalar").hamming_select;
    const Selection expected = run(reference, guarded_query, guarded_codes, offset, count, limit, count);
    for (const KernelTable* kernels : available_kernels())
      check(run(kernels->hamming_select, guarded_query, guarded_codes, offset, count, limit,
                expected.indices.size()) == expected,
            "hamming_select " + std::string(isa_name(kernels->isa)) + " bytes " + std::to_string(bytes) + " offset " +
                std::to_string(offset) + " limit " + std::to_string(limit));
  }
}

void check_reference_by_hand() {
  const std::uint8_t query[] = {0b10110000, 0xff};
  const std::uint8_t codes[] = {0b10110000, 0xff, 0b00110001, 0xff, 0, 0};
  std::uint32_t indices[3], distances[3];
  const std::size_t found = kernels_named("scalar").hamming_select(query, codes, 2, 3, 2, indices, distances);
  check(found == 2 && indices[0] == 0 && distances[0] == 0 && indices[1] == 1 && distances[1] == 2,
        "the reference finds distances 0 and 2, and not 11");
}

// Against sorting everything; `levels` few values a byte make nearly every distance a tie.
void compare_collector(const KernelTable& kernels, std::size_t n, std::size_t k, std::size_t bytes, unsigned levels) {
  std::mt19937 random(20240614);
  Bytes base(n * bytes), query(bytes);
  for (std::uint8_t& value : base) value = static_cast<std::uint8_t>(random() % levels);
  for (std::uint8_t& value : query) value = static_cast<std::uint8_t>(random() % levels);
  std::vector<std::uint32_t> indices(n), distances(n);
  kernels_named("scalar").hamming_select(query.data(), base.data(), bytes, n, no_limit, indices.data(),
                                         distances.data());
  std::vector<std::pair<double, std::int64_t>> all;
  for (std::size_t i = 0; i < n; ++i) all.emplace_back(distances[i], static_cast<std::int64_t>(i));
  std::sort(all.begin(), all.end());
  std::int64_t expected_ties = 0;
  for (std::size_t j = k; j < n; ++j) expected_ties += all[j].first == all[k - 1].first;

  std::vector<std::int64_t> ids(k, -1);
  std::vector<double> found(k, std::numeric_limits<double>::infinity());
  std::int64_t ties = 0;
  const NeighborLists lists{ids.data(), found.data(), &ties};
  const std::size_t half = n / 2;  // two collectors, as two slabs of the base have
  for (const auto& [first, count] : {std::pair{std::size_t{0}, half}, std::pair{half, n - half}}) {
    HammingCollector collector(k, {base.data() + first * bytes, count, bytes, static_cast<std::int64_t>(first)},
                               query.data(), 1, lists, kernels);
    collector.offer(0, count / 3);
    collector.offer(count / 3, count - count / 3);
    collector.finish(lists);
  }
  const std::string label = std::string(isa_name(kernels.isa)) + " n " + std::to_string(n) + " k " + std::to_string(k) +
                            " levels " + std::to_string(levels);
  for (std::size_t j = 0; j < k; ++j)
    check(j < n ? ids[j] == all[j].second && found[j] == all[j].first : ids[j] == -1, "hamming neighbours, " + label);
  check(ties == expected_ties, "hamming ties, " + label);
}

}  // namespace

void test_hamming() {
  check_reference_by_hand();
  std::mt19937 random(20240614);
  std::vector<std::size_t> sizes(258);
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = i;
  sizes.insert(sizes.end(), {509, 1021, 4099});
  for (const std::size_t bytes : sizes)
    for (const std::size_t offset : {0, 1, 3, 7}) {
      Bytes query(bytes + offset), codes(5 * bytes + offset);
      for (std::uint8_t& value : query) value = static_cast<std::uint8_t>(random());
      for (std::uint8_t& value : codes) value = static_cast<std::uint8_t>(random());
      compare(query, codes, offset);
      constexpr std::uint8_t corners[] = {0x00, 0xff, 0x80, 0x01, 0x0f, 0xf0};
      for (std::uint8_t& value : codes) value = corners[random() % 6];
      compare(query, codes, offset);
      std::fill(query.begin(), query.end(), std::uint8_t{0x00});
      std::fill(codes.begin(), codes.end(), std::uint8_t{0xff});
      compare(query, codes, offset);
    }
  for (const KernelTable* kernels : available_kernels())
    for (const std::size_t n : {0, 1, 5, 600, 5000})
      for (const std::size_t k : {1, 7, 700})
        for (const unsigned levels : {1u, 2u, 256u}) compare_collector(*kernels, n, k, 6, levels);
}

}  // namespace annbench::tests
