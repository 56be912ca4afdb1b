// The codecs that an index can be made of: one line each.
#include <span>
#include <stdexcept>
#include <string>

#include "codecs/float_rows.hpp"
#include "codecs/level_blocks.hpp"
#include "codecs/level_rows.hpp"
#include "codecs/plane_rows.hpp"
#include "codecs/product_codes.hpp"
#include "codecs/staged_rows.hpp"
#include "codecs/two_level_rows.hpp"
#include "codecs/uniform_rows.hpp"
#include "codecs/va_file_rows.hpp"
#include "index/composed.hpp"

namespace annbench {
namespace {

using Settings = CodecSettings;

template <class C>
std::unique_ptr<Lists> lists_of(std::size_t count, C codec) {
  return std::make_unique<ListsOf<C>>(count, std::move(codec));
}

int bits_of(std::uint32_t bits) { return static_cast<int>(bits); }

FloatRows floats(std::size_t dim, const Settings& s, float weight, bool exact_l2) {
  const bool halves = s.kind == CodecKind::float16;
  return FloatRows(dim, halves ? FloatType::float16 : FloatType::float32,
                   exact_l2 ? FloatScore::squared_l2 : FloatScore::inner_product, weight, halves ? s.parameter : 1);
}

// With table_bits, bits per dimension on grids of the scales in `tables`.
PlaneRows planes(std::size_t dim, const Settings& s, float weight) {
  const PlaneRows::Options options{bits_of(s.query_bits), s.fit == UniformFit::osq ? UniformFit::osq : UniformFit::min_max,
                                   s.rescale};
  if (s.table_bits.empty()) return PlaneRows(dim, bits_of(s.bits), s.fit, weight, options);
  if (s.table_bits.size() != dim || s.tables.size() != dim)
    throw std::invalid_argument("bits per dimension need a number of bits and a scale for each");
  return PlaneRows(s.table_bits, s.tables, weight, options);
}

ProductCodes product(std::size_t dim, const Settings& s, float weight, bool by_norms) {
  const ProductFactors factors = s.factors  ? ProductFactors::own
                                 : by_norms ? ProductFactors::norms
                                            : ProductFactors::none;
  return ProductCodes(dim, s.bits, s.tables, weight, s.rescale, factors);
}

// `tables` holds the centres of the cells, and then what the bits of the first stage compare with; `table_bits` the bits per
// dimension, and then the first stage's sample.
VaFileRows va_file(std::size_t dim, const Settings& s, float weight) {
  const std::span<const float> tables(s.tables);
  const std::span<const std::uint8_t> bits(s.table_bits);
  if (bits.size() < dim) throw std::invalid_argument("a VA-file needs a number of bits for every dimension");
  for (const std::uint8_t b : bits.first(dim))
    if (b > va_max_bits) throw std::invalid_argument("a dimension of a VA-file has at most 8 bits");
  const std::size_t centres = VaFileRows::centre_count(bits.first(dim));
  const VaRank rank = s.second_bits == 0 ? VaRank::estimate : VaRank::lower_bound;
  const bool filtered = s.parameter < 1;
  if (tables.size() != centres + (filtered ? dim : 0) || (!filtered && bits.size() != dim))
    throw std::invalid_argument("a VA-file needs the centres of its cells");
  if (!filtered) return VaFileRows(bits, tables, rank, weight);
  return VaFileRows(bits.first(dim), tables.first(centres), rank, weight,
                    {s.parameter, tables.subspan(centres), bits.subspan(dim)});
}

LevelQuery level_query(const Settings& s) {
  if (s.query_bits != s.bits && s.query_bits != 8)
    throw std::invalid_argument("levels are compared with queries of as many bits, or of 8");
  return s.query_bits == s.bits ? LevelQuery::levels : LevelQuery::values;
}

}  // namespace

std::unique_ptr<Lists> make_lists(std::size_t count, std::size_t dim, const Settings& s, float weight, bool exact_l2,
                                  bool by_norms) {
  switch (s.kind) {
    case CodecKind::float32:
    case CodecKind::float16: return lists_of(count, floats(dim, s, weight, exact_l2));
    case CodecKind::uniform: return lists_of(count, UniformRows(dim, bits_of(s.bits), s.fit, weight));
    case CodecKind::planes: return lists_of(count, planes(dim, s, weight));
    case CodecKind::two_level:
      return lists_of(count, TwoLevelRows(dim, bits_of(s.bits), bits_of(s.second_bits), s.fit, weight));
    case CodecKind::staged:
      return lists_of(count, StagedRows(dim, bits_of(s.second_bits), s.fit, weight));
    case CodecKind::signs: return lists_of(count, SignTables(dim, weight));
    case CodecKind::product: return lists_of(count, product(dim, s, weight, by_norms));
    case CodecKind::va_file: return lists_of(count, va_file(dim, s, weight));
    case CodecKind::level_blocks:
      return lists_of(count, LevelBlocks(dim, bits_of(s.bits), weight, level_query(s)));
    case CodecKind::level_rows: return lists_of(count, LevelRows(dim, bits_of(s.bits), weight, level_query(s)));
  }
  throw std::invalid_argument("there is no codec of kind " + std::to_string(static_cast<unsigned>(s.kind)));
}

}  // namespace annbench
