// Asking for memory before it is needed.
#pragma once

#include <algorithm>
#include <cstddef>

#include "support/aligned_buffer.hpp"

namespace annbench {

inline constexpr std::size_t prefetch_most = 512;  // bytes: the processor's own prefetching follows

// Asks for what begins at `data`, line by line, at most so much of it.
inline void prefetch(const void* data, std::size_t bytes, std::size_t most = prefetch_most) {
  const char* const begin = static_cast<const char*>(data);
  for (std::size_t b = 0; b < std::min(bytes, most); b += cache_line) __builtin_prefetch(begin + b);
}

}  // namespace annbench
