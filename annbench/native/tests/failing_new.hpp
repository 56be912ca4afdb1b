// Memory that runs out at a chosen moment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace annbench::tests {

// While one lives, the allocation number `n` (from 0) of this thread throws std::bad_alloc, once.
class FailAllocation {
 public:
  explicit FailAllocation(std::size_t n);
  FailAllocation(const FailAllocation&) = delete;
  FailAllocation& operator=(const FailAllocation&) = delete;
  ~FailAllocation();

  bool happened() const;
};

// Allocations of this thread that are not freed. What one thread allocates and another frees is counted in neither's
// favour.
std::int64_t live_allocations();

}  // namespace annbench::tests
