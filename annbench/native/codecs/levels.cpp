#include "codecs/levels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "support/require.hpp"

namespace annbench {
namespace {

constexpr float l2_weight = 2;

// Writes the codes of v·scale where these are odd integers of size at most `largest`, but for the rounding of floats.
bool exact_codes(const float* v, std::size_t dim, float scale, int largest, std::uint8_t* codes) {
  constexpr float rounding = 1e-3f;
  const auto above = static_cast<float>(largest + 1);
  bool exact = true;
  for (std::size_t j = 0; j < dim; ++j) {
    const float code = (v[j] * scale + static_cast<float>(largest)) / 2 + 0.5f;
    exact = exact && code >= 0 && code < above;  // which cutting, and its result, are defined for
    const int whole = exact ? static_cast<int>(code) : 0;
    exact = exact && std::fabs(code - static_cast<float>(whole) - 0.5f) <= rounding;
    codes[j] = static_cast<std::uint8_t>(whole);
  }
  return exact;
}

}  // namespace

Levels::Levels(std::size_t dim, int bits, float weight, LevelQuery query)
    : quantizer_(dim, bits, UniformFit::rabitq), weight_(weight), query_(query) {
  require(bits <= max_level_bits, "levels have 1 to 4 bits");
  require(dim <= max_level_dim, "levels have at most 2,048 dimensions");
}

void Levels::codes_of(const float* v, std::uint8_t* codes) const {
  // As integers, whose order is that of floats without a sign: a minimum that every machine has.
  std::int32_t bits = std::numeric_limits<std::int32_t>::max();
  for (std::size_t j = 0; j < dim(); ++j) {
    const std::int32_t each = std::bit_cast<std::int32_t>(v[j]) & 0x7fffffff;
    bits = each < bits ? each : bits;
  }
  const float least = std::bit_cast<float>(bits);
  if (least >= std::numeric_limits<float>::min())
    for (int level = 1; level <= largest(); level += 2)
      if (exact_codes(v, dim(), static_cast<float>(level) / least, largest(), codes)) return;
  quantizer_.encode(v, codes);
}

std::uint32_t Levels::excess_of(const std::uint8_t* codes) const {
  int excess = 0;
  for (std::size_t j = 0; j < dim(); ++j) excess += (level(codes[j]) * level(codes[j]) - 1) / 8;
  return static_cast<std::uint32_t>(excess);
}

Levels::Scale Levels::scale_of(const std::uint8_t* query_codes) const {
  const float factor = query_codes == nullptr ? weight_ : weight_ / norm(excess_of(query_codes));
  return {factor, weight_ == l2_weight ? -1.0f : 0.0f};
}

}  // namespace annbench
