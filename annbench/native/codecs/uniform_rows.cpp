#include "codecs/uniform_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace annbench {
namespace {

constexpr std::size_t score_block = 256;  // dot products that wait for their factors, in L1 with the rows' last lines

bool is_symmetric(UniformFit fit) { return fit == UniformFit::rabitq || fit == UniformFit::rabitq_fast; }

}  // namespace

UniformRows::UniformRows(std::size_t dim, int bits, UniformFit fit, float weight)
    : quantizer_(dim, bits, fit), layout_(dim, bits, is_symmetric(fit) ? 2 : 3), weight_(weight) {}

void UniformRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                         const MutableCodes& codes, std::size_t first) const {
  std::vector<std::uint8_t> one(dim());
  for (std::size_t i = 0; i < count; ++i) {
    const UniformCode code = uniform_code(quantizer_, vectors + i * dim(), bias[i], anchor, weight_, one.data());
    const std::array<float, 3> factors = {code.bias, code.step, code.lower};
    layout_.pack(one.data(), factors.data(), codes[0] + (first + i) * layout_.row_bytes());
  }
}

void UniformRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  std::memmove(codes[0] + to * layout_.row_bytes(), codes[0] + from * layout_.row_bytes(), layout_.row_bytes());
}

void UniformRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> one(dim());
  const float centre = -0.5f * static_cast<float>(quantizer_.max_code());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes[0] + (first + i) * layout_.row_bytes();
    layout_.unpack(row, one.data());
    std::array<float, 3> factors{};
    std::memcpy(factors.data(), layout_.factors_of(row), 4 * layout_.factors());
    const float lower = symmetric() ? centre * factors[1] : factors[2];
    for (std::size_t j = 0; j < dim(); ++j) vectors[i * dim() + j] = (lower + factors[1] * one[j]) / weight_;
  }
}

void UniformRows::prepare(const KernelTable& kernels, const float* query, Query& prepared) const {
  if (prepared.values.size() != layout_.query_bytes())
    prepared.values = AlignedBuffer<std::int8_t>(layout_.query_bytes());
  if (layout_.bits() == 4) {
    prepared.rounded.round(kernels, query, dim());
    layout_.arrange(prepared.rounded.values.data(), prepared.values.data());
    prepared.sum = prepared.rounded.sum;
    return;
  }
  if (prepared.rest_values.size() != layout_.query_bytes())
    prepared.rest_values = AlignedBuffer<std::int8_t>(layout_.query_bytes());
  // In order, as they lie in a row, and zeros behind them.
  prepared.rounded.round(kernels, query, dim(), prepared.values.data());
  prepared.rest.round_rest(kernels, query, dim(), prepared.rounded, prepared.values.data(), prepared.rest_values.data());
  prepared.sum = prepared.rounded.sum + prepared.rest.sum;
}

void UniformRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        std::size_t first, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0] + first * layout_.row_bytes(), nullptr, count, scores);
}

void UniformRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                         const std::uint32_t* places, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0], places, count, scores);
}

void UniformRows::score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                             const std::uint32_t* places, std::size_t count, float* scores) const {
  const CodeDotFn dot = layout_.bits() == 4 ? kernels.nibble_dot : kernels.byte_dot;
  const std::size_t bytes = layout_.row_bytes();
  // ⟨q, codes⟩ + centre·Σq is ⟨q, symmetric grid⟩; for other grids the sum goes with the third factor.
  const float centre = symmetric() ? -0.5f * static_cast<float>(quantizer_.max_code()) * query.sum : 0.0f;
  if (symmetric() && layout_.bits() == 4) {
    // The shortest of the forms below, which has a kernel of its own: graphs are walked with it.
    kernels.nibble_scores(query.values.data(), {offset, query.rounded.step, centre}, rows, bytes, places, count, scores);
    return;
  }
  std::array<std::int32_t, score_block> products;
  for (std::size_t first = 0; first < count; first += score_block) {
    const std::size_t block = std::min(score_block, count - first);
    const std::uint8_t* base = places == nullptr ? rows + first * bytes : rows;
    const std::uint32_t* gathered = places == nullptr ? nullptr : places + first;
    dot(query.values.data(), base, bytes, gathered, block, products.data());
    std::array<std::int32_t, score_block> rests{};
    if (layout_.bits() == 8) dot(query.rest_values.data(), base, bytes, gathered, block, rests.data());
    for (std::size_t i = 0; i < block; ++i) {
      const std::uint8_t* row = base + (gathered == nullptr ? i : gathered[i]) * bytes;
      float factors[3] = {};
      std::memcpy(factors, layout_.factors_of(row), symmetric() ? 8 : 12);
      const float inner = query.rounded.step * static_cast<float>(products[i]) +
                          query.rest.step * static_cast<float>(rests[i]) + centre;
      scores[first + i] = offset + factors[0] + factors[1] * inner + factors[2] * query.sum;
    }
  }
}

}  // namespace annbench
