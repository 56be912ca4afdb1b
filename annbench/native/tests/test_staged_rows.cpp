#include "codecs/staged_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "structures/top_k.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;

Vector normal_values(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Vector values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Codes that end at a guard page, part by part.
struct Parts {
  Guarded<std::uint8_t> signs, rows;

  Parts(const StagedRows& codec, std::size_t count) : signs(codec.bytes(0, count)), rows(codec.bytes(1, count)) {}
  CodesView view() const { return {signs.data(), rows.data()}; }
  MutableCodes codes() { return {signs.data(), rows.data()}; }
};

// Either stage is what its codec is alone, also after a code has moved.
void check_stages() {
  std::mt19937 random(51);
  constexpr std::size_t count = 101, kept = 77;
  for (const int bits : {4, 8})
    for (const std::size_t dim : {5, 100, 241}) {
      const std::size_t scan_dim = (dim + 1) / 2;
      const StagedRows codec(dim, scan_dim, bits, UniformFit::rabitq_fast, 2.0f);
      const SignTables signs(dim, scan_dim, 2.0f);
      const UniformRows rows(dim, bits, UniformFit::rabitq_fast, 2.0f);
      const std::string name = "staged rows, dim " + std::to_string(dim);
      check(codec.bytes(0, count) == signs.bytes(0, count) && codec.bytes(1, count) == rows.bytes(0, count) &&
                codec.bytes(2, count) == 0, name + ": bytes of the parts");
      const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random);
      const Vector anchor = normal_values(dim, random), q = normal_values(dim, random);
      Parts list(codec, count);
      Guarded<std::uint8_t> sign_codes(signs.bytes(0, count)), row_codes(rows.bytes(0, count));
      for (std::size_t i = 0; i < count; i += 10)  // in turn
        codec.encode(vectors.data() + i * dim, bias.data() + i, anchor.data(), std::min<std::size_t>(10, count - i), list.codes(), i);
      signs.encode(vectors.data(), bias.data(), anchor.data(), count, {sign_codes.data(), nullptr}, 0);
      rows.encode(vectors.data(), bias.data(), anchor.data(), count, {row_codes.data(), nullptr}, 0);
      codec.move(list.codes(), count - 1, 3);
      signs.move({sign_codes.data(), nullptr}, count - 1, 3);
      rows.move({row_codes.data(), nullptr}, count - 1, 3);
      StagedRows::Query query;
      codec.prepare(q.data(), query);
      const Probe probe{.offset = 0.5f, .distance = 3, .epsilon = 1.9f};
      std::vector<std::uint32_t> places(kept), expected_places(kept), found_places(kept);
      for (std::size_t i = 0; i < kept; ++i) places[i] = static_cast<std::uint32_t>(i * 31 % count);
      for (const KernelTable* kernels : available_kernels()) {
        Vector bounds(kept), expected(kept), refined(kept), exact(kept), found_bounds(kept);
        codec.score(*kernels, query, probe, list.view(), 32, kept - 8, bounds.data());
        signs.bounds(*kernels, query.signs, probe, {sign_codes.data(), nullptr}, 32, kept - 8, expected.data());
        check(bounds == expected, name + ": score() is the bound of the signs");
        codec.refine(*kernels, query, probe, list.view(), places.data(), kept, refined.data());
        rows.refine(*kernels, query.rows, probe, {row_codes.data(), nullptr}, places.data(), kept, exact.data());
        check(refined == exact, name + ": refine() is the score of the rows");
        for (const float threshold : {-std::numeric_limits<float>::infinity(), bounds[7], 1e9f}) {
          const std::size_t found = codec.select(*kernels, query, probe, list.view(), 32, kept - 8, threshold,
                                                 found_places.data(), found_bounds.data());
          const std::size_t wanted = kernels->threshold_select(bounds.data(), nullptr, Adjust::none, kept - 8, threshold,
                                                               expected_places.data(), expected.data());
          bool same = found == wanted;
          for (std::size_t i = 0; same && i < found; ++i)
            same = found_places[i] == expected_places[i] + 32 && found_bounds[i] == expected[i];
          check(same, name + ": select() is score() and a comparison");
        }
      }
    }
}

// The best of a staged search are those of all rows, for few rows read.
void check_that_bounds_pay() {
  std::mt19937 random(52);
  constexpr std::size_t count = 5000, clusters = 50, dim = 256, k = 10, queries = 20;
  const StagedRows codec(dim, dim, 4, UniformFit::rabitq_fast, 1.0f);
  Vector vectors = normal_values(count * dim, random);
  const Vector noise = normal_values(queries * dim, random), centres = normal_values(clusters * dim, random), bias(count, 0.0f);
  for (std::size_t i = 0; i < count * dim; ++i) vectors[i] += 1.2f * centres[i / dim % clusters * dim + i % dim];
  Parts list(codec, count);
  codec.encode(vectors.data(), bias.data(), nullptr, count, list.codes(), 0);
  const KernelTable& kernels = *available_kernels().back();
  std::vector<std::uint32_t> all(count), places(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<std::uint32_t>(i);
  std::size_t same = 0, read = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    Vector query_values(dim), scores(count), bounds(count), refined(count);
    double squares = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      query_values[j] = vectors[q * dim + j] + 0.5f * noise[q * dim + j];
      squares += static_cast<double>(query_values[j]) * query_values[j];
    }
    StagedRows::Query query;
    codec.prepare(query_values.data(), query);
    const Probe probe{.offset = 0, .distance = static_cast<float>(std::sqrt(squares)), .epsilon = 1.9f};
    codec.refine(kernels, query, probe, list.view(), all.data(), count, scores.data());
    TopK exact(k), staged(k);
    for (std::size_t i = 0; i < count; ++i) exact.push(scores[i], static_cast<std::uint32_t>(i));
    for (std::size_t first = 0; first < count; first += 64) {
      const std::size_t found = codec.select(kernels, query, probe, list.view(), first, std::min<std::size_t>(64, count - first),
                                             staged.threshold(), places.data(), bounds.data());
      codec.refine(kernels, query, probe, list.view(), places.data(), found, refined.data());
      for (std::size_t i = 0; i < found; ++i) staged.push(refined[i], places[i]);
      read += found;
    }
    const auto wanted = exact.take(), got = staged.take();
    for (std::size_t i = 0; i < k; ++i)
      same += static_cast<std::size_t>(std::any_of(got.begin(), got.end(), [&](const auto& one) { return one.id == wanted[i].id; }));
  }
  check(same >= queries * k * 98 / 100, "a staged search finds what all rows would: " + std::to_string(same));
  check(read <= queries * count * 10 / 100, "and reads few of them: " + std::to_string(read));
}

}  // namespace

void test_staged_rows() {
  check_stages();
  check_that_bounds_pay();
}

}  // namespace annbench::tests
