#include <array>
#include <cmath>

#include "codecs/plane_rows.hpp"
#include "codecs/reconstruction.hpp"
#include "tests/codec_checks.hpp"

// How good the estimates of bit planes are: against theory, and against figures known from elsewhere.
namespace annbench::tests {
namespace {

struct Errors {
  double mean = 0, deviation_of_mean = 0, root_mean_square = 0;
  double relative = 0;  // root of the mean square of the error over the one predicted
  double beyond = 0;    // share of errors beyond 1.9 of those predicted for a query in any direction
  double cosine = 0;    // mean of ⟨w, v⟩/‖w‖‖v‖
};

Errors errors_of(const PlaneRows& codec, double cosine, int samples, std::mt19937& random) {
  const std::size_t dim = codec.dim();
  const KernelTable& kernels = *available_kernels().back();
  CodeMemory list(codec, 1);
  PlaneRows::Query query;
  const Vector bias = {0};
  Vector v, q, w(dim);
  double sum = 0, squares = 0, ratios = 0, beyond = 0, cosines = 0;
  for (int i = 0; i < samples; ++i) {
    rotated_pair(dim, cosine, random, v, q);
    codec.encode(v.data(), bias.data(), nullptr, 1, list.codes(), 0);
    codec.decode(list.view(), 0, 1, w.data());
    codec.prepare(active_kernels(), q.data(), query);
    float score = 0;
    codec.score(kernels, query, {}, list.view(), 0, 1, &score);
    const std::vector<double> of_codes(w.begin(), w.end());
    const double predicted = rest_of(v.data(), of_codes.data(), 1, nullptr, dim).error;
    const double error = score - dot(q.data(), v.data(), dim), ratio = error / predicted;
    sum += error;
    squares += error * error;
    ratios += ratio * ratio / (1 - cosine * cosine);
    beyond += std::fabs(ratio) > 1.9 ? 1 : 0;
    cosines += dot(w.data(), v.data(), dim) / std::sqrt(dot(w.data(), w.data(), dim));
  }
  Errors found;
  found.mean = sum / samples;
  found.root_mean_square = std::sqrt(squares / samples);
  found.deviation_of_mean = std::sqrt((squares / samples - found.mean * found.mean) / samples);
  found.relative = std::sqrt(ratios / samples);
  found.beyond = beyond / samples;
  found.cosine = cosines / samples;
  return found;
}

void check_estimator(std::mt19937& random) {
  constexpr int samples = 4000;
  const PlaneRows rabitq(64, 1, UniformFit::rabitq, 1), plain(64, 1, UniformFit::rabitq, 1, {.rescale = false});
  const Errors of_near = errors_of(rabitq, 0.7, samples, random), of_far = errors_of(rabitq, 0.0, samples, random);
  check(
      std::fabs(of_near.mean) < 3 * of_near.deviation_of_mean && std::fabs(of_far.mean) < 3 * of_far.deviation_of_mean,
      "RaBitQ's estimator is without bias: " + std::to_string(of_near.mean / of_near.deviation_of_mean) +
          " standard errors");
  const Errors of_plain = errors_of(plain, 0.7, samples, random);
  check(of_plain.mean < -20 * of_plain.deviation_of_mean, "without rescale it is biased low");
  check(of_near.beyond < 0.02, "the bound of 1.9 standard errors: violated by " + std::to_string(of_near.beyond));
  check(of_near.beyond > 0.0005, "and none that never could be: " + std::to_string(of_near.beyond));
  // 4,000 samples tell a root mean square to 1.1 %.
  check(
      std::fabs(of_near.relative - 1) < 0.05 && std::fabs(of_far.relative - 1) < 0.05,
      "errors are as large as predicted: " + std::to_string(of_near.relative) + " " + std::to_string(of_far.relative));
  // E⟨ō, o⟩ at 64 dimensions.
  check(std::fabs(of_near.cosine - 0.80101) < 0.002, "cosine of one bit: " + std::to_string(of_near.cosine));
}

void check_error_anchors(std::mt19937& random) {
  struct Anchor {
    std::size_t dim;
    int bits;
    UniformFit fit;
    bool rescale;
    double error, cosine;  // 0 where no figure is known
  };
  constexpr Anchor anchors[] = {
      {256, 1, UniformFit::rabitq, true, .0349, .79866}, {256, 2, UniformFit::rabitq, true, .0179, 0},
      {256, 1, UniformFit::osq, true, .0345, 0},         {256, 2, UniformFit::osq, true, .0166, 0},
      {256, 1, UniformFit::osq, false, .0487, 0},        {256, 2, UniformFit::osq, false, .0343, 0},
      {256, 2, UniformFit::min_max, true, .0244, 0},     {256, 2, UniformFit::min_max, false, .0351, 0},
      {768, 1, UniformFit::rabitq, true, .0172, .7968},  {768, 2, UniformFit::rabitq, true, .0089, .9384},
      {768, 3, UniformFit::rabitq, true, .0045, .9810},  {768, 3, UniformFit::osq, false, .0169, 0},
      {128, 2, UniformFit::rabitq, true, 0, .9413},      {128, 3, UniformFit::rabitq, true, 0, .9830},
  };
  for (const Anchor& anchor : anchors) {
    const PlaneRows codec(anchor.dim, anchor.bits, anchor.fit, 1, {.rescale = anchor.rescale});
    const Errors found = errors_of(codec, 0.7, 500, random);
    const std::string name = "anchor, dim " + std::to_string(anchor.dim) + " bits " + std::to_string(anchor.bits) +
                             " fit " + std::to_string(static_cast<int>(anchor.fit)) +
                             (anchor.rescale ? " rescaled: " : " plain: ");
    // The figures are of a few hundred pairs "of about 0.7", which moves them by up to a tenth.
    check(anchor.error == 0 || std::fabs(found.root_mean_square / anchor.error - 1) < 0.2,
          name + std::to_string(found.root_mean_square));
    check(anchor.cosine == 0 || std::fabs(found.cosine - anchor.cosine) < 0.003, name + std::to_string(found.cosine));
    // What the cosine says of an estimate without bias: sqrt(1 − 0.7²)·sqrt(1/cosine² − 1) in dim − 1 directions.
    const double theory =
        std::sqrt(0.51 * (1 / (found.cosine * found.cosine) - 1) / static_cast<double>(anchor.dim - 1));
    if (anchor.rescale)
      check(std::fabs(found.root_mean_square / theory - 1) < 0.12,
            name + std::to_string(found.root_mean_square / theory));
    else
      check(found.root_mean_square > 1.3 * theory, name + "the plain code is worse than its cosine");
  }
}

// Dimensions of falling variance: bits where the variance is against the same number everywhere.
void check_that_bits_go_where_they_are_worth_most(std::mt19937& random) {
  constexpr std::size_t dim = 128, count = 400;
  Vector variances(dim), scales(dim);
  for (std::size_t j = 0; j < dim; ++j) {
    variances[j] = std::pow(0.95f, static_cast<float>(j));
    scales[j] = std::sqrt(variances[j]);
  }
  Vector vectors = normal_values(count * dim, random), q = normal_values(dim, random), bias(count, 0.0f);
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] *= scales[i % dim];
  for (std::size_t j = 0; j < dim; ++j) q[j] *= scales[j];
  const auto mean_square = [&](const PlaneRows& codec) {
    CodeMemory list(codec, count);
    codec.encode(vectors.data(), bias.data(), nullptr, count, list.codes(), 0);
    PlaneRows::Query query;
    codec.prepare(active_kernels(), q.data(), query);
    Vector scores(count);
    codec.score(*available_kernels().back(), query, {}, list.view(), 0, count, scores.data());
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += std::pow(scores[i] - dot(q.data(), vectors.data() + i * dim, dim), 2);
    return sum / count;
  };
  for (const int bits : {1, 2, 3}) {
    const auto chosen = PlaneRows::allocate_bits(variances, static_cast<std::size_t>(bits) * dim);
    const double by_worth = mean_square(PlaneRows(chosen, scales, 1));
    const double equal =
        mean_square(PlaneRows(std::vector<std::uint8_t>(dim, static_cast<std::uint8_t>(bits)), scales, 1));
    const double uniform = mean_square(PlaneRows(dim, bits, UniformFit::rabitq, 1));
    check(by_worth < 0.3 * equal && by_worth < 0.3 * uniform,
          std::to_string(bits) + " bits by worth: " + std::to_string(by_worth) + ", equal " + std::to_string(equal) +
              ", on a grid a vector " + std::to_string(uniform));
  }
}

}  // namespace

void test_plane_estimates() {
  std::mt19937 random(20240522);
  check_estimator(random);
  check_error_anchors(random);
  check_that_bits_go_where_they_are_worth_most(random);
}

}  // namespace annbench::tests
