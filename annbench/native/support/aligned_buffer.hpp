// Memory that begins on a cache line, in huge pages where there is much of it.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace annbench {

inline constexpr std::size_t cache_line = 64;

// From this size on, memory is asked for in pages of 2 MiB: a scan beyond the caches then runs a quarter faster, and reads
// at random more. Only whole ones within the buffer, so that nothing more is resident.
inline constexpr std::size_t huge_page = std::size_t{2} << 20, huge_from = 2 * huge_page;

inline void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(data, bytes / huge_page * huge_page, MADV_HUGEPAGE);  // a wish: whether it is granted changes no result
#endif
}

// `count` values of T, zeroed, on a cache line. Movable only. Throws std::bad_alloc, also where count·sizeof(T) overflows.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t count) : size_(count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    if (count == 0) return;
    data_ = static_cast<T*>(::operator new(count * sizeof(T), alignment()));
    if (count * sizeof(T) >= huge_from) advise_huge_pages(data_, count * sizeof(T));
    std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { ::operator delete(data_, alignment()); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  std::align_val_t alignment() const {
    return std::align_val_t{size_ * sizeof(T) >= huge_from ? huge_page : cache_line};
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace annbench
