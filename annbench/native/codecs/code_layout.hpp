// How a vector's codes and factors lie in a row: whole cache lines of codes, the factors in the last bytes of the last
// line, so that scoring a candidate reads no line but its own.
//
// 4 bits: byte b of a line with u usable bytes holds dimension b of the line's 2u in its low half and dimension b + u in
// its high half; a full line has u = 64, the last one 64 − 4·factors. 8 bits: one byte a dimension, in order.
// A query is laid out to match (kernels/code_dot.hpp), with zeros against the factors and whatever else is no code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace annbench {

class CodeLayout {
 public:
  // `bits` is 4 or 8, `factors` 1 to 4 floats. Throws std::invalid_argument for others, for dim 0 and for rows beyond
  // max_code_bytes.
  CodeLayout(std::size_t dim, int bits, std::size_t factors);

  std::size_t dim() const { return dim_; }
  int bits() const { return bits_; }
  std::size_t factors() const { return factors_; }
  std::size_t row_bytes() const { return row_bytes_; }                                    // a multiple of 64
  std::size_t query_bytes() const { return bits_ == 4 ? 2 * row_bytes_ : row_bytes_; }

  // Writes a whole row from dim() codes and factors() floats.
  void pack(const std::uint8_t* codes, const float* factors, std::uint8_t* row) const;
  // Reads the codes back.
  void unpack(const std::uint8_t* row, std::uint8_t* codes) const;
  // Lays out dim() query values as the kernels want them, query_bytes() of them.
  void arrange(const std::int8_t* values, std::int8_t* arranged) const;
  // Where the factors of a row begin.
  const std::uint8_t* factors_of(const std::uint8_t* row) const { return row + row_bytes_ - 4 * factors_; }

  // The most dimensions that fit into this many lines: what a reduced dimension is best chosen from.
  static std::size_t capacity(std::size_t lines, int bits, std::size_t factors);

 private:
  std::size_t dim_;
  int bits_;
  std::size_t factors_;
  std::size_t row_bytes_;
};

}  // namespace annbench
