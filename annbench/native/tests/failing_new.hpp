// Memory that runs out at a chosen moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

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

// What came of an action whose allocation number `at` failed, if it had so many.
struct Starved {
  bool failed, thrown, leaked;  // `leaked`: something is allocated that was not before
};

template <class Action>
Starved starve(std::size_t at, const Action& action) {
  const std::int64_t live = live_allocations();
  const FailAllocation failure(at);
  bool thrown = false;
  try {
    action();
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  return {failure.happened(), thrown, live_allocations() != live};
}

}  // namespace annbench::tests
