// The k best of a stream of scores.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
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

  std::size_t capacity() const { return k_; }
  bool full() const { return heap_.size() >= k_; }

  void push(float score, std::uint64_t id) {
    const Scored item{score, id};
    if (heap_.size() < k_) {
      if (score != score) return;
      heap_.push_back(item);
      std::push_heap(heap_.begin(), heap_.end(), Nearer{});
    } else if (k_ > 0 && score == score && item.nearer_than(heap_.front())) {
      replace_farthest(item);
    }
  }

  // Where to write `count` that find room, farthest first, and are not farther than any that is kept.
  std::span<Scored> append(std::size_t count) {
    heap_.resize(heap_.size() + count);
    return std::span(heap_).last(count);
  }

  // Takes the kept items, nearest first; the object is empty afterwards.
  std::vector<Scored> take() {
    std::sort(heap_.begin(), heap_.end(), Nearer{});
    return std::move(heap_);
  }

  // In whatever order.
  std::vector<Scored> take_unordered() { return std::move(heap_); }

 private:
  // As a heap's order: the farthest of the kept is in front.
  struct Nearer {
    bool operator()(const Scored& a, const Scored& b) const { return a.nearer_than(b); }
  };

  // One way down instead of the two of std::pop_heap and std::push_heap.
  void replace_farthest(const Scored& item) {
    Scored* heap = heap_.data();
    std::size_t hole = 0;
    for (std::size_t child = 1; child < k_; child = 2 * hole + 1) {
      if (child + 1 < k_ && heap[child].nearer_than(heap[child + 1])) ++child;
      if (!item.nearer_than(heap[child])) break;
      heap[hole] = heap[child];
      hole = child;
    }
    heap[hole] = item;
  }

  std::size_t k_;
  std::vector<Scored> heap_;
};

}  // namespace annbench
