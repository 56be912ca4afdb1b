#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "codecs/level_blocks.hpp"
#include "codecs/level_rows.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

constexpr float none = -std::numeric_limits<float>::infinity();

struct Codes {
  std::vector<std::uint8_t> codes;  // count × dim, of which every row has one of level ±1; short ones and long ones
  Vector directions;
};

Codes random_codes(std::size_t count, std::size_t dim, int bits, std::mt19937& random) {
  Codes made{std::vector<std::uint8_t>(count * dim), Vector(count * dim)};
  const int largest = (1 << bits) - 1;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t* row = made.codes.data() + i * dim;
    const auto middle = [&] { return static_cast<std::uint8_t>(static_cast<unsigned>(largest) / 2 + (random() & 1)); };
    const unsigned in_eight = random() % 12;  // of the outermost levels; beyond 8 all levels are as likely
    for (std::size_t j = 0; j < dim; ++j) {
      row[j] = static_cast<std::uint8_t>(random() & static_cast<unsigned>(largest));
      if (in_eight <= 8) row[j] = random() % 8 < in_eight ? static_cast<std::uint8_t>(random() % 2 * static_cast<unsigned>(largest)) : middle();
    }
    row[random() % dim] = middle();
    double squares = 0;
    for (std::size_t j = 0; j < dim; ++j) squares += (2.0 * row[j] - largest) * (2.0 * row[j] - largest);
    for (std::size_t j = 0; j < dim; ++j)
      made.directions[i * dim + j] = static_cast<float>((2.0 * row[j] - largest) / std::sqrt(squares));
  }
  return made;
}

std::int64_t product(const std::uint8_t* a, const std::uint8_t* b, std::size_t dim, int bits) {
  const int largest = (1 << bits) - 1;
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < dim; ++j) sum += static_cast<std::int64_t>(2 * a[j] - largest) * (2 * b[j] - largest);
  return sum;
}

double cosine(const std::uint8_t* a, const std::uint8_t* b, std::size_t dim, int bits) {
  const auto inner = [&](const std::uint8_t* x, const std::uint8_t* y) { return static_cast<double>(product(x, y, dim, bits)); };
  return inner(a, b) / std::sqrt(inner(a, a) * inner(b, b));
}

void check_codes() {
  std::mt19937 random(1);
  const Levels two(8, 2, 1, LevelQuery::levels), four(8, 4, 1, LevelQuery::levels);
  check(two.level(0) == -3 && two.level(1) == -1 && two.level(2) == 1 && two.level(3) == 3, "2 bits are ±1/2 and ±3/2");
  check(four.level(0) == -15 && four.level(8) == 1 && four.level(15) == 15, "4 bits are the odd eighths to 15/8");
  for (const int bits : {1, 2, 3, 4})
    for (const std::size_t dim : {1, 2, 3, 5, 64, 127, 300}) {
      const Levels levels(dim, bits, 1, LevelQuery::levels);
      constexpr std::size_t count = 50;
      const Codes made = random_codes(count, dim, bits, random);
      std::vector<std::uint8_t> found(dim);
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* row = made.codes.data() + i * dim;
        Vector scaled(made.directions.begin() + static_cast<std::ptrdiff_t>(i * dim),
                      made.directions.begin() + static_cast<std::ptrdiff_t>((i + 1) * dim));
        const float by = std::exp2(static_cast<float>(random() % 40) - 20) * 1.37f;
        for (float& value : scaled) value *= by;
        levels.codes_of(scaled.data(), found.data());
        check(std::equal(found.begin(), found.end(), row), "the codes of a direction, bits " + std::to_string(bits));
        check(dim + 8 * levels.excess_of(row) == static_cast<std::size_t>(product(row, row, dim, bits)), "a code's length");
      }
      // Directions of no level still have a code, of the sign that they have.
      const Vector any = normal_values(dim, random);
      levels.codes_of(any.data(), found.data());
      for (std::size_t j = 0; j < dim; ++j) check((levels.level(found[j]) > 0) == (any[j] > 0), "signs of any vector");
    }
  for (const int bits : {0, 5}) check(refuses([&] { Levels(4, bits, 1, LevelQuery::levels); }), "1 to 4 bits");
  check(refuses([] { Levels(max_level_dim + 1, 1, 1, LevelQuery::levels); }), "2,048 dimensions");
}

// The table that Tencent publishes, for the groups of two dimensions whose levels are 0,0 and 0,1: ours are distances.
void check_published_table() {
  constexpr int rows[2][16] = {{18, 15, 12, 9, 15, 12, 9, 6, 12, 9, 6, 3, 9, 6, 3, 0},
                               {15, 14, 13, 12, 12, 11, 10, 9, 9, 8, 7, 6, 6, 5, 4, 3}};
  const LevelBlocks codec(4, 2, 1, LevelQuery::levels);
  const Vector query = {-3, -3, -3, -1};
  LevelBlocks::Query prepared;
  codec.prepare(active_kernels(), query.data(), prepared);
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t b = 0; b < 16; ++b) check(18 - prepared.tables[16 * row + b] == rows[row][b], "the published table");
}

template <class C>
Vector scores_of(const C& codec, const KernelTable& kernels, const float* query, const CodeMemory& memory, std::size_t count) {
  typename C::Query prepared;
  codec.prepare(kernels, query, prepared);
  Vector scores(count);
  codec.score(kernels, prepared, {.offset = 0.25f}, memory.view(), 0, count, scores.data());
  return scores;
}

// Sums of table entries are exact, and scores what follows from them; 10,000 pairs and all that a last block may hold.
void check_products() {
  std::mt19937 random(2);
  for (const int bits : {1, 2, 3, 4})
    for (const std::size_t dim : {1, 2, 3, 4, 7, 30, 128, 257, 2048}) {
      const LevelBlocks blocks(dim, bits, 1, LevelQuery::levels);
      const LevelRows rows(dim, bits, 2, LevelQuery::levels);
      for (const std::size_t count : dim == 128 ? std::vector<std::size_t>{1, 31, 32, 33, 63, 65, 1111} : std::vector<std::size_t>{45}) {
        const Codes base = random_codes(count, dim, bits, random), asked = random_codes(dim == 128 ? 9 : 2, dim, bits, random);
        const Vector bias(count, 99.0f);  // which directions do not have
        CodeMemory in_blocks(blocks, count), in_rows(rows, count);
        blocks.encode(base.directions.data(), bias.data(), nullptr, count, in_blocks.codes(), 0);
        rows.encode(base.directions.data(), bias.data(), nullptr, count, in_rows.codes(), 0);
        Vector decoded(count * dim), again(count * dim);
        blocks.decode(in_blocks.view(), 0, count, decoded.data());
        rows.decode(in_rows.view(), 0, count, again.data());
        for (std::size_t i = 0; i < count * dim; ++i)
          check(std::fabs(decoded[i] - base.directions[i]) <= 4 * unit && std::fabs(again[i] - base.directions[i]) <= 4 * unit,
                "codes read back");
        for (std::size_t q = 0; q * dim < asked.codes.size(); ++q) {
          const std::uint8_t* query = asked.codes.data() + q * dim;
          LevelBlocks::Query prepared;
          blocks.prepare(active_kernels(), asked.directions.data() + q * dim, prepared);
          for (const KernelTable* kernels : available_kernels()) {
            std::vector<std::uint32_t> sums(count);
            kernels->table_scan(prepared.tables.data(), in_blocks.view()[0], table_groups(blocks.groups()), count, sums.data());
            const Vector tabled = scores_of(blocks, *kernels, asked.directions.data() + q * dim, in_blocks, count);
            const Vector multiplied = scores_of(rows, *kernels, asked.directions.data() + q * dim, in_rows, count);
            for (std::size_t i = 0; i < count; ++i) {
              const std::uint8_t* code = base.codes.data() + i * dim;
              check(static_cast<std::int64_t>(prepared.base) + static_cast<std::int64_t>(prepared.step) * sums[i] ==
                        product(query, code, dim, bits),
                    "sums of table entries are products, bits " + std::to_string(bits));
              const double expected = cosine(query, code, dim, bits);
              check(std::fabs(tabled[i] - (0.25 + expected)) <= 16 * unit, "SDC by tables");
              check(std::fabs(multiplied[i] - (0.25 + 2 * expected - 1)) <= 32 * unit, "SDC by products, for L2");
            }
          }
        }
      }
    }
}

// With 1 bit, the cosine is 1 − 2·(bits that differ)/dim.
void check_hamming() {
  std::mt19937 random(3);
  constexpr std::size_t dim = 96, count = 40;
  const Codes base = random_codes(count, dim, 1, random);
  const LevelBlocks codec(dim, 1, 1, LevelQuery::levels);
  check(codec.bytes(0, 32) == 32 * dim / 8 && codec.bytes(1, 32) == 0, "1 bit a dimension, and nothing else");
  check(LevelBlocks(dim, 2, 1, LevelQuery::levels).bytes(0, 32) == 32 * dim / 4, "2 bits a dimension");
  check(LevelBlocks(dim, 3, 1, LevelQuery::levels).bytes(0, 32) == 32 * dim * 3 / 8, "3 bits a dimension");
  check(LevelBlocks(dim, 4, 1, LevelQuery::levels).bytes(1, 32) == 64, "two bytes for a length");
  CodeMemory memory(codec, count);
  const Vector bias(count);
  codec.encode(base.directions.data(), bias.data(), nullptr, count, memory.codes(), 0);
  const Vector scores = scores_of(codec, active_kernels(), base.directions.data(), memory, count);
  for (std::size_t i = 0; i < count; ++i) {
    int differ = 0;
    for (std::size_t j = 0; j < dim; ++j) differ += base.codes[j] != base.codes[i * dim + j];
    check(std::fabs(scores[i] - (0.25 + 1 - 2.0 * differ / dim)) <= 8 * unit, "Hamming distance");
  }
}

void check_values() {
  std::mt19937 random(4);
  for (const int bits : {1, 2, 3, 4})
    for (const std::size_t dim : {1, 6, 100, 384}) {
      constexpr std::size_t count = 70;
      const Codes base = random_codes(count, dim, bits, random);
      const Vector query = normal_values(dim, random), bias(count);
      const LevelBlocks blocks(dim, bits, 1, LevelQuery::values);
      const LevelRows rows(dim, bits, 1, LevelQuery::values);
      CodeMemory in_blocks(blocks, count), in_rows(rows, count);
      blocks.encode(base.directions.data(), bias.data(), nullptr, count, in_blocks.codes(), 0);
      rows.encode(base.directions.data(), bias.data(), nullptr, count, in_rows.codes(), 0);
      double largest = 0, lengths = 0;
      for (const float value : query) {
        largest = std::max(largest, std::fabs(static_cast<double>(value)));
        lengths += std::fabs(static_cast<double>(value));
      }
      // Half a step for every entry, and for every value.
      LevelBlocks::Query prepared;
      blocks.prepare(active_kernels(), query.data(), prepared);
      for (const KernelTable* kernels : available_kernels()) {
        const Vector tabled = scores_of(blocks, *kernels, query.data(), in_blocks, count);
        const Vector multiplied = scores_of(rows, *kernels, query.data(), in_rows, count);
        for (std::size_t i = 0; i < count; ++i) {
          const double exact = 0.25 + dot(query.data(), base.directions.data() + i * dim, dim);
          double norm = 0;
          const std::uint8_t* code = base.codes.data() + i * dim;
          norm = std::sqrt(static_cast<double>(product(code, code, dim, bits)));
          const double rounding = lengths * 64 * unit;
          check(std::fabs(tabled[i] - exact) <= 0.5 * static_cast<double>(blocks.groups()) * prepared.step / norm + rounding,
                "values by tables");
          const double half_steps = largest / 254 * std::sqrt(static_cast<double>(dim));
          check(std::fabs(multiplied[i] - exact) <= half_steps + rounding, "values by products");
        }
      }
    }
}

// What passes a threshold is what score() gives at or above it, whatever there is to compare with.
void check_select() {
  std::mt19937 random(5);
  for (const LevelQuery how : {LevelQuery::levels, LevelQuery::values})
    for (const int bits : {1, 2, 3, 4})
      for (const auto& [weight, dim] : {std::pair(1.0f, std::size_t{50}), std::pair(2.0f, std::size_t{50}), std::pair(1.0f, max_level_dim)}) {
        constexpr std::size_t count = 700, first = 32;
        const LevelBlocks codec(dim, bits, weight, how);
        const Codes base = random_codes(count, dim, bits, random), asked = random_codes(1, dim, bits, random);
        CodeMemory memory(codec, count);
        const Vector bias(count);
        codec.encode(base.directions.data(), bias.data(), nullptr, count, memory.codes(), 0);
        LevelBlocks::Query query;
        codec.prepare(active_kernels(), asked.directions.data(), query);
        const Probe probe{.offset = 0.5f};
        for (const KernelTable* kernels : available_kernels()) {
          Vector scores(count), kept(count);
          codec.score(*kernels, query, probe, memory.view(), 0, count, scores.data());
          Vector ordered = scores;
          std::ranges::sort(ordered);
          for (const float threshold : {none, -3.0f, ordered[0], ordered[count / 2], ordered[count - 20], ordered[count - 1], 9.0f}) {
            std::vector<std::uint32_t> places(count), expected;
            const std::size_t found = codec.select(*kernels, query, probe, memory.view(), first, count - first, threshold,
                                                   places.data(), kept.data());
            for (std::size_t i = first; i < count; ++i)
              if (scores[i] >= threshold) expected.push_back(static_cast<std::uint32_t>(i));
            places.resize(found);
            check(places == expected, "what passes a threshold, bits " + std::to_string(bits));
            for (std::size_t i = 0; i < found; ++i) check(kept[i] == scores[places[i]], "the scores of what passes");
          }
        }
      }
}

// Several queries at once find what each finds alone.
void check_together() {
  std::mt19937 random(8);
  for (const int bits : {1, 2, 3, 4})
    for (const std::size_t dim : {1, 50, 2048}) {
      constexpr std::size_t count = 300, first = 32, some = 200;
      const LevelBlocks codec(dim, bits, 2, LevelQuery::levels);
      check(codec.selects_together() == (static_cast<std::size_t>(bits) < 3 || dim < 2048), "whose sums fit into 16 bits");
      if (!codec.selects_together()) continue;
      const Codes base = random_codes(count, dim, bits, random);
      const Codes asked = random_codes(LevelBlocks::together, dim, bits, random);
      CodeMemory memory(codec, count);
      const Vector bias(count);
      codec.encode(base.directions.data(), bias.data(), nullptr, count, memory.codes(), 0);
      std::array<Probe, LevelBlocks::together> probes;
      std::array<float, LevelBlocks::together> thresholds;
      for (std::size_t q = 0; q < probes.size(); ++q) {
        constexpr float offsets[] = {0, 0.5f, 0, -2}, from[] = {none, -0.5f, -1.1f, 0.4f, -1.8f};
        probes[q] = {.offset = offsets[q % 4]};
        thresholds[q] = from[q % 5];
      }
      std::array<LevelBlocks::Query, LevelBlocks::together> queries;
      std::array<const LevelBlocks::Query*, LevelBlocks::together> of_queries;
      std::array<const Probe*, LevelBlocks::together> of_probes;
      for (std::size_t q = 0; q < queries.size(); ++q) {
        codec.prepare(active_kernels(), asked.directions.data() + q * dim, queries[q]);
        of_queries[q] = &queries[q];
        of_probes[q] = &probes[q];
      }
      for (const KernelTable* kernels : available_kernels())
        for (std::size_t size = 1; size <= queries.size(); ++size) {
          std::vector<std::uint32_t> places(size * some), expected(some);
          Vector scores(size * some), expected_scores(some);
          std::array<std::size_t, LevelBlocks::together> found;
          codec.select_together(*kernels, {of_queries.data(), size}, {of_probes.data(), size}, memory.view(), first, some,
                                {thresholds.data(), size}, places.data(), scores.data(), found.data());
          for (std::size_t q = 0; q < size; ++q) {
            const std::size_t right = codec.select(*kernels, queries[q], probes[q], memory.view(), first, some, thresholds[q],
                                                   expected.data(), expected_scores.data());
            check(found[q] == right && std::equal(expected.data(), expected.data() + right, places.data() + some * q) &&
                      std::equal(expected_scores.data(), expected_scores.data() + right, scores.data() + some * q),
                  "several queries find what each does, bits " + std::to_string(bits));
          }
        }
    }
}

// As check_list_rules has it, for codes that lie in blocks.
void check_blocks() {
  std::mt19937 random(6);
  for (const int bits : {1, 2, 3, 4}) {
    constexpr std::size_t dim = 37, count = 75;
    const LevelBlocks codec(dim, bits, 1, LevelQuery::levels);
    const Codes base = random_codes(count, dim, bits, random), asked = random_codes(1, dim, bits, random);
    const Vector bias(count);
    CodeMemory whole(codec, count), in_turn(codec, count), fewer(codec, 32);
    codec.encode(base.directions.data(), bias.data(), nullptr, count, whole.codes(), 0);
    codec.encode(base.directions.data(), bias.data(), nullptr, 32, fewer.codes(), 0);
    for (std::size_t i = 0; i < count; i += 4)
      codec.encode(base.directions.data() + i * dim, bias.data() + i, nullptr, std::min<std::size_t>(4, count - i),
                   in_turn.codes(), i);
    for (std::size_t part = 0; part < 2; ++part) {
      const std::vector<std::uint8_t> some = fewer.bytes(part), all = whole.bytes(part);
      check(std::equal(some.begin(), some.end(), all.begin()), "fewer codes are the beginning of more");
    }
    LevelBlocks::Query query;
    codec.prepare(active_kernels(), asked.directions.data(), query);
    Vector scores(count), again(count), part(count), gathered(count);
    std::vector<std::uint32_t> places(count);
    for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
    codec.score(active_kernels(), query, {}, whole.view(), 0, count, scores.data());
    codec.score(active_kernels(), query, {}, in_turn.view(), 0, count, again.data());
    check(scores == again, "codes written in turn are those written at once");
    codec.score(active_kernels(), query, {}, whole.view(), 41, 30, part.data());
    check(std::equal(part.begin(), part.begin() + 30, scores.begin() + 41), "scores of a part of a list");
    codec.refine(active_kernels(), query, {}, whole.view(), places.data(), count, gathered.data());
    for (std::size_t i = 0; i < count; ++i) check(gathered[i] == scores[places[i]], "scores of gathered places");
    codec.move(in_turn.codes(), count - 1, 4);
    codec.score(active_kernels(), query, {}, in_turn.view(), 0, count, again.data());
    for (std::size_t i = 0; i < count; ++i) check(again[i] == scores[i == 4 ? count - 1 : i], "a moved code is the code");
  }
}

}  // namespace

void test_levels() {
  check_codes();
  check_published_table();
  check_products();
  check_hamming();
  check_values();
  check_select();
  check_together();
  check_blocks();
  std::mt19937 random(7);
  for (const int bits : {1, 2, 3, 4})
    for (const LevelQuery how : {LevelQuery::levels, LevelQuery::values})
      check_list_rules(LevelRows(41, bits, 1, how), "rows of levels", random);
}

}  // namespace annbench::tests
