#include "bench/cases.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

#include "codecs/uniform_rows.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench::bench {
namespace {

constexpr std::size_t dim = 768;

// Stored rows, a query and room for answers; bytes at random.
struct Data {
  AlignedBuffer<std::uint8_t> rows, query;
  AlignedBuffer<std::uint32_t> out, indices, gathered;
};

void fill(AlignedBuffer<std::uint8_t>& buffer, std::mt19937_64& random, std::uint64_t keep, std::uint64_t set) {
  for (std::size_t i = 0; i + 8 <= buffer.size(); i += 8) {
    const std::uint64_t word = (random() & keep) | set;
    std::memcpy(buffer.data() + i, &word, sizeof(word));
  }
}

// Masks under which random words are what a kernel reads: whatever bytes, floats of size 0.5 … 1, halves of that size, 16-bit
// integers from 0 to 1023.
constexpr std::uint64_t any_keep = ~std::uint64_t{0}, any_set = 0;
constexpr std::uint64_t float_keep = 0x807fffff807fffffu, float_set = 0x3f0000003f000000u;
constexpr std::uint64_t half_keep = 0x83ff83ff83ff83ffu, half_set = 0x3800380038003800u;
constexpr std::uint64_t fixed_keep = 0x03ff03ff03ff03ffu;
constexpr std::uint64_t query_keep = 0x3f3f3f3f3f3f3f3fu;  // int8 from 0 to 63

std::shared_ptr<Data> make_data(std::size_t row_bytes, std::size_t count, std::size_t query_bytes,
                                std::uint64_t keep = any_keep, std::uint64_t set = any_set,
                                std::uint64_t keep_of_query = any_keep, std::uint64_t set_of_query = any_set) {
  std::mt19937_64 random(1);
  auto data = std::make_shared<Data>();
  data->rows = AlignedBuffer<std::uint8_t>((row_bytes * count + 7) / 8 * 8);
  data->query = AlignedBuffer<std::uint8_t>((query_bytes + 7) / 8 * 8);
  data->out = AlignedBuffer<std::uint32_t>(count);
  data->indices = AlignedBuffer<std::uint32_t>(count);
  data->gathered = AlignedBuffer<std::uint32_t>(count);
  fill(data->rows, random, keep, set);
  fill(data->query, random, keep_of_query, set_of_query);
  std::iota(data->gathered.data(), data->gathered.data() + count, 0u);
  std::shuffle(data->gathered.data(), data->gathered.data() + count, random);
  return data;
}

Case hamming(std::size_t bytes, std::size_t bits) {
  const std::size_t row = bits / 8, count = bytes / row;
  auto data = make_data(row, count, row);
  return {"", count, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            kernels.hamming_select(data->query.data(), data->rows.data(), row, count, 0, data->indices.data(), data->out.data());
          }, data};
}

// Codes of which none is within its limit; `by_length`, limits that fall with lengths.
Case selected(std::size_t bytes, std::size_t groups, std::uint32_t largest, std::size_t queries, bool by_length) {
  const std::size_t row = table_block_bytes(groups) / table_block, count = bytes / row / table_block * table_block;
  const std::uint64_t below = std::bit_floor(largest) - 1;
  auto data = make_data(row, count, 16 * groups * queries, any_keep, any_set, below * 0x0101010101010101u);
  std::vector<const std::uint8_t*> of_queries(queries);
  for (std::size_t q = 0; q < queries; ++q) of_queries[q] = data->query.data() + 16 * groups * q;
  using Hits = std::pair<std::vector<std::uint32_t>, std::vector<std::size_t>>;
  auto hits = std::make_shared<Hits>(2 * count * queries, queries);
  const std::vector<SelectLimit> limits(queries);
  auto lengths = std::make_shared<std::vector<std::uint8_t>>(by_length ? 2 * count : 0);
  return {"", count * queries, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            kernels.table_select(of_queries.data(), queries, data->rows.data(), groups, count, largest, limits.data(),
                                 {by_length ? lengths->data() : nullptr, 8}, hits->first.data(), hits->first.data() + count * queries,
                                 hits->second.data());
          }, data};
}

Case planes(std::size_t bytes, std::size_t planes, std::size_t query_planes, bool gather, std::size_t dims = dim) {
  const std::size_t words = plane_words(dims), row = 8 * words * planes, count = bytes / row;
  auto data = make_data(row, count, 8 * words * query_planes);
  const PlaneShape shape{words, planes, query_planes, row};
  return {"", count, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            kernels.plane_dot(shape, data->query.data(), data->rows.data(), gather ? data->gathered.data() : nullptr, count,
                              data->out.data());
          }, data};
}

Case codes(std::size_t bytes, CodeDotFn KernelTable::*kernel, std::size_t row, bool gather) {
  const std::size_t count = bytes / row;
  auto data = make_data(row, count, 2 * row, any_keep, any_set, query_keep);
  return {"", count, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            (kernels.*kernel)(reinterpret_cast<const std::int8_t*>(data->query.data()), data->rows.data(), row,
                              gather ? data->gathered.data() : nullptr, count, reinterpret_cast<std::int32_t*>(data->out.data()));
          }, data};
}

Case packed(std::size_t bytes, std::size_t dims, int bits) {
  const std::size_t row = packed_plane_bytes(dims, bits) + sizeof(float), count = bytes / row;
  auto data = make_data(row, count, packed_query_dim(dims), any_keep, any_set, query_keep);
  return {"", count, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            kernels.packed_dot(reinterpret_cast<const std::int8_t*>(data->query.data()), {data->rows.data(), row, dims, bits},
                               nullptr, count, reinterpret_cast<std::int32_t*>(data->out.data()));
          }, data};
}

Case tables(std::size_t bytes, std::size_t groups) {
  const std::size_t count = bytes / table_block_bytes(groups) * table_block;
  auto data = make_data(table_block_bytes(groups) / table_block, count, 16 * groups);
  return {"", count, count / table_block * table_block_bytes(groups), data->rows.data(), [=](const KernelTable& kernels) {
            kernels.table_scan(data->query.data(), data->rows.data(), groups, count, data->out.data());
          }, data};
}

Case floats(std::size_t bytes, FloatDistanceFn KernelTable::*kernel, bool halves) {
  const std::size_t row = dim * (halves ? 2 : 4), count = bytes / row;
  auto data = halves ? make_data(row, count, 4 * dim, half_keep, half_set, float_keep, float_set)
                     : make_data(row, count, 4 * dim, float_keep, float_set, float_keep, float_set);
  return {"", count, count * row, data->rows.data(), [=](const KernelTable& kernels) {
            (kernels.*kernel)(reinterpret_cast<const float*>(data->query.data()), data->rows.data(), dim, nullptr, count,
                              reinterpret_cast<float*>(data->out.data()));
          }, data};
}

// `bytes` of vectors of 1,024 in place; values would grow from call to call, so each is made small again.
Case hadamard(std::size_t bytes) {
  const std::size_t n = 1024, count = std::max<std::size_t>(1, bytes / (4 * n));
  auto data = make_data(4 * n, count, 8, float_keep, float_set);
  return {"", count, 0, data->rows.data(), [=](const KernelTable& kernels) {
            auto* v = reinterpret_cast<float*>(data->rows.data());
            for (std::size_t i = 0; i < count; ++i, v += n) {
              kernels.hadamard(v, n);
              for (std::size_t j = 0; j < n; ++j) v[j] *= 0x1p-5f;  // 1/√n: the whole is orthogonal
            }
          }, data};
}

// As many matrices of 768 by 256 as make up `bytes`, one row each (so that W comes from where those bytes are); or 128
// rows and one matrix. Numbers are of `together` values each.
template <class Value, class Result>
Case projection(std::size_t bytes,
                void (*KernelTable::*kernel)(const Value*, std::size_t, std::size_t, const Value*, std::size_t, Result*),
                bool many, std::size_t together = 1) {
  constexpr bool fixed = std::is_same_v<Value, std::int32_t>;
  constexpr std::size_t dim_out = 256;
  const std::size_t inputs = dim / together, matrix = inputs * dim_out;
  const std::size_t matrices = many ? 1 : std::max<std::size_t>(1, bytes / (matrix * sizeof(Value))), rows = many ? 128 : 1;
  constexpr std::uint64_t keep = fixed ? fixed_keep : float_keep, set = fixed ? 0 : float_set;
  auto data = make_data(matrix * sizeof(Value), matrices, inputs * sizeof(Value) * rows, keep, set, keep, set);
  data->out = AlignedBuffer<std::uint32_t>(rows * dim_out);
  return {"", matrices * rows, many ? 0 : matrices * matrix * sizeof(Value), data->rows.data(), [=](const KernelTable& kernels) {
            for (std::size_t m = 0; m < matrices; ++m)
              (kernels.*kernel)(reinterpret_cast<const Value*>(data->rows.data()) + m * matrix, inputs, dim_out,
                                reinterpret_cast<const Value*>(data->query.data()), rows,
                                reinterpret_cast<Result*>(data->out.data()));
          }, data};
}

// Vectors of 384 normal values made rows; the codec does not choose by ISA, so that all columns say the same.
Case encoding(int bits, UniformFit fit) {
  constexpr std::size_t encoded_dim = 384, count = 512;
  struct Encoding {
    UniformRows codec;
    std::vector<float> vectors, bias;
    AlignedBuffer<std::uint8_t> rows;
  };
  UniformRows codec(encoded_dim, bits, fit, 1.0f);
  AlignedBuffer<std::uint8_t> rows(codec.bytes(0, count));
  auto data = std::make_shared<Encoding>(Encoding{std::move(codec), {}, std::vector<float>(count), std::move(rows)});
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < count * encoded_dim; ++i) data->vectors.push_back(normal(random));
  return {"", count, 0, data->rows.data(), [=](const KernelTable&) {
            data->codec.encode(data->vectors.data(), data->bias.data(), nullptr, count, {data->rows.data(), nullptr}, 0);
          }, data};
}

struct Maker {
  const char* name;
  Case (*make)(std::size_t bytes);
};

const Maker makers[] = {
    {"hamming, 128 bits", [](std::size_t bytes) { return hamming(bytes, 128); }},
    {"hamming, 256 bits", [](std::size_t bytes) { return hamming(bytes, 256); }},
    {"hamming, 512 bits", [](std::size_t bytes) { return hamming(bytes, 512); }},
    {"hamming, 768 bits", [](std::size_t bytes) { return hamming(bytes, 768); }},
    {"hamming, 1024 bits", [](std::size_t bytes) { return hamming(bytes, 1024); }},
    {"hamming, 128 bits, in blocks", [](std::size_t bytes) { return selected(bytes, 32, 4, 1, false); }},
    {"hamming, 128 bits, in blocks, 4 queries", [](std::size_t bytes) { return selected(bytes, 32, 4, 4, false); }},
    {"hamming, 256 bits, in blocks", [](std::size_t bytes) { return selected(bytes, 64, 4, 1, false); }},
    {"hamming, 256 bits, in blocks, 4 queries", [](std::size_t bytes) { return selected(bytes, 64, 4, 4, false); }},
    {"hamming, 512 bits, in blocks", [](std::size_t bytes) { return selected(bytes, 128, 4, 1, false); }},
    {"hamming, 512 bits, in blocks, 4 queries", [](std::size_t bytes) { return selected(bytes, 128, 4, 4, false); }},
    {"hamming, 1024 bits, in blocks", [](std::size_t bytes) { return selected(bytes, 256, 4, 1, false); }},
    {"hamming, 1024 bits, in blocks, 4 queries", [](std::size_t bytes) { return selected(bytes, 256, 4, 4, false); }},
    {"planes 1×1, 768", [](std::size_t bytes) { return planes(bytes, 1, 1, false); }},
    {"planes 1×4, 768", [](std::size_t bytes) { return planes(bytes, 1, 4, false); }},
    {"planes 1×4, 768, gathered", [](std::size_t bytes) { return planes(bytes, 1, 4, true); }},
    {"planes 1×8, 768", [](std::size_t bytes) { return planes(bytes, 1, 8, false); }},
    {"planes 4×4, 768", [](std::size_t bytes) { return planes(bytes, 4, 4, false); }},
    // Levels of BEBR against queries of levels: beside them, table scans of as many bytes are SDC.
    {"planes 2×2, 128", [](std::size_t bytes) { return planes(bytes, 2, 2, false, 128); }},
    {"planes 2×2, 384", [](std::size_t bytes) { return planes(bytes, 2, 2, false, 384); }},
    {"planes 4×4, 64", [](std::size_t bytes) { return planes(bytes, 4, 4, false, 64); }},
    {"planes 4×4, 192", [](std::size_t bytes) { return planes(bytes, 4, 4, false, 192); }},
    {"levels 2 bits, 128, in rows", [](std::size_t bytes) { return packed(bytes, 128, 2); }},
    {"levels 4 bits, 192, in rows", [](std::size_t bytes) { return packed(bytes, 192, 4); }},
    {"nibbles, 768", [](std::size_t bytes) { return codes(bytes, &KernelTable::nibble_dot, dim / 2, false); }},
    {"nibbles, 768, gathered", [](std::size_t bytes) { return codes(bytes, &KernelTable::nibble_dot, dim / 2, true); }},
    {"bytes, 768", [](std::size_t bytes) { return codes(bytes, &KernelTable::byte_dot, dim, false); }},
    {"sums of 2-bit levels, 64 groups", [](std::size_t bytes) { return selected(bytes, 64, 18, 1, true); }},
    {"sums of 2-bit levels, 64 groups, 4 queries", [](std::size_t bytes) { return selected(bytes, 64, 18, 4, true); }},
    {"sums of 2-bit levels, 192 groups", [](std::size_t bytes) { return selected(bytes, 192, 18, 1, true); }},
    {"sums of 2-bit levels, 192 groups, 4 queries", [](std::size_t bytes) { return selected(bytes, 192, 18, 4, true); }},
    {"sums of 3-bit levels, 64 groups", [](std::size_t bytes) { return selected(bytes, 64, 84, 1, true); }},
    {"sums of 3-bit levels, 64 groups, 4 queries", [](std::size_t bytes) { return selected(bytes, 64, 84, 4, true); }},
    {"sums of 4-bit levels, 64 groups", [](std::size_t bytes) { return selected(bytes, 64, 225, 1, true); }},
    {"sums of 4-bit levels, 64 groups, 4 queries", [](std::size_t bytes) { return selected(bytes, 64, 225, 4, true); }},
    {"table scan, 64 groups", [](std::size_t bytes) { return tables(bytes, 64); }},
    {"table scan, 192 groups", [](std::size_t bytes) { return tables(bytes, 192); }},
    {"table scan, 512 groups", [](std::size_t bytes) { return tables(bytes, 512); }},
    {"float32 dot, 768", [](std::size_t bytes) { return floats(bytes, &KernelTable::float32_dot, false); }},
    {"float32 squared L2, 768", [](std::size_t bytes) { return floats(bytes, &KernelTable::float32_squared_l2, false); }},
    {"float16 dot, 768", [](std::size_t bytes) { return floats(bytes, &KernelTable::float16_dot, true); }},
    {"hadamard, 1024", hadamard},
    {"projection 768→256, one", [](std::size_t bytes) { return projection(bytes, &KernelTable::projection, false); }},
    {"projection 768→256, one, fixed", [](std::size_t bytes) { return projection(bytes, &KernelTable::fixed_projection, false, 2); }},
    {"projection 768→256, one, bytes", [](std::size_t bytes) { return projection(bytes, &KernelTable::byte_projection, false, 4); }},
    {"projection 768→256, 128 rows", [](std::size_t bytes) { return projection(bytes, &KernelTable::projection, true); }},
    {"projection 768→256, 128 rows, fixed", [](std::size_t bytes) { return projection(bytes, &KernelTable::fixed_projection, true, 2); }},
    {"projection 768→256, 128 rows, bytes", [](std::size_t bytes) { return projection(bytes, &KernelTable::byte_projection, true, 4); }},
    {"encoding 384, 4 bits, fast", [](std::size_t) { return encoding(4, UniformFit::rabitq_fast); }},
    {"encoding 384, 8 bits, fast", [](std::size_t) { return encoding(8, UniformFit::rabitq_fast); }},
    {"encoding 384, 4 bits, min-max", [](std::size_t) { return encoding(4, UniformFit::min_max); }},
    {"encoding 384, 4 bits, swept", [](std::size_t) { return encoding(4, UniformFit::rabitq); }},
    {"encoding 384, 4 bits, osq", [](std::size_t) { return encoding(4, UniformFit::osq); }},
};

}  // namespace

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const Maker& maker : makers) names.emplace_back(maker.name);
  return names;
}

Case make_case(const std::string& name, std::size_t bytes) {
  for (const Maker& maker : makers)
    if (name == maker.name) {
      Case made = maker.make(bytes);
      made.name = name;
      return made;
    }
  throw std::invalid_argument("unknown case '" + name + "'");
}

}  // namespace annbench::bench
