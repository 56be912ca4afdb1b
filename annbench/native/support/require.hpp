// What a caller must have kept to.
#pragma once

#include <stdexcept>

namespace annbench {

// Throws std::invalid_argument with `what` unless `condition` holds.
inline void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

}  // namespace annbench
