#include "codecs/staged_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/packed_dot.hpp"
#include "structures/top_k.hpp"
#include "tests/check.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

// Codes that end at a guard page, part by part.
struct Parts {
  Guarded<std::uint8_t> signs, rows;

  Parts(const StagedRows& codec, std::size_t count) : signs(codec.bytes(0, count)), rows(codec.bytes(1, count)) {}
  CodesView view() const { return {signs.data(), rows.data()}; }
  MutableCodes codes() { return {signs.data(), rows.data()}; }
};

// The first stage is its codec alone, also after a code has moved; the second estimates what the whole code stands for.
void check_stages() {
  std::mt19937 random(51);
  constexpr std::size_t count = 101, kept = 77;
  for (int bits = 2; bits <= 8; ++bits)
    for (const std::size_t dim : {1, 5, 100, 241}) {
      const UniformFit fit = dim == 100 ? UniformFit::rabitq : UniformFit::rabitq_fast;
      const StagedRows codec(dim, bits, fit, 2.0f);
      const SignTables signs(dim, 2.0f);
      const std::string name = "staged rows, dim " + std::to_string(dim) + ", bits " + std::to_string(bits);
      check(codec.bytes(0, count) == signs.bytes(0, count) &&
                codec.bytes(1, count) == count * (packed_plane_bytes(dim, bits - 1) + 8) && codec.bytes(2, count) == 0,
            name + ": bytes of the parts");
      const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random);
      const Vector anchor = normal_values(dim, random), q = normal_values(dim, random);
      Parts list(codec, count);
      Guarded<std::uint8_t> sign_codes(signs.bytes(0, count));
      for (std::size_t i = 0; i < count; i += 10)  // in turn
        codec.encode(vectors.data() + i * dim, bias.data() + i, anchor.data(), std::min<std::size_t>(10, count - i), list.codes(), i);
      signs.encode(vectors.data(), bias.data(), anchor.data(), count, {sign_codes.data(), nullptr}, 0);
      codec.move(list.codes(), count - 1, 3);
      signs.move({sign_codes.data(), nullptr}, count - 1, 3);
      StagedRows::Query query;
      codec.prepare(active_kernels(), q.data(), query);
      const Probe probe{.offset = 0.5f, .distance = 3, .epsilon = 1.9f};
      std::vector<std::uint32_t> places(kept), expected_places(kept), found_places(kept);
      for (std::size_t i = 0; i < kept; ++i) places[i] = static_cast<std::uint32_t>(i * 31 % count);
      // What every place stands for, from the code that the quantizer gives.
      std::vector<double> estimates(count), tolerances(count);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t source = i == 3 ? count - 1 : i;
        std::vector<std::uint8_t> code(dim);
        const UniformCode factors =
            uniform_code(codec.quantizer(), vectors.data() + source * dim, bias[source], anchor.data(), 2.0f, code.data());
        double sum = 0, sizes = 0, largest = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          sum += q[j] * (factors.lower + static_cast<double>(factors.step) * code[j]);
          sizes += std::fabs(factors.step) * (1 << (bits - 1));
          largest = std::max(largest, std::fabs(static_cast<double>(q[j])));
        }
        estimates[i] = 0.5 + factors.bias + sum;
        // Half a step of the query's grid a dimension, and float32.
        tolerances[i] = sizes * largest / 254 / (bits >= 7 ? 127 : 1) + 1e-4 * (1 + sizes * largest + std::fabs(factors.bias));
      }
      for (const KernelTable* kernels : available_kernels()) {
        Vector bounds(kept), expected(kept), refined(kept), found_bounds(kept);
        codec.score(*kernels, query, probe, list.view(), 32, kept - 8, bounds.data());
        signs.bounds(*kernels, query.signs, probe, {sign_codes.data(), nullptr}, 32, kept - 8, expected.data());
        check(bounds == expected, name + ": score() is the bound of the signs");
        codec.refine(*kernels, query, probe, list.view(), places.data(), kept, refined.data());
        bool near = true;
        for (std::size_t i = 0; i < kept; ++i) near &= std::fabs(refined[i] - estimates[places[i]]) <= tolerances[places[i]];
        check(near, name + ": refine() estimates from the whole code");
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

// A code of more bits errs less, by about half a bit each: what is stored of the low bits is used.
void check_that_bits_pay() {
  std::mt19937 random(53);
  constexpr std::size_t count = 500, dim = 256;
  const Vector vectors = normal_values(count * dim, random), q = normal_values(dim, random), bias(count, 0.0f);
  std::vector<std::uint32_t> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<std::uint32_t>(i);
  double before = std::numeric_limits<double>::infinity();
  for (int bits = 2; bits <= 8; ++bits) {
    const StagedRows codec(dim, bits, UniformFit::rabitq, 1.0f);
    Parts list(codec, count);
    codec.encode(vectors.data(), bias.data(), nullptr, count, list.codes(), 0);
    StagedRows::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    Vector scores(count);
    codec.refine(*available_kernels().back(), query, {}, list.view(), all.data(), count, scores.data());
    double squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double error = scores[i] - dot(q.data(), vectors.data() + i * dim, dim);
      squares += error * error;
    }
    check(squares < before * 0.4, "staged rows of " + std::to_string(bits) + " bits err less than of one less");
    before = squares;
  }
  for (const int bits : {0, 1, 9})
    check(refuses([&] { StagedRows(8, bits, UniformFit::rabitq, 1.0f); }), "staged rows of that many bits are refused");
  for (const UniformFit fit : {UniformFit::min_max, UniformFit::osq})
    check(refuses([&] { StagedRows(8, 4, fit, 1.0f); }), "staged rows on a grid that is not symmetric are refused");
}

// The best of a staged search are those of all rows, for few rows read.
void check_that_bounds_pay() {
  std::mt19937 random(52);
  constexpr std::size_t count = 5000, clusters = 50, dim = 256, k = 10, queries = 20;
  const StagedRows codec(dim, 4, UniformFit::rabitq_fast, 1.0f);
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
    codec.prepare(active_kernels(), query_values.data(), query);
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
  check_that_bits_pay();
  check_that_bounds_pay();
}

}  // namespace annbench::tests
