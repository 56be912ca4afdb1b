// The memory of one list: its codes, what they are re-ranked with, and whose they are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codecs/codec.hpp"
#include "structures/id_list.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

// A stretch of memory that grows; what has been written stays at its offset.
class GrowingBuffer {
 public:
  std::uint8_t* data() { return bytes_.data(); }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }

  // At least `bytes` of them, new ones zeroed. Throws std::bad_alloc and then leaves everything as it was.
  void reserve(std::size_t bytes) {
    if (bytes <= bytes_.size()) return;
    AlignedBuffer<std::uint8_t> larger(bytes);
    if (bytes_.size() > 0) std::memcpy(larger.data(), bytes_.data(), bytes_.size());
    bytes_ = std::move(larger);
  }

  // Exactly `bytes`, not more than there are.
  void shrink(std::size_t bytes) {
    if (bytes == bytes_.size()) return;
    AlignedBuffer<std::uint8_t> smaller(bytes);
    if (bytes > 0) std::memcpy(smaller.data(), bytes_.data(), bytes);
    bytes_ = std::move(smaller);
  }

 private:
  AlignedBuffer<std::uint8_t> bytes_;
};

struct CodeList {
  std::array<GrowingBuffer, max_parts> codes;
  std::array<GrowingBuffer, max_parts> rerank;
  IdList ids;            // of the caller, one a code
  std::size_t room = 0;  // codes that there is memory for

  std::size_t size() const { return ids.size(); }
};

inline CodesView view(const std::array<GrowingBuffer, max_parts>& parts) { return {parts[0].data(), parts[1].data()}; }
inline MutableCodes view(std::array<GrowingBuffer, max_parts>& parts) { return {parts[0].data(), parts[1].data()}; }

// Makes room for `count` codes of this codec.
template <class Codec>
void reserve(const Codec& codec, std::array<GrowingBuffer, max_parts>& parts, std::size_t count) {
  for (std::size_t p = 0; p < max_parts; ++p) parts[p].reserve(codec.bytes(p, count));
}

}  // namespace annbench
