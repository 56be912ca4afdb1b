// Every kernel of KernelTable on shapes and values from a fuzzer: what an ISA answers is what the reference answers,
// bit by bit where the kernel's contract says so, within its bound elsewhere. Inputs begin at any address and end where
// their memory does, so that under AddressSanitizer one element too far is found.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <utility>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "kernels/dispatch.hpp"
#include "transforms/fixed_row.hpp"

namespace annbench::fuzz {
namespace {

// A kernel that is new in the table has to be compared here too.
constexpr std::size_t kernels_compared = 30;
static_assert(sizeof(KernelTable) == (1 + kernels_compared) * sizeof(void*), "compare the new kernel in run()");

const KernelTable& reference() { return kernels_named("scalar"); }

std::vector<const KernelTable*> others() {
  std::vector<const KernelTable*> found;
  for (const Isa isa : available_isas())
    if (isa != Isa::scalar) found.push_back(&kernels_named(isa_name(isa)));
  return found;
}

void require(bool condition, const char* kernel, const KernelTable& table, const std::string& shape) {
  if (condition) return;
  fail(std::string(kernel) + " " + std::string(isa_name(table.isa)) + " differs from its reference: " + shape);
}

std::string shape_of(std::initializer_list<std::size_t> sizes) {
  std::string text;
  for (const std::size_t size : sizes) text += (text.empty() ? "" : " × ") + std::to_string(size);
  return text;
}

// `count` values at an address that T's alignment allows and no other property of.
template <class T>
class Placed {
 public:
  Placed(std::size_t count, std::size_t offset) : offset_(offset % 64), values_(count + offset_) {
    values_.reserve(1);  // so that nothing at all has an address too
  }
  // Any values, or few of them over and over, or one: sums overflow where all is large, hardly ever where all is random.
  Placed(Input& input, std::size_t count) : Placed(count, input.byte()) {
    const std::size_t different = std::size_t{1} << input.byte() % 4;
    const bool any = different == 8;
    T few[8];
    for (T& value : few) value = input.byte() % 2 == 0 ? static_cast<T>(-1) : input.value<T>();
    for (T& value : span()) value = any ? input.value<T>() : few[input.byte() % different];
  }
  T* data() { return values_.data() + offset_; }
  std::span<T> span() { return std::span(values_).subspan(offset_); }
  T& operator[](std::size_t i) { return values_[offset_ + i]; }
  std::size_t size() const { return values_.size() - offset_; }

 private:
  std::size_t offset_;
  std::vector<T> values_;
};

// Any float at all, a few of them over and over, or normal ones whose products are normal too.
enum class Floats { any, corners, moderate };

float float_from(Input& input, Floats kind) {
  constexpr float corners[] = {0.0f,      -0.0f, 1.0f,          -1.0f,  INFINITY,
                               -INFINITY, NAN,   3.4028235e38f, 1e-45f, 1.17549435e-38f};
  if (kind == Floats::corners) return corners[input.byte() % std::size(corners)];
  const auto bits = input.value<std::uint32_t>();
  if (kind == Floats::any) return std::bit_cast<float>(bits);
  if (bits % 16 == 0) return 0;
  return std::bit_cast<float>((bits & 0x807fffffu) | (107u + (bits >> 23) % 40) << 23);  // 2⁻²⁰ … 2²⁰
}

Placed<float> floats_from(Input& input, std::size_t count, Floats kind) {
  Placed<float> values(count, input.byte());
  for (float& value : values.span()) value = float_from(input, kind);
  return values;
}

Floats any_kind(Input& input) { return static_cast<Floats>(input.byte() % 3); }

// The same bits, or both NaN.
template <class T>
bool same(std::span<const T> a, std::span<const T> b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return false;
  }
  return a.size() == b.size();
}

// Rows that a kernel gathers, or null for consecutive ones.
class Gathered {
 public:
  Gathered(Input& input, std::size_t count) : wanted_(input.byte() % 2 == 0), rows_(wanted_ ? count : 0) {
    for (std::uint32_t& row : rows_) row = static_cast<std::uint32_t>(input.between(0, count - 1));
  }
  const std::uint32_t* data() const { return wanted_ ? rows_.data() : nullptr; }
  std::size_t operator[](std::size_t i) const { return wanted_ ? rows_[i] : i; }

 private:
  bool wanted_;
  std::vector<std::uint32_t> rows_;
};

// What one of the kernels that select writes.
template <class V>
struct Selected {
  std::vector<std::uint32_t> indices;
  std::vector<V> values;
  explicit Selected(std::size_t count) : indices(count), values(count) {}
  void keep(std::size_t found) { indices.resize(found), values.resize(found); }
  bool operator==(const Selected& other) const {
    return indices == other.indices && same<V>(values, other.values);
  }
};

void threshold_select(Input& input) {
  const std::size_t count = input.size(0, 3000);
  const Floats kind = any_kind(input);
  Placed<float> scores = floats_from(input, count, kind), terms = floats_from(input, count, kind);
  const auto adjust = static_cast<Adjust>(input.byte() % 3);
  const float threshold = float_from(input, kind);
  const auto select = [&](const KernelTable& table) {
    Selected<float> selected(count);
    selected.keep(table.threshold_select(scores.data(), adjust == Adjust::none ? nullptr : terms.data(), adjust, count,
                                         threshold, selected.indices.data(), selected.values.data()));
    return selected;
  };
  const auto expected = select(reference());
  for (const KernelTable* table : others())
    require(select(*table) == expected, "threshold_select", *table, shape_of({count}));
}

void exact_distance(Input& input) {
  const std::size_t dim = input.size(0, 1100), count = input.size(1, 9);
  const Floats kind = any_kind(input);
  Placed<float> query = floats_from(input, dim, kind), base = floats_from(input, dim * count, kind);
  std::vector<std::uint32_t> rows(count);
  for (std::uint32_t& row : rows) row = static_cast<std::uint32_t>(input.between(0, count - 1));
  for (const auto kernel : {&KernelTable::exact_dot, &KernelTable::exact_squared_l2}) {
    std::vector<double> expected(count), found(count);
    (reference().*kernel)(query.data(), base.data(), dim, rows.data(), count, expected.data());
    for (const KernelTable* table : others()) {
      (table->*kernel)(query.data(), base.data(), dim, rows.data(), count, found.data());
      require(same<double>(found, expected), "exact_distance", *table, shape_of({count, dim}));
    }
  }
}

void hamming_select(Input& input) {
  const std::size_t bytes = input.size(0, 700), count = input.size(0, 60);
  Placed<std::uint8_t> query(input, bytes), codes(input, bytes * count);
  const auto limit = static_cast<std::uint32_t>(input.size(0, 8 * bytes));
  const auto select = [&](const KernelTable& table) {
    Selected<std::uint32_t> selected(count);
    selected.keep(table.hamming_select(query.data(), codes.data(), bytes, count, limit, selected.indices.data(),
                                       selected.values.data()));
    return selected;
  };
  const auto expected = select(reference());
  for (const KernelTable* table : others())
    require(select(*table) == expected, "hamming_select", *table, shape_of({count, bytes}));
}

void table_select(Input& input) {
  const std::size_t groups = 4 * input.size(0, 64), count = input.size(0, 130), queries = input.size(0, 9);
  const std::size_t entries = 16 * groups, largest = input.size(1, 255);
  Placed<std::uint8_t> blocks(input, (count + table_block - 1) / table_block * table_block_bytes(groups));
  Placed<std::uint8_t> tables(input, entries * queries);
  for (std::size_t e = 0; e < entries * queries; ++e)
    tables.data()[e] = static_cast<std::uint8_t>(tables.data()[e] % (largest + 1));
  std::vector<const std::uint8_t*> of_queries(queries);
  std::vector<SelectLimit> limits(queries);
  for (std::size_t q = 0; q < queries; ++q) {
    of_queries[q] = tables.data() + entries * q;
    for (SelectLine& line : limits[q].lines)
      line = {static_cast<std::uint16_t>(input.size(0, groups * largest)), static_cast<std::uint16_t>(input.size(0, 0xffff))};
  }
  Placed<std::uint8_t> values(input, 2 * count);
  const int shift = static_cast<int>(input.size(0, 8));
  for (std::size_t j = 1; j < 2 * count; j += 2) values.data()[j] = static_cast<std::uint8_t>(values.data()[j] >> shift);
  const CodeLengths lengths{input.size(0, 1) == 0 ? nullptr : values.data(), shift};
  const auto select = [&](const KernelTable& table) {
    std::vector<std::uint32_t> indices(queries * count), sums(queries * count);
    std::vector<std::size_t> found(queries);
    table.table_select(of_queries.data(), queries, blocks.data(), groups, count, static_cast<std::uint32_t>(largest),
                       limits.data(), lengths, indices.data(), sums.data(), found.data());
    std::vector<Selected<std::uint32_t>> all(queries, Selected<std::uint32_t>(0));
    for (std::size_t q = 0; q < queries; ++q) {
      const auto begin = static_cast<std::ptrdiff_t>(q * count), end = begin + static_cast<std::ptrdiff_t>(found[q]);
      all[q].indices.assign(indices.begin() + begin, indices.begin() + end);
      all[q].values.assign(sums.begin() + begin, sums.begin() + end);
    }
    return all;
  };
  const auto expected = select(reference());
  for (const KernelTable* table : others())
    require(select(*table) == expected, "table_select", *table, shape_of({queries, count, groups, largest}));
}

void code_dot(Input& input) {
  const std::size_t bytes = code_line * input.size(1, 20), count = input.size(1, 40);
  Placed<std::uint8_t> base(input, bytes * count);
  Placed<std::int8_t> query(input, 2 * bytes);
  for (std::int8_t& value : query.span()) value = std::max<std::int8_t>(value, -127);
  const Gathered rows(input, count);
  std::vector<std::int32_t> expected(count), found(count);
  for (const auto kernel : {&KernelTable::nibble_dot, &KernelTable::byte_dot}) {
    // Eight bits take half as many values: the second half, so that nothing lies behind them.
    const std::int8_t* values = query.data() + (kernel == &KernelTable::byte_dot ? bytes : 0);
    (reference().*kernel)(values, base.data(), bytes, rows.data(), count, expected.data());
    for (const KernelTable* table : others()) {
      (table->*kernel)(values, base.data(), bytes, rows.data(), count, found.data());
      require(found == expected, "code_dot", *table, shape_of({count, bytes}));
    }
  }
}

void nibble_scores(Input& input) {
  const std::size_t bytes = code_line * input.size(1, 20), count = input.size(1, 300);
  Placed<std::uint8_t> base(input, bytes * count);
  Placed<std::int8_t> query(input, 2 * bytes);
  for (std::int8_t& value : query.span()) value = std::max<std::int8_t>(value, -127);
  const Gathered rows(input, count);
  const Floats kind = any_kind(input);
  const ScoreTerms terms{float_from(input, kind), float_from(input, kind), float_from(input, kind)};
  const auto score = [&](const KernelTable& table) {
    std::vector<float> scores(count);
    table.nibble_scores(query.data(), terms, base.data(), bytes, rows.data(), count, scores.data());
    return scores;
  };
  const std::vector<float> expected = score(reference());
  for (const KernelTable* table : others())
    require(same<float>(score(*table), expected), "nibble_scores", *table, shape_of({count, bytes}));
}

void query_values(Input& input) {
  const std::size_t count = input.size(0, 1100);
  const Floats kind = any_kind(input);
  Placed<float> a = floats_from(input, count, kind), b = floats_from(input, count, kind);
  for (Placed<float>* values : {&a, &b})
    for (std::size_t j = 0; j < count; ++j)
      if (!std::isfinite(values->data()[j])) values->data()[j] = -1;
  const double dot = reference().wide_dot(a.data(), b.data(), count);
  const float largest = reference().largest(a.data(), count);
  const float finest = largest > 1e-30f ? 127 / largest : 0;
  std::vector<std::int8_t> bytes(count), other_bytes(count);
  std::vector<std::int16_t> shorts(count), other_shorts(count);
  const std::int32_t sum = reference().round_bytes(a.data(), count, finest, bytes.data());
  reference().round_shorts(a.data(), count, finest, shorts.data());
  std::vector<float> third(count), apart(count), other_third(count), other_apart(count);
  std::vector<std::int8_t> rests(count), other_rests(count);
  reference().scaled(a.data(), count, 1.0 / 3, third.data());
  const double square = reference().centred(a.data(), b.data(), count, apart.data());
  // Where steps of them are finite.
  const float finer = largest < 1e37f ? 254 * finest : 0, step = finer > 0 ? 1 / finest : 0;
  const std::int32_t of_rests = reference().round_rests(a.data(), bytes.data(), count, step, finer, rests.data());
  for (const KernelTable* table : others()) {
    table->scaled(a.data(), count, 1.0 / 3, other_third.data());
    require(other_third == third, "scaled", *table, shape_of({count}));
    const double other_square = table->centred(a.data(), b.data(), count, other_apart.data());
    require(same<float>(other_apart, apart) && std::bit_cast<std::uint64_t>(other_square) == std::bit_cast<std::uint64_t>(square),
            "centred", *table, shape_of({count}));
    require(table->round_rests(a.data(), bytes.data(), count, step, finer, other_rests.data()) == of_rests && other_rests == rests,
            "round_rests", *table, shape_of({count}));
    require(std::bit_cast<std::uint64_t>(table->wide_dot(a.data(), b.data(), count)) == std::bit_cast<std::uint64_t>(dot) &&
                table->largest(a.data(), count) == largest,
            "wide_dot", *table, shape_of({count}));
    const std::int32_t other_sum = table->round_bytes(a.data(), count, finest, other_bytes.data());
    table->round_shorts(a.data(), count, finest, other_shorts.data());
    require(other_sum == sum && other_bytes == bytes && other_shorts == shorts, "round_bytes", *table, shape_of({count}));
  }
}

void packed_dot(Input& input) {
  const std::size_t dim = input.size(1, 500), count = input.size(1, 40);
  const int bits = 1 + input.byte() % 7;
  const std::size_t stride = packed_plane_bytes(dim, bits) + input.size(0, 20);
  Placed<std::uint8_t> base(input, stride * count);
  Placed<std::int8_t> query(input, packed_query_dim(dim));
  for (std::size_t j = 0; j < query.size(); ++j) query[j] = j < dim ? std::max<std::int8_t>(query[j], -127) : 0;
  const Gathered gathered(input, count);
  const PackedRows rows{base.data(), stride, dim, bits};
  std::vector<std::int32_t> expected(count), found(count);
  reference().packed_dot(query.data(), rows, gathered.data(), count, expected.data());
  for (const KernelTable* table : others()) {
    table->packed_dot(query.data(), rows, gathered.data(), count, found.data());
    require(found == expected, "packed_dot", *table, shape_of({count, dim, static_cast<std::size_t>(bits)}));
  }
}

// Against the sums in float64, the reference too.
template <class T>
void float_distance(Input& input) {
  const std::size_t dim = input.size(0, 1100), count = input.size(1, 12);
  Placed<float> query = floats_from(input, dim, Floats::moderate);
  Placed<float> values = floats_from(input, dim * count, Floats::moderate);
  Placed<T> base(dim * count, input.byte());
  for (std::size_t i = 0; i < base.size(); ++i) {
    if constexpr (std::is_same_v<T, float>) {
      base[i] = values[i];
    } else {
      base[i] = half_of_float(std::ldexp(values[i], -5));
      values[i] = float_of_half(base[i]);
    }
  }
  const Gathered rows(input, count);
  constexpr bool halves = !std::is_same_v<T, float>;
  for (const bool squared : {false, true}) {
    const auto kernel = squared ? (halves ? &KernelTable::float16_squared_l2 : &KernelTable::float32_squared_l2)
                                : (halves ? &KernelTable::float16_dot : &KernelTable::float32_dot);
    const double u = 0x1p-24, m = std::ceil(static_cast<double>(dim) / 8) + 4 + (squared ? 2 : 0);
    for (const Isa isa : available_isas()) {
      const KernelTable& table = kernels_named(isa_name(isa));
      std::vector<float> found(count);
      (table.*kernel)(query.data(), base.data(), dim, rows.data(), count, found.data());
      for (std::size_t i = 0; i < count; ++i) {
        double sum = 0, scale = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          const double q = query[j], x = values[rows[i] * dim + j], term = squared ? (x - q) * (x - q) : q * x;
          sum += term;
          scale += std::fabs(term);
        }
        // The sum in float64 has an error too, a millionth of the bound.
        require(std::fabs(found[i] - sum) <= m * u / (1 - m * u) * scale * (1 + 1e-6), "float_distance", table,
                shape_of({count, dim}));
      }
    }
  }
}

void half_values(Input& input) {
  const std::size_t count = input.size(0, 100);
  Placed<std::uint16_t> halves(input, count);
  Placed<float> expected(count, 0);
  reference().half_values(halves.data(), count, 0x1p-8f, expected.data());
  for (float& value : expected.span())
    if (value != value) value = 0;  // of NaN the bits may differ
  for (const KernelTable* table : others()) {
    Placed<float> found(count, input.byte());
    table->half_values(halves.data(), count, 0x1p-8f, found.data());
    for (float& value : found.span())
      if (value != value) value = 0;
    require(same<float>(found.span(), expected.span()), "half_values", *table, shape_of({count}));
  }
}

void hadamard(Input& input) {
  const std::size_t n = std::size_t{1} << input.between(0, 12);
  Placed<float> values = floats_from(input, n, any_kind(input));
  Placed<float> expected = values;
  reference().hadamard(expected.data(), n);
  for (const KernelTable* table : others()) {
    Placed<float> found = values;
    table->hadamard(found.data(), n);
    require(same<float>(found.span(), expected.span()), "hadamard", *table, shape_of({n}));
  }
}

void plane_dot(Input& input) {
  PlaneShape shape{input.size(0, 80), input.between(1, max_planes), input.between(1, max_planes), 0};
  const std::size_t read = 8 * shape.words * shape.planes, count = input.size(1, 20);
  shape.stride = read + input.size(0, 70);
  Placed<std::uint8_t> base(input, (count - 1) * shape.stride + read);
  Placed<std::uint8_t> query(input, 8 * shape.words * shape.query_planes);
  const Gathered rows(input, count);
  std::vector<std::uint32_t> expected(count), found(count);
  reference().plane_dot(shape, query.data(), base.data(), rows.data(), count, expected.data());
  for (const KernelTable* table : others()) {
    table->plane_dot(shape, query.data(), base.data(), rows.data(), count, found.data());
    require(found == expected, "plane_dot", *table, shape_of({count, shape.words, shape.planes, shape.query_planes}));
  }
}

void table_scan(Input& input) {
  const std::size_t groups = 4 * input.size(0, 300), count = input.size(0, 200);
  Placed<std::uint8_t> tables(input, 16 * groups);
  Placed<std::uint8_t> blocks(input, (count + table_block - 1) / table_block * table_block_bytes(groups));
  std::vector<std::uint32_t> expected(count), found(count);
  reference().table_scan(tables.data(), blocks.data(), groups, count, expected.data());
  for (const KernelTable* table : others()) {
    table->table_scan(tables.data(), blocks.data(), groups, count, found.data());
    require(found == expected, "table_scan", *table, shape_of({count, groups}));
  }
}

// In each stretch the largest entries of the even groups, and of the odd ones, sum to at most 255.
void obey_stretches(std::uint8_t* tables, std::size_t groups) {
  for (std::size_t begin = 0; begin < groups; begin += sign_stretch) {
    unsigned left[2] = {255, 255};
    for (std::size_t g = begin; g < std::min(groups, begin + sign_stretch); ++g) {
      unsigned largest = 0;
      for (std::size_t e = 16 * g; e < 16 * g + 16; ++e) {
        tables[e] = static_cast<std::uint8_t>(tables[e] % (left[g % 2] + 1));
        largest = std::max<unsigned>(largest, tables[e]);
      }
      left[g % 2] -= largest;
    }
  }
}

void sign_scan(Input& input) {
  const std::size_t groups = 4 * input.size(0, 120), count = input.size(0, 200);
  const std::size_t used = 2 * input.size(0, groups / 2);
  Placed<std::uint8_t> tables(input, 16 * groups);
  obey_stretches(tables.data(), groups);
  std::fill(tables.data() + 16 * used, tables.data() + 16 * groups, std::uint8_t{0});
  Placed<std::uint8_t> blocks(input, (count + table_block - 1) / table_block * sign_block_bytes(groups));
  const Floats kind = any_kind(input);
  SignScan scan{tables.data(), groups, used, 0, 0, 0, 0};
  for (float* value : {&scan.step, &scan.base, &scan.offset, &scan.slack}) *value = float_from(input, kind);
  const auto bounds = [&](const KernelTable& table) {
    std::vector<float> found(count);
    table.sign_bounds(scan, blocks.data(), count, found.data());
    return found;
  };
  const auto expected = bounds(reference());
  for (const KernelTable* table : others())
    require(same<float>(bounds(*table), expected), "sign_bounds", *table, shape_of({count, groups}));
}

void projection(Input& input) {
  const std::size_t dim_in = input.size(0, 600), dim_out = input.size(0, 80), count = input.size(0, 20);
  const Floats kind = any_kind(input);
  const Placed<float> weights = floats_from(input, dim_in * dim_out, kind);
  Placed<float> x = floats_from(input, dim_in * count, kind);
  Placed<float> packed(packed_projection_size(dim_in, dim_out), input.byte());
  pack_projection(Placed<float>(weights).data(), dim_in, dim_out, packed.data());
  const auto project = [&](const KernelTable& table) {
    std::vector<float> y(dim_out * count);
    table.projection(packed.data(), dim_in, dim_out, x.data(), count, y.data());
    return y;
  };
  const std::vector<float> expected = project(reference());
  for (const KernelTable* table : others())
    require(same<float>(project(*table), expected), "projection", *table, shape_of({count, dim_in, dim_out}));
}

// Of rows as fixed_row makes them, whatever the floats are.
void fixed_projection(Input& input) {
  const std::size_t dim_in = input.size(0, 600), dim_out = input.size(0, 80), count = input.size(0, 20);
  const std::size_t pairs = fixed_pairs(dim_in);
  const Floats kind = any_kind(input);
  const auto fixed = [&](std::size_t rows) {
    Placed<float> values = floats_from(input, dim_in * rows, kind);
    for (std::size_t i = 0; i < dim_in * rows; ++i)
      if (!std::isfinite(values.data()[i])) values.data()[i] = 1;
    Placed<std::int32_t> made(rows * pairs, input.byte());
    for (std::size_t r = 0; r < rows; ++r) fixed_row(reference(), {values.data() + r * dim_in, dim_in}, made.data() + r * pairs);
    return made;
  };
  Placed<std::int32_t> weights = fixed(dim_out), x = fixed(count);
  Placed<std::int32_t> packed(packed_projection_size(pairs, dim_out), input.byte());
  pack_projection(weights.data(), pairs, dim_out, packed.data());
  const auto project = [&](const KernelTable& table) {
    std::vector<std::int32_t> sums(dim_out * count);
    table.fixed_projection(packed.data(), pairs, dim_out, x.data(), count, sums.data());
    return sums;
  };
  const std::vector<std::int32_t> expected = project(reference());
  for (const KernelTable* table : others())
    require(project(*table) == expected, "fixed_projection", *table, shape_of({count, dim_in, dim_out}));
}

void byte_projection(Input& input) {
  const std::size_t dim_out = input.size(0, 80), count = input.size(0, 20), fours = input.size(0, 160);
  Placed<std::int32_t> weights(dim_out * fours, input.byte()), x(count * fours, input.byte());
  for (std::size_t i = 0; i < weights.size(); ++i)
    for (int shift = 0; shift < 32; shift += 8) {
      const auto value = static_cast<std::uint8_t>(std::max(input.value<std::int8_t>(), std::int8_t{-127}));
      weights.data()[i] = static_cast<std::int32_t>((static_cast<std::uint32_t>(weights.data()[i]) & ~(255u << shift)) | std::uint32_t{value} << shift);
    }
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = input.value<std::int32_t>();
  Placed<std::int32_t> packed(packed_projection_size(fours, dim_out), input.byte());
  pack_projection(weights.data(), fours, dim_out, packed.data());
  const auto project = [&](const KernelTable& table) {
    std::vector<std::int32_t> sums(dim_out * count);
    table.byte_projection(packed.data(), fours, dim_out, x.data(), count, sums.data());
    return sums;
  };
  const std::vector<std::int32_t> expected = project(reference());
  for (const KernelTable* table : others())
    require(project(*table) == expected, "byte_projection", *table, shape_of({count, 4 * fours, dim_out}));
}

void offer_keys(Input& input) {
  const std::size_t capacity = input.size(1, 400), rounds = input.size(1, 6);
  const Floats kind = any_kind(input);
  const std::vector<const KernelTable*> tables = others();
  std::uint32_t next = 0;
  std::vector<std::array<std::vector<std::uint64_t>, 2>> kept(1 + tables.size());
  for (auto& both : kept) both.fill(std::vector<std::uint64_t>(capacity + offer_slack));
  const std::uint64_t beyond = input.byte() % 2 == 0 ? beyond_all : input.value<std::uint64_t>();
  const auto offer = [&](const KernelTable& table, std::array<std::vector<std::uint64_t>, 2>& keys, const float* scores,
                         const std::uint32_t* nodes, std::size_t count, std::size_t there) {
    const Offered offered =
        table.offer_keys(scores, nodes, count, keys[0].data(), keys[1].data(), there, capacity, beyond);
    if (offered.keys != keys[0].data()) std::swap(keys[0], keys[1]);
    return offered;
  };
  std::size_t size = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::size_t count = input.size(0, offer_most);
    Placed<float> scores = floats_from(input, count, kind);
    Placed<std::uint32_t> nodes(count, input.byte());
    for (std::size_t i = 0; i < count; ++i) nodes.data()[i] = next++;
    const Offered expected = offer(reference(), kept[0], scores.data(), nodes.data(), count, size);
    for (std::size_t t = 0; t < tables.size(); ++t) {
      const Offered offered = offer(*tables[t], kept[1 + t], scores.data(), nodes.data(), count, size);
      require(offered.size == expected.size && offered.first == expected.first &&
                  std::equal(kept[0][0].begin(), kept[0][0].begin() + static_cast<std::ptrdiff_t>(offered.size), kept[1 + t][0].begin()),
              "offer_keys", *tables[t], shape_of({capacity, size, count}));
    }
    size = expected.size;
  }
}

void crc32c(Input& input) {
  Placed<std::uint8_t> bytes(input, input.size(0, 40000));
  const auto start = input.value<std::uint32_t>();
  const std::uint32_t expected = reference().crc32c(start, bytes.data(), bytes.size());
  for (const KernelTable* table : others())
    require(table->crc32c(start, bytes.data(), bytes.size()) == expected, "crc32c", *table, shape_of({bytes.size()}));
}

constexpr void (*comparisons[])(Input&) = {
    threshold_select, exact_distance, hamming_select, table_select, code_dot, nibble_scores, query_values, packed_dot,
    float_distance<float>, float_distance<std::uint16_t>, half_values, hadamard, plane_dot, table_scan, sign_scan, projection,
    fixed_projection, byte_projection, offer_keys, crc32c};

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> made;
  for (std::uint8_t i = 0; i < std::size(comparisons); ++i) made.push_back({i});
  return made;
}

void run(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  comparisons[input.byte() % std::size(comparisons)](input);
}

void repair(Bytes&) {}

}  // namespace annbench::fuzz
