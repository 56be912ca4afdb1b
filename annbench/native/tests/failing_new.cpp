#include "tests/failing_new.hpp"

#include <cstdlib>
#include <new>

namespace annbench::tests {
namespace {

thread_local std::int64_t until_failure = -1;  // < 0: never
thread_local std::int64_t live = 0;

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (until_failure >= 0 && until_failure-- == 0) throw std::bad_alloc();
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    memory = std::malloc(bytes == 0 ? 1 : bytes);
  } else if (posix_memalign(&memory, alignment, bytes == 0 ? 1 : bytes) != 0) {
    memory = nullptr;
  }
  if (memory == nullptr) throw std::bad_alloc();
  ++live;
  return memory;
}

void release(void* memory) {
  if (memory == nullptr) return;
  --live;
  std::free(memory);
}

}  // namespace

FailAllocation::FailAllocation(std::size_t n) { until_failure = static_cast<std::int64_t>(n); }
FailAllocation::~FailAllocation() { until_failure = -1; }
bool FailAllocation::happened() const { return until_failure < 0; }

std::int64_t live_allocations() { return live; }

}  // namespace annbench::tests

// The array forms end in these. So do the library's nothrow forms, but not a sanitizer's, which delete would not know.
void* operator new(std::size_t bytes) { return annbench::tests::allocate(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return annbench::tests::allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { annbench::tests::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { annbench::tests::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { annbench::tests::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { annbench::tests::release(memory); }
