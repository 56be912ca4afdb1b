#include "codecs/sign_tables.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "tests/check.hpp"
#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

double norm(const float* a, std::size_t dim) { return std::sqrt(dot(a, a, dim)); }

// A list whose codes end at a guard page.
struct List {
  Guarded<std::uint8_t> memory;

  List(const SignTables& codec, std::size_t count) : memory(codec.bytes(0, count)) {}
  List(const SignTables& codec, const Vector& vectors, const Vector& bias, const float* anchor)
      : List(codec, bias.size()) {
    codec.encode(vectors.data(), bias.data(), anchor, bias.size(), codes(), 0);
  }
  CodesView view() const { return {memory.data(), nullptr}; }
  MutableCodes codes() { return {memory.data(), nullptr}; }
  // What the block holds beside the code: bias and the word of scale and error.
  std::pair<float, std::uint32_t> factors(const SignTables& codec, std::size_t i) const {
    const std::size_t groups = table_groups((codec.dim() + 3) / 4);
    const std::uint8_t* block = memory.data() + i / 32 * sign_block_bytes(groups);
    float bias = 0;
    std::uint32_t word = 0;
    std::memcpy(&bias, block + sign_bias_offset(groups) + 4 * (i % 32), 4);
    std::memcpy(&word, block + sign_word_offset(groups) + 4 * (i % 32), 4);
    return {bias, word};
  }
};

double scale_in(std::uint32_t word) { return std::bit_cast<float>(word); }
double error_in(std::uint32_t word) { return std::bit_cast<float>(word << 19); }

// Scores against the definition in double: all that may differ is the rounding of tables and scales.
void check_scores() {
  std::mt19937 random(41);
  constexpr std::size_t count = 75;
  for (const std::size_t dim : {1, 2, 3, 4, 5, 16, 31, 64, 100, 240, 333, 784})
    for (const bool anchored : {false, true}) {
      const float weight = anchored ? 2.0f : 1.0f;
      const SignTables codec(dim, weight);
      const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random);
      const Vector anchor = normal_values(dim, random), q = normal_values(dim, random);
      const List list(codec, vectors, bias, anchored ? anchor.data() : nullptr);
      SignTables::Query query;
      codec.prepare(active_kernels(), q.data(), query);
      const Probe probe{.offset = 0.25f, .distance = 2, .epsilon = 1.5f};
      const std::string name = "signs of " + std::to_string(dim) + ": ";
      std::vector<double> expected(count), slack(count), errors(count);
      for (std::size_t i = 0; i < count; ++i) {
        const float* v = vectors.data() + i * dim;
        double length = 0, at_query = 0, at_anchor = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          length += std::fabs(static_cast<double>(v[j]));
          at_query += v[j] > 0 ? q[j] : -q[j];
          at_anchor += v[j] > 0 ? anchor[j] : -anchor[j];
        }
        const double squares = dot(v, v, dim), scale = weight * squares / length;
        const double correction = anchored ? weight * dot(anchor.data(), v, dim) - scale * at_anchor : 0;
        expected[i] = probe.offset + bias[i] + correction + scale * at_query;
        slack[i] = scale * (0.5 * query.step * static_cast<double>(table_groups((dim + 3) / 4)) +
                            0x1p-11 * std::fabs(at_query - (anchored ? at_anchor : 0))) + 1e-4 * (1 + std::fabs(expected[i]));
        const double inverse = squares * static_cast<double>(dim) / (length * length);
        errors[i] = dim > 1 ? weight * std::sqrt(squares * std::max(0.0, inverse - 1) / static_cast<double>(dim - 1)) : 0;
        const std::uint32_t word = list.factors(codec, i).second;
        check(std::fabs(scale_in(word) - scale) <= scale * 0x1p-11, name + "a scale keeps 10 bits");
        check(error_in(word) >= errors[i] * 0.9999 && error_in(word) <= 1.07 * errors[i] + 0.002 * weight * std::sqrt(squares * inverse),
              name + "an error is rounded up, by little");
      }
      Vector first(count);
      for (const KernelTable* kernels : available_kernels()) {
        Vector scores(count), bounds(count), gathered(count);
        codec.score(*kernels, query, probe, list.view(), 0, count, scores.data());
        codec.bounds(*kernels, query, probe, list.view(), 0, count, bounds.data());
        if (kernels == available_kernels().front()) first = scores;
        check(scores == first, name + "every instruction set gives the same scores");
        std::vector<std::uint32_t> places(count);
        for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>(i * 17 % count);
        codec.refine(*kernels, query, probe, list.view(), places.data(), count, gathered.data());
        for (std::size_t i = 0; i < count; ++i) {
          check(std::fabs(scores[i] - expected[i]) <= slack[i], name + "a score is the estimate");
          const double above = probe.epsilon * error_in(list.factors(codec, i).second) * std::hypot(probe.distance, query.noise);
          check(std::fabs(bounds[i] - scores[i] - above) <= 1e-4 * (1 + std::fabs(bounds[i])), name + "a bound lies above it by the error");
          check(gathered[i] == scores[places[i]], name + "gathered places score as those side by side");
        }
      }
    }
}

// select() against score() and bounds() from every granule on, with counts that end within a block.
void check_selection() {
  std::mt19937 random(42);
  constexpr std::size_t count = 150, dim = 50;
  const SignTables codec(dim, 1.0f);
  const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random), q = normal_values(dim, random);
  const List list(codec, vectors, bias, nullptr);
  SignTables::Query query;
  codec.prepare(active_kernels(), q.data(), query);
  const Probe probe{.offset = -1, .distance = 3, .epsilon = 1.9f};
  for (const KernelTable* kernels : available_kernels())
    for (std::size_t first = 0; first < count; first += 32)
      for (std::size_t some = 0; some <= count - first; some += 13)
        for (const bool upper : {false, true}) {
          Vector scores(some), found_scores(some);
          std::vector<std::uint32_t> places(some);
          const auto score = upper ? &SignTables::bounds : &SignTables::score;
          const auto select = upper ? &SignTables::select_bounds : &SignTables::select;
          (codec.*score)(*kernels, query, probe, list.view(), first, some, scores.data());
          for (const float threshold : {-infinity, 0.0f, 10.0f}) {
            const std::size_t found = (codec.*select)(*kernels, query, probe, list.view(), first, some, threshold,
                                                      places.data(), found_scores.data());
            std::size_t next = 0;
            for (std::size_t i = 0; i < some; ++i)
              if (scores[i] >= threshold) {
                check(next < found && places[next] == first + i && found_scores[next] == scores[i], "select() writes what passes");
                ++next;
              }
            check(next == found, "select() writes nothing else");
          }
        }
}

// A random pair of vectors of dimension `dim` with lengths 1 and this cosine: a fixed pair, rotated at random.
std::pair<Vector, Vector> rotated_pair(std::size_t dim, double cosine, std::mt19937& random) {
  Vector v = normal_values(dim, random), u = normal_values(dim, random);
  const double length = norm(v.data(), dim);
  for (float& value : v) value = static_cast<float>(value / length);
  const double along = dot(u.data(), v.data(), dim);
  for (std::size_t j = 0; j < dim; ++j) u[j] -= static_cast<float>(along) * v[j];
  const double across = norm(u.data(), dim);
  for (std::size_t j = 0; j < dim; ++j)
    u[j] = static_cast<float>(cosine * v[j] + std::sqrt(1 - cosine * cosine) * u[j] / across);
  return {v, u};
}

void check_that_estimates_are_unbiased() {
  std::mt19937 random(43);
  constexpr std::size_t dim = 64, rotations = 4000;
  for (const double cosine : {0.3, 0.7, 0.95}) {
    const SignTables codec(dim, 1.0f);
    double sum = 0, squares = 0, of_errors = 0;
    for (std::size_t i = 0; i < rotations; ++i) {
      const auto [v, q] = rotated_pair(dim, cosine, random);
      const List list(codec, v, {0.0f}, nullptr);
      SignTables::Query query;
      codec.prepare(active_kernels(), q.data(), query);
      float estimate = 0;
      codec.score(*available_kernels().back(), query, {}, list.view(), 0, 1, &estimate);
      sum += estimate - cosine;
      squares += (estimate - cosine) * (estimate - cosine);
      of_errors += std::pow(error_in(list.factors(codec, 0).second), 2);
    }
    const double deviation = std::sqrt(squares / rotations), mean = sum / rotations;
    check(std::fabs(mean) <= 3 * deviation / std::sqrt(rotations), "estimates are unbiased at cosine " + std::to_string(cosine) +
                                                                       ": " + std::to_string(mean) + " of " + std::to_string(deviation));
    // The error is that of a query across v; for others the part across counts.
    const double told = std::sqrt((1 - cosine * cosine) * of_errors / rotations);
    check(deviation < told * 1.05 && deviation > told * 0.85, "the error is what is said: " + std::to_string(deviation / told));
  }
}

// E⟨ō, o⟩ of random unit vectors is √D·Γ(D/2)/(√π·Γ((D + 1)/2)); for them the scale is 1/(√D·⟨ō, o⟩).
void check_the_length_of_codes() {
  std::mt19937 random(44);
  constexpr std::size_t count = 1000;
  const struct { std::size_t dim; double expected; } values[] = {{64, .80101}, {128, .79944}, {256, .79866}, {768, .79814}, {1024, .79808}};
  for (const auto& [dim, expected] : values) {
    const SignTables codec(dim, 1.0f);
    Vector vectors = normal_values(count * dim, random);
    for (std::size_t i = 0; i < count; ++i) {
      const double length = norm(vectors.data() + i * dim, dim);
      for (std::size_t j = 0; j < dim; ++j) vectors[i * dim + j] = static_cast<float>(vectors[i * dim + j] / length);
    }
    const List list(codec, vectors, Vector(count, 0.0f), nullptr);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double cosine = 1 / (scale_in(list.factors(codec, i).second) * std::sqrt(static_cast<double>(dim)));
      sum += cosine;
      squares += cosine * cosine;
    }
    const double mean = sum / count, deviation = std::sqrt(squares / count - mean * mean);
    check(std::fabs(mean - expected) <= 3 * deviation / std::sqrt(count),
          "⟨ō, o⟩ in dimension " + std::to_string(dim) + ": " + std::to_string(mean));
  }
}

// How many of `count` vectors of this cosine with q − a, on the mean, score more than their bound; over several queries.
double violations_of(const SignTables& codec, bool anchored, double cosine, std::mt19937& random) {
  constexpr std::size_t count = 200, queries = 60;
  const std::size_t dim = codec.dim();
  std::size_t violations = 0;
  for (std::size_t t = 0; t < queries; ++t) {
    const Vector anchor = normal_values(dim, random), rest = normal_values(dim, random);
    Vector vectors = normal_values(count * dim, random), q = rest, bounds(count);
    const double along = cosine / std::sqrt(1 - cosine * cosine);
    for (std::size_t i = 0; i < count * dim; ++i) vectors[i] += static_cast<float>(along) * rest[i % dim];
    for (std::size_t j = 0; anchored && j < dim; ++j) q[j] += anchor[j];
    const List list(codec, vectors, Vector(count, 0.0f), anchored ? anchor.data() : nullptr);
    SignTables::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    const Probe probe{.offset = 0, .distance = static_cast<float>(norm(rest.data(), dim)), .epsilon = 1.9f};
    codec.bounds(*available_kernels().back(), query, probe, list.view(), 0, count, bounds.data());
    for (std::size_t i = 0; i < count; ++i) violations += dot(q.data(), vectors.data() + i * dim, dim) > bounds[i];
  }
  return static_cast<double>(violations) / (count * queries);
}

// Fewer than 2 % of neighbours score more than 1.9 standard errors above their estimate. Of vectors across q as many do as
// a normal error allows, 2.9 %: a bound that held for all of them would be of little use.
void check_coverage() {
  std::mt19937 random(45);
  for (const std::size_t dim : {64, 200})
    for (const bool anchored : {false, true}) {
      const SignTables codec(dim, 1.0f);
      const double near = violations_of(codec, anchored, 0.5, random), across = violations_of(codec, anchored, 0, random);
      const std::string name = ", dim " + std::to_string(dim);
      check(near < 0.02, "bounds are passed by " + std::to_string(near) + " of neighbours" + name);
      check(across > 0.02 && across < 0.035, "and by " + std::to_string(across) + " of others" + name);
    }
}

// The estimate at the anchor is exact up to the rounding of tables.
void check_the_anchor() {
  std::mt19937 random(46);
  constexpr std::size_t count = 100, dim = 96;
  const SignTables codec(dim, 2.0f);
  const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random), anchor = normal_values(dim, random);
  const List list(codec, vectors, bias, anchor.data());
  SignTables::Query query;
  codec.prepare(active_kernels(), anchor.data(), query);
  Vector scores(count);
  codec.score(*available_kernels().back(), query, {}, list.view(), 0, count, scores.data());
  for (std::size_t i = 0; i < count; ++i) {
    const double exact = bias[i] + 2 * dot(anchor.data(), vectors.data() + i * dim, dim);
    const double rounding = scale_in(list.factors(codec, i).second) * query.step * std::sqrt(dim / 4 / 12.0);
    check(std::fabs(scores[i] - exact) <= 5 * rounding, "at the anchor an estimate is exact");
  }
}

void check_degenerate_vectors() {
  std::mt19937 random(47);
  for (const std::size_t dim : {1, 7, 64}) {
    const SignTables codec(dim, 2.0f);
    Vector vectors(3 * dim, 0.0f);
    for (std::size_t j = 0; j < dim; ++j) vectors[dim + j] = (random() % 2 == 0 ? 1.0f : -1.0f) * 0.75f;  // constant magnitude
    for (std::size_t j = 0; j < dim; ++j) vectors[2 * dim + j] = 1e-30f;
    const Vector anchor = normal_values(dim, random), q = normal_values(dim, random);
    const List list(codec, vectors, {3.0f, 4.0f, 5.0f}, anchor.data());
    SignTables::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    const Probe probe{.offset = 1, .distance = 10, .epsilon = 2};
    for (const KernelTable* kernels : available_kernels()) {
      Vector bounds(3);
      codec.bounds(*kernels, query, probe, list.view(), 0, 3, bounds.data());
      check(bounds[0] == 4.0f, "a zero vector's bound is its own term");
      // Its code is the vector itself: what is left is the rounding of scale and tables.
      const double exact = 5 + 2 * dot(q.data(), vectors.data() + dim, dim);
      const double rounding = 2 * 0.75 * query.step * static_cast<double>(table_groups((dim + 3) / 4)) / 2;
      Vector scores(3);
      codec.score(*kernels, query, probe, list.view(), 0, 3, scores.data());
      const double slack = rounding + 2 * 0.75 * 0x1p-10 * std::sqrt(static_cast<double>(dim)) * (norm(q.data(), dim) + norm(anchor.data(), dim)) + 1e-5;
      check(std::fabs(scores[1] - exact) <= slack, "a vector of constant magnitude has no error");
      check(bounds[1] - scores[1] <= 2 * 10 * 1.07 * 0x1p-11 * 2 * 0.75 * std::sqrt(static_cast<double>(dim)) * 1.1, "and hardly a margin");
      check(std::fabs(bounds[2] - 6) < 1e-5, "tiny vectors do no harm");
    }
    const Vector zeros(dim, 0.0f);
    codec.prepare(active_kernels(), zeros.data(), query);
    Vector scores(3);
    const List plain(codec, vectors, {3.0f, 4.0f, 5.0f}, nullptr);
    codec.score(*available_kernels().back(), query, {}, plain.view(), 0, 3, scores.data());
    check(scores == Vector({3.0f, 4.0f, 5.0f}), "a zero query scores every bias");
  }
}

// Lists grow by copying, in any portions; codes move within and between blocks; what they leave behind stays.
void check_lists() {
  std::mt19937 random(48);
  constexpr std::size_t count = 100;
  for (const std::size_t dim : {3, 50, 130}) {
    const SignTables codec(dim, 1.0f);
    const Vector vectors = normal_values(count * dim, random), bias = normal_values(count, random), q = normal_values(dim, random);
    const List whole(codec, vectors, bias, nullptr);
    List grown(codec, count);
    for (std::size_t i = 0; i < 40; i += 8) codec.encode(vectors.data() + i * dim, bias.data() + i, nullptr, 8, grown.codes(), i);
    List larger(codec, count);
    std::memcpy(larger.memory.data(), grown.memory.data(), codec.bytes(0, 40));
    codec.encode(vectors.data() + 40 * dim, bias.data() + 40, nullptr, 60, larger.codes(), 40);
    check(std::memcmp(larger.memory.data(), whole.memory.data(), codec.bytes(0, count)) == 0, "a list that grew is the list at once");
    check(codec.bytes(0, 0) == 0 && codec.bytes(1, count) == 0 && codec.bytes(0, 33) == codec.bytes(0, 64), "bytes are of whole blocks");
    check(codec.bytes(0, 33) % 64 == 0, "and blocks of whole lines");

    SignTables::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    Vector before(count), after(count);
    codec.score(*available_kernels().back(), query, {}, larger.view(), 0, count, before.data());
    for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{99, 0}, {98, 97}, {5, 50}, {17, 1}, {63, 64}, {20, 20}, {64, 31}}) {
      codec.move(larger.codes(), from, to);
      before[to] = before[from];
      const auto expected = larger.factors(codec, from), found = larger.factors(codec, to);
      check(expected == found, "factors move with their code");
    }
    codec.score(*available_kernels().back(), query, {}, larger.view(), 0, count, after.data());
    check(before == after, "a moved code is the code, and the others stay");
  }
}

// What the rounding of tables adds to the error is small, for values alike and for some that are much larger than others.
void check_the_rounding_of_tables() {
  std::mt19937 random(49);
  constexpr std::size_t count = 2000;
  for (const std::size_t dim : {100, 256, 784})
    for (const double decay : {0.0, 0.5}) {  // of deviations, as a power of the rank
      const SignTables codec(dim, 1.0f);
      Vector vectors = normal_values(count * dim, random), q = normal_values(dim, random);
      for (std::size_t i = 0; i < (count + 1) * dim; ++i) {
        float& value = i < count * dim ? vectors[i] : q[i - count * dim];
        value *= static_cast<float>(std::pow(1.0 + static_cast<double>(i % dim), -decay));
      }
      const List list(codec, vectors, Vector(count, 0.0f), nullptr);
      SignTables::Query query;
      codec.prepare(active_kernels(), q.data(), query);
      Vector scores(count);
      codec.score(*available_kernels().back(), query, {}, list.view(), 0, count, scores.data());
      double rounding = 0, error = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const float* v = vectors.data() + i * dim;
        double coded = 0;
        for (std::size_t j = 0; j < dim; ++j) coded += v[j] > 0 ? q[j] : -q[j];
        coded *= scale_in(list.factors(codec, i).second);
        rounding += (scores[i] - coded) * (scores[i] - coded);
        error += std::pow(coded - dot(q.data(), v, dim), 2);
      }
      const double part = std::sqrt(rounding / error);
      check(part < 0.08, "tables add " + std::to_string(part) + " of the codes' own error, dim " + std::to_string(dim));
      // Counted as noise it is as large as it was found.
      const double counted = query.noise / norm(q.data(), dim);
      check(decay > 0 || std::fabs(counted / part - 1) < 0.25, "and the noise says so: " + std::to_string(counted / part));
    }
}

void check_arguments() {
  for (const std::size_t dim : {std::size_t{0}, SignTables::max_dim + 1})
    check(refuses([&] { SignTables(dim, 1.0f); }), "signs of " + std::to_string(dim) + " dimensions are refused");
  check(SignTables(SignTables::max_dim, 1.0f).dim() == SignTables::max_dim, "the most dimensions are not");
}

}  // namespace

void test_sign_tables() {
  check_scores();
  check_selection();
  check_that_estimates_are_unbiased();
  check_the_length_of_codes();
  check_coverage();
  check_the_anchor();
  check_degenerate_vectors();
  check_lists();
  check_the_rounding_of_tables();
  check_arguments();
}

}  // namespace annbench::tests
