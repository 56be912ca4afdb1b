// The k best of a stream of scores.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace annbench {

// What is scored is named by a number of the structure's own: a row, or a place in a list (see inverted_lists.hpp).
struct Scored {
  float score;
  std::uint64_t id;

  // Larger scores are nearer; of equal ones the lower id is, so that an answer does not depend on the order of a scan.
  bool nearer_than(const Scored& other) const {
    return score != other.score ? score > other.score : id < other.id;
  }
};

// Keeps the k nearest of what is pushed. NaN scores are never kept.
class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) { heap_.reserve(k); }

  // What a score must reach to be kept: −∞ until k are.
  float threshold() const {
    if (k_ == 0) return std::numeric_limits<float>::quiet_NaN();
    return heap_.size() < k_ ? -std::numeric_limits<float>::infinity() : heap_.front().score;
  }

  bool full() const { return heap_.size() >= k_; }

  void push(float score, std::uint64_t id) {
    const Scored item{score, id};
    if (heap_.size() < k_) {
      if (score != score) return;
      heap_.push_back(item);
      std::push_heap(heap_.begin(), heap_.end(), nearer);
    } else if (k_ > 0 && score == score && item.nearer_than(heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), nearer);
      heap_.back() = item;
      std::push_heap(heap_.begin(), heap_.end(), nearer);
    }
  }

  // Takes the kept items, nearest first; the object is empty afterwards.
  std::vector<Scored> take() {
    std::sort_heap(heap_.begin(), heap_.end(), nearer);
    return std::move(heap_);
  }

 private:
  // As a heap's order: the farthest of the kept is in front.
  static bool nearer(const Scored& a, const Scored& b) { return a.nearer_than(b); }

  std::size_t k_;
  std::vector<Scored> heap_;
};

}  // namespace annbench
