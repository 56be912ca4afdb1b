// Memory of what is over, for what comes: all threads'.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace annbench {

// Objects that keep what memory they have taken between uses.
template <class T>
class Spares {
 public:
  Spares() { free_.reserve(most); }
  ~Spares() { delete at_hand_.load(std::memory_order_acquire); }
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;

  // One that was given back, as it was left, or a new one.
  std::unique_ptr<T> take() {
    // One thread after the other needs no more than this.
    if (T* const one = at_hand_.exchange(nullptr, std::memory_order_acq_rel)) return std::unique_ptr<T>(one);
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        std::unique_ptr<T> one = std::move(free_.back());
        free_.pop_back();
        return one;
      }
    }
    return std::make_unique<T>();
  }
  void give(std::unique_ptr<T> one) noexcept {
    T* none = nullptr;
    if (at_hand_.compare_exchange_strong(none, one.get(), std::memory_order_acq_rel)) {
      static_cast<void>(one.release());
      return;
    }
    const std::lock_guard lock(mutex_);
    if (free_.size() < free_.capacity()) free_.push_back(std::move(one));
  }
  void clear() {
    const std::unique_ptr<T> one(at_hand_.exchange(nullptr, std::memory_order_acq_rel));
    const std::lock_guard lock(mutex_);
    free_.clear();
  }

 private:
  static constexpr std::size_t most = 32;
  std::atomic<T*> at_hand_ = nullptr;
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

// One of them, for as long as this is there.
template <class T>
class Borrowed {
 public:
  explicit Borrowed(Spares<T>& spares) : spares_(spares), one_(spares.take()) {}
  ~Borrowed() { spares_.give(std::move(one_)); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  T& operator*() { return *one_; }
  T* operator->() { return one_.get(); }

 private:
  Spares<T>& spares_;
  std::unique_ptr<T> one_;
};

}  // namespace annbench
