#include "codecs/two_level_rows.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "codecs/reconstruction.hpp"

namespace annbench {
namespace {

constexpr std::size_t score_block =
    128;  // rows whose dot products wait for their factors, in L1 with the rows' last lines

bool is_symmetric(UniformFit fit) { return fit == UniformFit::rabitq || fit == UniformFit::rabitq_fast; }

CodeDotFn dot_of(const KernelTable& kernels, const CodeLayout& layout) {
  return layout.bits() == 4 ? kernels.nibble_dot : kernels.byte_dot;
}

using Factors = std::array<float, 4>;

Factors factors_of(const CodeLayout& layout, const std::uint8_t* row) {
  Factors factors{};
  std::memcpy(factors.data(), layout.factors_of(row), 4 * layout.factors());
  return factors;
}

}  // namespace

TwoLevelRows::TwoLevelRows(std::size_t dim, int first_bits, int residual_bits, UniformFit fit, float weight)
    : quantizer_(dim, first_bits, fit), first_(dim, first_bits, is_symmetric(fit) ? 3 : 4),
      second_(dim, residual_bits, is_symmetric(fit) ? 2 : 3), weight_(weight) {}

void TwoLevelRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                          const MutableCodes& codes, std::size_t first) const {
  std::vector<std::uint8_t> one(dim()), residual(dim());
  std::vector<double> reconstruction(dim());
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = vectors + i * dim();
    const UniformGrid grid = quantizer_.encode(v, one.data());
    const double step = grid.step, lower = symmetric() ? centre() * step : static_cast<double>(grid.lower);
    for (std::size_t j = 0; j < dim(); ++j) reconstruction[j] = lower + step * one[j];
    Rest rest;
    // The factors that both levels have, for what they stand for so far.
    const auto factors = [&] {
      const double rescale = rescale_of(v, reconstruction.data(), dim()), scale = weight_ * rescale;
      rest = rest_of(v, reconstruction.data(), rescale, anchor, dim());
      return Factors{static_cast<float>(bias[i] + weight_ * rest.correction), static_cast<float>(scale * step),
                     static_cast<float>(scale * lower)};
    };

    Factors of_row = factors();
    of_row[first_.factors() - 1] = static_cast<float>(weight_ * rest.error);
    first_.pack(one.data(), of_row.data(), codes[0] + (first + i) * first_.row_bytes());

    encode_residual(v, one.data(), grid, second_.bits(), dim(), residual.data());
    for (std::size_t j = 0; j < dim(); ++j) reconstruction[j] += step * (residual[j] / residual_codes() - 0.5);
    of_row = factors();
    second_.pack(residual.data(), of_row.data(), codes[1] + (first + i) * second_.row_bytes());
  }
}

void TwoLevelRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t bytes = layout(part).row_bytes();
    std::memmove(codes[part] + to * bytes, codes[part] + from * bytes, bytes);
  }
}

void TwoLevelRows::decode(const CodesView& codes, std::size_t first, std::size_t count, int levels,
                          float* vectors) const {
  std::vector<std::uint8_t> one(dim()), residual(dim());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes[0] + (first + i) * first_.row_bytes();
    first_.unpack(row, one.data());
    Factors factors = factors_of(first_, row);
    if (levels > 1) {
      const std::uint8_t* more = codes[1] + (first + i) * second_.row_bytes();
      second_.unpack(more, residual.data());
      factors = factors_of(second_, more);
    }
    const float lower = symmetric() ? centre() * factors[1] : factors[2];
    for (std::size_t j = 0; j < dim(); ++j) {
      const float within = levels > 1 ? residual[j] / residual_codes() - 0.5f : 0.0f;
      vectors[i * dim() + j] = (lower + factors[1] * (one[j] + within)) / weight_;
    }
  }
}

void TwoLevelRows::prepare(const KernelTable& kernels, const float* query, Query& prepared) const {
  prepared.rounded.round(kernels, query, dim());
  const auto arrange = [&](const CodeLayout& layout, AlignedBuffer<std::int8_t>& values) {
    if (values.size() != layout.query_bytes()) values = AlignedBuffer<std::int8_t>(layout.query_bytes());
    layout.arrange(prepared.rounded.values.data(), values.data());
  };
  arrange(first_, prepared.first);
  arrange(second_, prepared.second);
}

void TwoLevelRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                         std::size_t first, std::size_t count, float* scores) const {
  const CodeDotFn dot = dot_of(kernels, first_);
  const float of_centre = centre() * query.rounded.sum, of_lower = symmetric() ? 0.0f : query.rounded.sum;
  const float errors = probe.epsilon * probe.distance;
  std::array<std::int32_t, score_block> products;
  for (std::size_t done = 0; done < count; done += score_block) {
    const std::size_t block = std::min(score_block, count - done);
    const std::uint8_t* rows = codes[0] + (first + done) * first_.row_bytes();
    dot(query.first.data(), rows, first_.row_bytes(), nullptr, block, products.data());
    for (std::size_t i = 0; i < block; ++i) {
      const Factors factors = factors_of(first_, rows + i * first_.row_bytes());
      const float inner = query.rounded.step * static_cast<float>(products[i]) + of_centre;
      const float error = symmetric() ? factors[2] : factors[3];
      scores[done + i] = probe.offset + factors[0] + factors[1] * inner + factors[2] * of_lower + errors * error;
    }
  }
}

void TwoLevelRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                          const std::uint32_t* places, std::size_t count, float* scores) const {
  const float scale = 1 / residual_codes();
  // The residual's grid begins half a step below the code.
  const float of_centre = (centre() - 0.5f) * query.rounded.sum, of_lower = symmetric() ? 0.0f : query.rounded.sum;
  std::array<std::int32_t, score_block> products, residuals;
  for (std::size_t done = 0; done < count; done += score_block) {
    const std::size_t block = std::min(score_block, count - done);
    dot_of(kernels, first_)(query.first.data(), codes[0], first_.row_bytes(), places + done, block, products.data());
    dot_of(kernels, second_)(query.second.data(), codes[1], second_.row_bytes(), places + done, block,
                             residuals.data());
    for (std::size_t i = 0; i < block; ++i) {
      const Factors factors = factors_of(second_, codes[1] + places[done + i] * second_.row_bytes());
      const float codes_of_both = static_cast<float>(products[i]) + scale * static_cast<float>(residuals[i]);
      const float inner = query.rounded.step * codes_of_both + of_centre;
      scores[done + i] = probe.offset + factors[0] + factors[1] * inner + factors[2] * of_lower;
    }
  }
}

}  // namespace annbench
