// Two codes a vector: signs, scanned 32 at a time for upper bounds of the scores (codecs/sign_tables.hpp), and rows of 4 or
// 8 bits a dimension (codecs/uniform_rows.hpp), read only where a bound reaches the threshold. This is what makes inverted
// lists fast: most codes of a list are dismissed for a tenth of the bytes and of the work.
// Source: RaBitQ in inverted lists (Gao and Long, SIGMOD 2024, section 4; Gao et al., SIGMOD 2025).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codecs/codec.hpp"
#include "codecs/sign_tables.hpp"
#include "codecs/uniform_rows.hpp"

namespace annbench {

class StagedRows {
 public:
  struct Query {
    SignTables::Query signs;
    UniformRows::Query rows;
  };

  // `bits` is 4 or 8, as in UniformRows; signs are kept of the first `scan_dim` of `dim` dimensions.
  // Throws std::invalid_argument.
  StagedRows(std::size_t dim, std::size_t scan_dim, int bits, UniformFit fit, float weight)
      : signs_(dim, scan_dim, weight), rows_(dim, bits, fit, weight) {}

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = SignTables::granule;
  static constexpr bool staged = true;

  std::size_t dim() const { return rows_.dim(); }
  const SignTables& signs() const { return signs_; }
  const UniformRows& rows() const { return rows_; }
  // Part 0 is the signs, part 1 the rows.
  std::size_t bytes(std::size_t part, std::size_t count) const {
    return part == 0 ? signs_.bytes(0, count) : rows_.bytes(part - 1, count);
  }

  // As the concept Codec says; score() writes upper bounds, probe.epsilon standard errors above the signs' estimates.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  void prepare(const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* bounds) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;
  // score() and a comparison in one: writes the places first … first + count − 1 whose bound is at least the threshold,
  // in increasing order, with their bounds; returns how many. Asks memory for the rows that refine() will read first.
  std::size_t select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                     std::size_t first, std::size_t count, float threshold, std::uint32_t* places, float* bounds) const;

 private:
  SignTables signs_;
  UniformRows rows_;
};

static_assert(Codec<StagedRows>);

}  // namespace annbench
