#include "codecs/uniform_rows.hpp"

#include <cmath>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;

Vector normal_rows(std::size_t count, std::size_t dim, std::mt19937& random, float mean = 0) {
  std::normal_distribution<float> normal(mean);
  Vector rows(count * dim);
  for (float& value : rows) value = normal(random);
  return rows;
}

void check_layout() {
  check(CodeLayout(240, 4, 2).row_bytes() == 128, "240 dimensions of 4 bits and two factors fill two lines");
  check(CodeLayout(112, 4, 2).row_bytes() == 64 && CodeLayout(113, 4, 2).row_bytes() == 128, "112 fill one");
  check(CodeLayout(184, 8, 2).row_bytes() == 192, "184 dimensions of 8 bits fill three");
  for (const int bits : {4, 8})
    for (std::size_t lines = 1; lines < 6; ++lines)
      for (const std::size_t factors : {1, 2, 3}) {
        const std::size_t dim = CodeLayout::capacity(lines, bits, factors);
        check(CodeLayout(dim, bits, factors).row_bytes() == lines * 64, "what fits into lines takes those lines");
        check(CodeLayout(dim + 1, bits, factors).row_bytes() == (lines + 1) * 64, "and one more takes another");
      }
  std::mt19937 random(1);
  for (const int bits : {4, 8}) {
    for (std::size_t dim = 1; dim <= 400; dim += dim < 10 ? 1 : 13) {
      const CodeLayout layout(dim, bits, 2);
      std::vector<std::uint8_t> codes(dim), back(dim), row(layout.row_bytes(), 0xaa);
      std::vector<std::int8_t> values(dim), arranged(layout.query_bytes(), 99);
      long expected = 0;
      for (std::size_t j = 0; j < dim; ++j) {
        codes[j] = static_cast<std::uint8_t>(random() & ((1u << bits) - 1));
        values[j] = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
        expected += codes[j] * values[j];
      }
      const float factors[] = {1.5f, -2e30f};
      layout.pack(codes.data(), factors, row.data());
      layout.unpack(row.data(), back.data());
      layout.arrange(values.data(), arranged.data());
      float found[2];
      std::memcpy(found, layout.factors_of(row.data()), 8);
      check(back == codes && found[0] == factors[0] && found[1] == factors[1], "packed rows read back");
      for (const KernelTable* kernels : available_kernels()) {
        std::int32_t product = 0;
        (bits == 4 ? kernels->nibble_dot : kernels->byte_dot)(arranged.data(), row.data(), layout.row_bytes(), nullptr, 1,
                                                             &product);
        check(product == expected, "a packed row times an arranged query, dim " + std::to_string(dim) + " " +
                                       std::string(isa_name(kernels->isa)));
      }
    }
  }
}

// Scores against ⟨q, decoded⟩ in double, for every fit: all that may differ is the rounding of the query to 8 bits.
void check_scores() {
  std::mt19937 random(2);
  for (const UniformFit fit : {UniformFit::min_max, UniformFit::rabitq, UniformFit::rabitq_fast, UniformFit::osq}) {
    for (const int bits : {4, 8}) {
      for (const std::size_t dim : {1, 3, 64, 100, 240, 300}) {
        constexpr std::size_t count = 300;
        const float weight = bits == 4 ? 2.0f : 1.0f;
        const UniformRows codec(dim, bits, fit, weight);
        const Vector base = normal_rows(count, dim, random, 0.2f), bias = normal_rows(count, 1, random);
        const Vector query = normal_rows(1, dim, random);
        AlignedBuffer<std::uint8_t> rows(count * codec.layout().row_bytes());
        codec.encode(base.data(), bias.data(), nullptr, count, {rows.data()}, 0);
        Vector decoded(count * dim), scores(count), gathered(count);
        codec.decode({rows.data()}, 0, count, decoded.data());
        UniformRows::Query prepared;
        codec.prepare(active_kernels(), query.data(), prepared);
        std::vector<std::uint32_t> ids(count);
        for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::uint32_t>((i * 17) % count);
        for (const KernelTable* kernels : available_kernels()) {
          codec.score(*kernels, prepared, {0.5f}, {rows.data()}, 0, count, scores.data());
          codec.refine(*kernels, prepared, {0.5f}, {rows.data()}, ids.data(), count, gathered.data());
          for (std::size_t i = 0; i < count; ++i) {
            double inner = 0, sizes = 0;
            for (std::size_t j = 0; j < dim; ++j) {
              inner += static_cast<double>(query[j]) * decoded[i * dim + j];
              sizes += std::fabs(decoded[i * dim + j]);
            }
            const double rounding = bits == 8 ? prepared.rest.step : prepared.rounded.step;
            const double slack = 0.51 * rounding * weight * sizes + 1e-4 * (1 + std::fabs(inner));
            check(std::fabs(scores[i] - (0.5 + bias[i] + weight * inner)) <= slack, "score of fit " +
                  std::to_string(static_cast<int>(fit)) + " dim " + std::to_string(dim));
            check(gathered[i] == scores[ids[i]], "gathered rows score as consecutive ones");
          }
        }
      }
    }
  }
}

void check_that_more_bits_are_nearer() {
  std::mt19937 random(3);
  constexpr std::size_t dim = 240, count = 400;
  const Vector base = normal_rows(count, dim, random), query = normal_rows(1, dim, random), bias(count, 0.0f);
  double errors[2];
  for (int level = 0; level < 2; ++level) {
    const UniformRows codec(dim, level == 0 ? 4 : 8, UniformFit::rabitq_fast, 1.0f);
    AlignedBuffer<std::uint8_t> rows(count * codec.layout().row_bytes());
    codec.encode(base.data(), bias.data(), nullptr, count, {rows.data()}, 0);
    Vector scores(count);
    UniformRows::Query prepared;
    codec.prepare(active_kernels(), query.data(), prepared);
    codec.score(*available_kernels().back(), prepared, {}, {rows.data()}, 0, count, scores.data());
    double squares = 0, scale = 0;
    for (std::size_t i = 0; i < count; ++i) {
      double inner = 0;
      for (std::size_t j = 0; j < dim; ++j) inner += static_cast<double>(query[j]) * base[i * dim + j];
      squares += (scores[i] - inner) * (scores[i] - inner);
      scale += inner * inner;
    }
    errors[level] = std::sqrt(squares / scale);
  }
  check(errors[0] < 0.12 && errors[1] < 0.008, "relative error at 4 and 8 bits: " + std::to_string(errors[0]) + " " +
                                                   std::to_string(errors[1]));
}

void check_degenerate_rows() {
  for (const UniformFit fit : {UniformFit::min_max, UniformFit::rabitq, UniformFit::osq}) {
    const UniformRows codec(5, 4, fit, 2.0f);
    const Vector zeros(5, 0.0f), ones(5, 1.0f), bias = {3.0f};
    AlignedBuffer<std::uint8_t> row(codec.layout().row_bytes());
    const auto score_of = [&](const Vector& query) {
      UniformRows::Query prepared;
      codec.prepare(active_kernels(), query.data(), prepared);
      float score = 0;
      codec.score(*available_kernels().back(), prepared, {}, {row.data()}, 0, 1, &score);
      return score;
    };
    codec.encode(zeros.data(), bias.data(), nullptr, 1, {row.data()}, 0);
    check(score_of(ones) == 3.0f, "a zero vector's score is its own term");
    codec.encode(ones.data(), bias.data(), nullptr, 1, {row.data()}, 0);
    check(score_of(zeros) == 3.0f, "and so is every score of a zero query");
    const float score = score_of(ones);
    check(std::fabs(score - (3.0f + 10.0f)) < 1e-4f, "a constant vector is exact");
  }
}

// With an anchor, the estimate at the anchor itself is exact but for the rounding of the query.
void check_anchors() {
  std::mt19937 random(4);
  for (const UniformFit fit : {UniformFit::min_max, UniformFit::rabitq_fast, UniformFit::osq}) {
    for (const int bits : {4, 8}) {
      constexpr std::size_t dim = 100, count = 50;
      const UniformRows codec(dim, bits, fit, 2.0f);
      const Vector base = normal_rows(count, dim, random), bias = normal_rows(count, 1, random);
      const Vector anchor = normal_rows(1, dim, random, 3.0f);
      AlignedBuffer<std::uint8_t> rows(codec.bytes(0, count + 1));
      codec.encode(base.data(), bias.data(), anchor.data(), count, {rows.data()}, 0);
      codec.move({rows.data()}, 7, count);
      UniformRows::Query prepared;
      codec.prepare(active_kernels(), anchor.data(), prepared);
      Vector scores(count + 1), decoded(count * dim);
      codec.score(*available_kernels().back(), prepared, {}, {rows.data()}, 0, count + 1, scores.data());
      codec.decode({rows.data()}, 0, count, decoded.data());
      for (std::size_t i = 0; i < count; ++i) {
        double inner = 0, sizes = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          inner += static_cast<double>(anchor[j]) * base[i * dim + j];
          sizes += std::fabs(decoded[i * dim + j]);
        }
        check(std::fabs(scores[i] - (bias[i] + 2 * inner)) <= 1.1 * prepared.rounded.step * sizes + 1e-3 * (1 + std::fabs(inner)),
              "exact at the anchor, fit " + std::to_string(static_cast<int>(fit)));
      }
      check(scores[count] == scores[7], "a moved code scores as before");
    }
  }
}

}  // namespace

void test_uniform_rows() {
  check_anchors();
  check_layout();
  check_scores();
  check_that_more_bits_are_nearer();
  check_degenerate_rows();
}

}  // namespace annbench::tests
