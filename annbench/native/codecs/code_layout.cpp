#include "codecs/code_layout.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/code_dot.hpp"

namespace annbench {
namespace {

// Calls visit(dimension, byte of the row, whether in the high half, place in an arranged query) for every dimension.
template <class Visit>
void for_each_code(std::size_t dim, int bits, std::size_t row_bytes, std::size_t factors, Visit visit) {
  std::size_t dimension = 0;
  for (std::size_t line = 0; line < row_bytes && dimension < dim; line += code_line) {
    const bool last = line + code_line == row_bytes;
    const std::size_t usable = code_line - (last ? 4 * factors : 0);
    for (int half = 0; half < (bits == 4 ? 2 : 1); ++half) {
      for (std::size_t b = 0; b < usable && dimension < dim; ++b, ++dimension) {
        const std::size_t place = bits == 4 ? 2 * line + (half == 1 ? code_line : 0) + b : line + b;
        visit(dimension, line + b, half == 1, place);
      }
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
  for_each_code(dim_, bits_, row_bytes_, factors_, [&](std::size_t j, std::size_t byte, bool high, std::size_t) {
    row[byte] = static_cast<std::uint8_t>(row[byte] | (high ? codes[j] << 4 : codes[j]));
  });
  std::memcpy(row + row_bytes_ - 4 * factors_, factors, 4 * factors_);
}

void CodeLayout::unpack(const std::uint8_t* row, std::uint8_t* codes) const {
  for_each_code(dim_, bits_, row_bytes_, factors_, [&](std::size_t j, std::size_t byte, bool high, std::size_t) {
    codes[j] = static_cast<std::uint8_t>(bits_ == 8 ? row[byte] : high ? row[byte] >> 4 : row[byte] & 15);
  });
}

void CodeLayout::arrange(const std::int8_t* values, std::int8_t* arranged) const {
  std::fill(arranged, arranged + query_bytes(), std::int8_t{0});
  for_each_code(dim_, bits_, row_bytes_, factors_,
                [&](std::size_t j, std::size_t, bool, std::size_t place) { arranged[place] = values[j]; });
}

std::size_t CodeLayout::capacity(std::size_t lines, int bits, std::size_t factors) {
  return (lines * code_line - 4 * factors) * (bits == 4 ? 2 : 1);
}

}  // namespace annbench
