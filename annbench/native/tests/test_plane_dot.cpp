#include "kernels/plane_dot.hpp"

#include <algorithm>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

std::string name_of(const PlaneShape& shape, Isa isa) {
  return "plane_dot " + std::string(isa_name(isa)) + " words " + std::to_string(shape.words) + " planes " +
         std::to_string(shape.planes) + " × " + std::to_string(shape.query_planes) + " stride " + std::to_string(shape.stride);
}

// Base and query end at a guard page, and start `offset` bytes into their memory.
void compare(const PlaneShape& shape, std::size_t count, std::size_t offset, auto byte) {
  const std::size_t read = 8 * shape.words * shape.planes;
  std::vector<std::uint8_t> planes(offset + (count == 0 ? 0 : (count - 1) * shape.stride + read));
  std::vector<std::uint8_t> bits(offset + 8 * shape.words * shape.query_planes);
  for (std::uint8_t& value : planes) value = static_cast<std::uint8_t>(byte());
  for (std::uint8_t& value : bits) value = static_cast<std::uint8_t>(byte());
  const Guarded<std::uint8_t> base(planes), query(bits);
  Guarded<std::uint32_t> found(count);
  std::vector<std::uint32_t> gathered(count), expected(count);
  for (std::size_t i = 0; i < count; ++i) gathered[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const std::uint32_t* rows : {static_cast<const std::uint32_t*>(nullptr), static_cast<const std::uint32_t*>(gathered.data())}) {
    kernels_named("scalar").plane_dot(shape, query.data() + offset, base.data() + offset, rows, count, expected.data());
    for (const KernelTable* kernels : available_kernels()) {
      std::fill_n(found.data(), count, 0xdeadbeefu);
      kernels->plane_dot(shape, query.data() + offset, base.data() + offset, rows, count, found.data());
      check(std::equal(expected.begin(), expected.end(), found.data()),
            name_of(shape, kernels->isa) + (rows == nullptr ? "" : " gathered"));
    }
  }
}

// The planes of codes against the sum of products that they stand for; there and back.
void check_against_codes(std::size_t dim, std::size_t planes, std::size_t query_planes, std::mt19937& random) {
  const std::size_t words = plane_words(dim);
  std::vector<std::uint8_t> codes(dim), values(dim), back(dim), row(8 * words * planes, 0xff), query(8 * words * query_planes, 0xff);
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random() & ((1u << planes) - 1));
  for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random() & ((1u << query_planes) - 1));
  pack_planes(codes.data(), dim, planes, row.data());
  pack_planes(values.data(), dim, query_planes, query.data());
  unpack_planes(row.data(), dim, planes, back.data());
  check(back == codes, "planes there and back, dim " + std::to_string(dim) + " planes " + std::to_string(planes));
  for (std::size_t leading = 1; leading <= planes; ++leading) {
    std::uint32_t expected = 0, found = 0;
    for (std::size_t j = 0; j < dim; ++j) expected += static_cast<std::uint32_t>(codes[j] >> (planes - leading)) * values[j];
    const PlaneShape shape{words, leading, query_planes, row.size()};
    kernels_named("scalar").plane_dot(shape, query.data(), row.data(), nullptr, 1, &found);
    check(found == expected, "leading bits, dim " + std::to_string(dim) + " planes " + std::to_string(leading));
  }
}

void check_reference_by_hand() {
  const std::uint8_t codes[] = {2, 0, 3, 1}, values[] = {5, 15, 8, 9};
  std::uint8_t row[16], query[32];
  pack_planes(codes, 4, 2, row);
  pack_planes(values, 4, 4, query);
  check(row[0] == 0b10100000 && row[8] == 0b00110000, "bits in the order of numpy.packbits, most significant plane first");
  std::uint32_t found[1];
  kernels_named("scalar").plane_dot({1, 2, 4, 16}, query, row, nullptr, 1, found);
  check(found[0] == 2 * 5 + 3 * 8 + 1 * 9, "plane_dot by hand");
}

}  // namespace

void test_plane_dot() {
  check_reference_by_hand();
  std::mt19937 random(441);
  const auto any = [&] { return random(); };
  for (std::size_t dim = 0; dim <= 257; ++dim) check_against_codes(dim, 1 + dim % 8, 1 + dim / 8 % 8, random);
  for (std::size_t words = 0; words <= 20; ++words)
    for (const std::size_t query_planes : {1, 4, 8})
      compare({words, 1, query_planes, 8 * words + words % 3}, 1 + words % 7, random() % 64, any);
  for (std::size_t planes = 1; planes <= max_planes; ++planes)
    for (std::size_t query_planes = 1; query_planes <= max_planes; ++query_planes)
      compare({3 + planes, planes, query_planes, 8 * planes * (3 + planes) + 5}, 7, query_planes, any);
  for (const std::size_t count : {0, 1, 2, 3, 4, 5, 9}) compare({6, 2, 4, 100}, count, 1, any);
  for (const std::size_t words : {31, 61, 127}) compare({words, 1, 4, 8 * words}, 5, 3, any);
  for (const std::size_t words : {std::size_t{1}, std::size_t{13}, max_plane_words})
    compare({words, max_planes, max_planes, 64 * words}, 3, 0, [] { return 255; });
}

}  // namespace annbench::tests
