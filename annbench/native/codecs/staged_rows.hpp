// The uniform code of 2 to 8 bits with its sign bits apart: these are scanned 32 at a time for upper bounds of the scores
// (codecs/sign_tables.hpp), the other bits are read only where a bound reaches the threshold. This is what makes inverted
// lists fast: most codes of a list are dismissed for a fraction of the bytes and of the work. Since the sign is the highest
// bit of a code on a symmetric grid, nothing is stored twice.
//
//   code_j = 2^(bits − 1)·s_j + low_j,   s_j = v_j > 0
//   ⟨q, code − middle⟩ = 2^(bits − 1)·½·⟨q, ±1⟩ + ⟨q, low − middle of low⟩
//
// with the first from float tables of the query, the second from its values rounded to 8 bits, or to 16 where the code is as
// fine as that.
// Source: RaBitQ in inverted lists (Gao and Long, SIGMOD 2024, section 4; Gao et al., SIGMOD 2025).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codecs/byte_query.hpp"
#include "codecs/codec.hpp"
#include "codecs/sign_tables.hpp"
#include "codecs/uniform.hpp"

namespace annbench {

class StagedRows {
 public:
  struct Query {
    SignTables::Query signs;
    ByteQuery rounded, rest;
    AlignedBuffer<std::int8_t> values, rest_values;  // filled up with zeros for kernels/packed_dot.hpp
    float sum = 0;                                   // of the query on its grid or grids
  };

  // `bits` is 2 to 8, sign included; `fit` one of RaBitQ's, whose grids are symmetric. Throws std::invalid_argument.
  StagedRows(std::size_t dim, int bits, UniformFit fit, float weight);

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = SignTables::granule;
  static constexpr bool staged = true;

  std::size_t dim() const { return quantizer_.dim(); }
  const SignTables& signs() const { return signs_; }
  const UniformQuantizer& quantizer() const { return quantizer_; }
  // Part 0 is the signs, part 1 the other bits and the factors of the whole code: bias and weight·rescale·step.
  std::size_t bytes(std::size_t part, std::size_t count) const {
    return part == 0 ? signs_.bytes(0, count) : part == 1 ? count * row_bytes_ : 0;
  }

  // As the concept Codec says; score() writes upper bounds, probe.epsilon standard errors above the signs' estimates.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;
  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* bounds) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;
  // score() and a comparison in one: writes the places first … first + count − 1 whose bound is at least the threshold,
  // in increasing order, with their bounds; returns how many. Asks memory for the rows that refine() will read first.
  std::size_t select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                     std::size_t first, std::size_t count, float threshold, std::uint32_t* places, float* bounds) const;

 private:
  int low_bits() const { return quantizer_.bits() - 1; }
  bool fine() const { return quantizer_.bits() >= 7; }

  SignTables signs_;
  UniformQuantizer quantizer_;
  float weight_;
  std::size_t row_bytes_;
};

static_assert(Codec<StagedRows>);

}  // namespace annbench
