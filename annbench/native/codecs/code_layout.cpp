#include "codecs/code_layout.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/code_dot.hpp"

namespace annbench {
namespace {

// Dimensions whose codes lie side by side.
struct Stretch {
  std::size_t dimension, count;
  std::size_t byte;   // of the row, where they begin
  bool high;          // in the high halves of the bytes
  std::size_t place;  // in an arranged query
};

template <class Visit>
void for_each_stretch(std::size_t dim, int bits, std::size_t row_bytes, std::size_t factors, Visit visit) {
  std::size_t dimension = 0;
  for (std::size_t line = 0; line < row_bytes && dimension < dim; line += code_line) {
    const bool last = line + code_line == row_bytes;
    const std::size_t usable = code_line - (last ? 4 * factors : 0);
    for (int half = 0; half < (bits == 4 ? 2 : 1) && dimension < dim; ++half) {
      const std::size_t count = std::min(usable, dim - dimension);
      visit(Stretch{dimension, count, line, half == 1, bits == 4 ? 2 * line + (half == 1 ? code_line : 0) : line});
      dimension += count;
    }
  }
}

}  // namespace

CodeLayout::CodeLayout(std::size_t dim, int bits, std::size_t factors) : dim_(dim), bits_(bits), factors_(factors) {
  if (bits != 4 && bits != 8) throw std::invalid_argument("rows hold codes of 4 or 8 bits, got " + std::to_string(bits));
  if (factors < 1 || factors > 4) throw std::invalid_argument("rows hold 1 to 4 factors");
  if (dim < 1 || dim > 8 * max_code_bytes) throw std::invalid_argument("dim does not fit into a row");
  const std::size_t code_bytes = bits == 4 ? (dim + 1) / 2 : dim;
  row_bytes_ = (code_bytes + 4 * factors + code_line - 1) / code_line * code_line;
  if (row_bytes_ > max_code_bytes) throw std::invalid_argument("dim does not fit into a row");
}

void CodeLayout::pack(const std::uint8_t* codes, const float* factors, std::uint8_t* row) const {
  std::fill(row, row + row_bytes_, std::uint8_t{0});
  for_each_stretch(dim_, bits_, row_bytes_, factors_, [&](const Stretch& s) {
    for (std::size_t i = 0; i < s.count; ++i) {
      const int code = codes[s.dimension + i];
      row[s.byte + i] = static_cast<std::uint8_t>(row[s.byte + i] | (s.high ? code << 4 : code));
    }
  });
  std::memcpy(row + row_bytes_ - 4 * factors_, factors, 4 * factors_);
}

void CodeLayout::unpack(const std::uint8_t* row, std::uint8_t* codes) const {
  for_each_stretch(dim_, bits_, row_bytes_, factors_, [&](const Stretch& s) {
    for (std::size_t i = 0; i < s.count; ++i) {
      const std::uint8_t byte = row[s.byte + i];
      codes[s.dimension + i] = static_cast<std::uint8_t>(bits_ == 8 ? byte : s.high ? byte >> 4 : byte & 15);
    }
  });
}

void CodeLayout::arrange(const std::int8_t* values, std::int8_t* arranged) const {
  std::fill(arranged, arranged + query_bytes(), std::int8_t{0});
  for_each_stretch(dim_, bits_, row_bytes_, factors_, [&](const Stretch& s) {
    std::memcpy(arranged + s.place, values + s.dimension, s.count);
  });
}

std::size_t CodeLayout::capacity(std::size_t lines, int bits, std::size_t factors) {
  return (lines * code_line - 4 * factors) * (bits == 4 ? 2 : 1);
}

}  // namespace annbench
