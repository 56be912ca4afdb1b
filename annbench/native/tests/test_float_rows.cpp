#include "codecs/float_rows.hpp"

#include <cmath>

#include "tests/codec_checks.hpp"

namespace annbench::tests {
namespace {

std::string name_of(FloatType type, FloatScore score, std::size_t dim) {
  return std::string("float rows, ") + (type == FloatType::float32 ? "float32" : "float16") +
         (score == FloatScore::inner_product ? ", inner product" : ", squared L2") + ", dim " + std::to_string(dim);
}

// Scores against the decoded values in double, within what float_distance.hpp allows plus the roundings of the factors.
void check_scores(FloatType type, FloatScore score, std::size_t dim, std::size_t count, float scale,
                  std::mt19937& random) {
  const float weight = dim % 2 == 0 ? 2.0f : 1.0f, size = 3 * scale;
  const FloatRows codec(dim, type, score, weight, scale);
  const Vector vectors = normal_values(count * dim, random, size, size), bias = normal_values(count, random);
  const Vector q = normal_values(dim, random, 0, size), anchor = normal_values(dim, random, 0, size);
  const bool by_l2 = score == FloatScore::squared_l2;
  for (const float* near : {static_cast<const float*>(nullptr), anchor.data()}) {
    CodeMemory list(codec, count);
    codec.encode(vectors.data(), bias.data(), near, count, list.codes(), 0);
    Vector decoded(count * dim), scores(count);
    codec.decode(list.view(), 0, count, decoded.data());
    for (std::size_t i = 0; i < vectors.size(); ++i)
      check(
          std::fabs(decoded[i] - vectors[i]) <= (type == FloatType::float32 ? 0.0f : 0x1p-11f * std::fabs(vectors[i])),
          name_of(type, score, dim) + ": decoded values");
    const double steps = std::ceil(static_cast<double>(dim) / 8) + 12;
    const Probe probe{.offset = by_l2 ? 0.0f : 1.5f};
    for (const Vector& against : {q, anchor}) {
      FloatRows::Query query;
      codec.prepare(active_kernels(), against.data(), query);
      for (const KernelTable* kernels : available_kernels()) {
        codec.score(*kernels, query, probe, list.view(), 0, count, scores.data());
        for (std::size_t i = 0; i < count; ++i) {
          const float *v = vectors.data() + i * dim, *w = decoded.data() + i * dim;
          double expected = by_l2 ? 0.0 : probe.offset + bias[i], sizes = by_l2 ? 0.0 : 1.5 + std::fabs(bias[i]);
          for (std::size_t j = 0; j < dim; ++j) {
            const double difference = static_cast<double>(w[j]) - against[j];
            const double rest = by_l2 || near == nullptr ? 0.0 : static_cast<double>(near[j]) * (v[j] - w[j]);
            const double product = static_cast<double>(w[j]) * against[j];
            expected += by_l2 ? -difference * difference : weight * (product + rest);
            sizes += by_l2 ? difference * difference : weight * (std::fabs(product) + std::fabs(rest));
          }
          check(std::fabs(scores[i] - expected) <= steps * unit * sizes, name_of(type, score, dim) + ": score");
          if (!by_l2 && near != nullptr && &against == &anchor)
            check(std::fabs(scores[i] - (probe.offset + bias[i] + weight * dot(near, v, dim))) <=
                      2 * steps * unit * sizes,
                  name_of(type, score, dim) + ": exact at the anchor");
        }
      }
    }
  }
}

void check_scales() {
  for (const float largest : {1e-38f, 1e-10f, 0.999f, 1.0f, 1.001f, 65504.0f, 65520.0f, 1e6f, 3e30f, 3.4e38f}) {
    const float scale = FloatRows::scale_for(largest), scaled = largest / scale;
    int exponent = 0;
    check(std::frexp(scale, &exponent) == 0.5f, "scales are powers of two");
    check(scaled < 8192 && (scaled >= 4096 || largest < 1e-30f), "the largest value lies where scale_for says");
    const FloatRows codec(2, FloatType::float16, FloatScore::inner_product, 1, scale);
    const Vector vector = {largest, -largest}, bias = {0};
    CodeMemory list(codec, 1);
    codec.encode(vector.data(), bias.data(), nullptr, 1, list.codes(), 0);
    Vector decoded(2);
    codec.decode(list.view(), 0, 1, decoded.data());
    check(std::fabs(decoded[0] - largest) <= 0x1p-11f * largest && decoded[1] == -decoded[0],
          "values of " + std::to_string(largest) + " survive");
  }
  check(FloatRows::scale_for(0) == 1, "nothing to scale");
  check(refuses([] { FloatRows::scale_for(INFINITY); }) && refuses([] { FloatRows::scale_for(NAN); }) &&
            refuses([] { FloatRows::scale_for(-1); }),
        "scale_for refuses what is no size");
}

// Beyond half, values are refused and nothing is written; with the scale, distances are right.
void check_overflow() {
  const FloatRows plain(3, FloatType::float16, FloatScore::inner_product, 1);
  const Vector vectors = {1, 2, 3, 4, 1e6f, 5}, bias = {0, 0};
  CodeMemory list(plain, 2);
  const std::vector<std::uint8_t> before = list.bytes(0);
  check(refuses([&] { plain.encode(vectors.data(), bias.data(), nullptr, 2, list.codes(), 0); }),
        "values beyond half are refused");
  check(list.bytes(0) == before, "and nothing is written");
  const Vector edge = {65504, -65504, 1}, over = {65505, 0, 0};
  plain.encode(edge.data(), bias.data(), nullptr, 1, list.codes(), 0);
  check(refuses([&] { plain.encode(over.data(), bias.data(), nullptr, 1, list.codes(), 0); }), "by one as well");

  const FloatRows scaled(3, FloatType::float16, FloatScore::squared_l2, 1, FloatRows::scale_for(1e6f));
  CodeMemory of_scaled(scaled, 2);
  scaled.encode(vectors.data(), bias.data(), nullptr, 2, of_scaled.codes(), 0);
  FloatRows::Query query;
  const Vector q = {0, 0, 0};
  scaled.prepare(active_kernels(), q.data(), query);
  Vector scores(2);
  scaled.score(*available_kernels().back(), query, {}, of_scaled.view(), 0, 2, scores.data());
  check(std::fabs(scores[0] + 14) < 14 * 0x1p-9 && std::fabs(scores[1] + 1e12) < 1e12 * 0x1p-9,
        "squared distances of scaled rows: " + std::to_string(scores[0]) + " " + std::to_string(scores[1]));
}

void check_refusals() {
  const auto make = [](std::size_t dim, FloatType type, float scale) {
    return [=] { FloatRows(dim, type, FloatScore::inner_product, 1, scale); };
  };
  check(refuses(make(0, FloatType::float32, 1)), "no dimensions");
  check(refuses(make(4, FloatType::float32, 2)), "float32 is not scaled");
  for (const float scale : {0.0f, -2.0f, 3.0f, INFINITY, NAN})
    check(refuses(make(4, FloatType::float16, scale)), "scales are powers of two");
}

}  // namespace

void test_float_rows() {
  std::mt19937 random(4711);
  constexpr std::size_t counts[] = {1, 2, 3, 4, 5, 33};
  for (const FloatType type : {FloatType::float32, FloatType::float16})
    for (const FloatScore score : {FloatScore::inner_product, FloatScore::squared_l2}) {
      const bool scaled = type == FloatType::float16;
      for (std::size_t dim = 1; dim <= 130; ++dim)
        check_scores(type, score, dim, counts[dim % 6], scaled && dim % 3 == 0 ? 0x1p10f : 1.0f, random);
      for (const std::size_t dim : {257, 521, 1031}) check_scores(type, score, dim, 9, scaled ? 0x1p-6f : 1.0f, random);
      for (const std::size_t dim : {1, 2, 3, 4, 5, 6, 7, 64, 101})
        check_list_rules(FloatRows(dim, type, score, 2), name_of(type, score, dim), random);
    }
  check_scales();
  check_overflow();
  check_refusals();
  check(FloatRows(7, FloatType::float16, FloatScore::squared_l2, 1).bytes(1, 9) == 0 &&
            FloatRows(7, FloatType::float16, FloatScore::inner_product, 1).bytes(1, 9) == 36 &&
            FloatRows(7, FloatType::float16, FloatScore::inner_product, 1).bytes(0, 9) == 126,
        "halves without padding, and biases where there are any");
}

}  // namespace annbench::tests
