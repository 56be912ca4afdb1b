// Memory of what is over, for what comes: all threads'.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace annbench {

// Objects that keep what memory they have taken between uses.
template <class T>
class Spares {
 public:
  Spares() { free_.reserve(most); }

  // One that was given back, as it was left, or a new one.
  T take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    T one = std::move(free_.back());
    free_.pop_back();
    return one;
  }
  void give(T one) noexcept {
    const std::lock_guard lock(mutex_);
    if (free_.size() < free_.capacity()) free_.push_back(std::move(one));
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    free_.clear();
  }

 private:
  static constexpr std::size_t most = 32;
  std::mutex mutex_;
  std::vector<T> free_;
};

// One of them, for as long as this is there.
template <class T>
class Borrowed {
 public:
  explicit Borrowed(Spares<T>& spares) : spares_(spares), one_(spares.take()) {}
  ~Borrowed() { spares_.give(std::move(one_)); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  T& operator*() { return one_; }
  T* operator->() { return &one_; }

 private:
  Spares<T>& spares_;
  T one_;
};

}  // namespace annbench
