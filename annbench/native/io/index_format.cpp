#include "io/index_format.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "kernels/dispatch.hpp"

namespace annbench {
namespace {

struct NamedDType {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};
constexpr NamedDType dtypes[] = {{DType::u8, "uint8", 1},   {DType::u16, "uint16", 2}, {DType::u32, "uint32", 4},
                                 {DType::u64, "uint64", 8}, {DType::i8, "int8", 1},    {DType::i64, "int64", 8},
                                 {DType::f32, "float32", 4}};

const NamedDType* find(DType dtype) {
  for (const NamedDType& candidate : dtypes)
    if (candidate.dtype == dtype) return &candidate;
  return nullptr;
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  const NamedDType* found = find(dtype);
  return found == nullptr ? "unknown" : found->name;
}

std::size_t dtype_bytes(DType dtype) {
  const NamedDType* found = find(dtype);
  return found == nullptr ? 0 : found->bytes;
}

bool is_section_name(std::string_view name) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= max_section_name && name.find_first_not_of(allowed) == std::string_view::npos;
}

Shape::Shape(std::span<const std::uint64_t> extents) : rank_(extents.size()) {
  if (extents.size() > max_section_rank) throw std::invalid_argument("a section has at most 3 dimensions");
  std::copy(extents.begin(), extents.end(), extents_.begin());
}

std::string Shape::text() const {
  std::string text = "(";
  for (std::size_t i = 0; i < rank_; ++i) text += (i == 0 ? "" : ", ") + std::to_string(extents_[i]);
  return text + (rank_ == 1 ? ",)" : ")");
}

std::uint32_t crc_of_header(std::span<const unsigned char> header) {
  constexpr std::size_t at = offsetof(IndexPrelude, header_crc), end = at + sizeof(IndexPrelude::header_crc);
  constexpr unsigned char zeros[end - at] = {};
  const Crc32cFn crc32c = active_kernels().crc32c;
  std::uint32_t crc = crc32c(0, header.data(), at);
  crc = crc32c(crc, zeros, sizeof(zeros));
  return crc32c(crc, header.data() + end, header.size() - end);
}

}  // namespace annbench
