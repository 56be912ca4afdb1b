// What a search along a graph keeps of what it has scored.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "structures/graph.hpp"

namespace annbench {

// How far a search looks. Barred nodes lead on as others do; they are among the kept, and count for nothing else.
struct Sight {
  std::size_t window;    // so many of the nearest are expanded,
  std::size_t wanted;    // and whatever is there until so many are kept
  std::size_t capacity;  // kept at most, barred ones too
  const std::uint64_t* barred = nullptr;  // a bit a node; null where none is barred
  std::size_t patience = 0;  // hops in vain, those that bring nothing new among the `notable` nearest, after which
  std::size_t notable = 0;   // a search ends; 0: any number
};

// The nearest codes, nearest first. A code is one number: the score as an integer that is smaller for nearer ones, the
// node, and whether it was expanded.
class WalkPool {
 public:
  void start(const Sight& sight) {
    sight_ = sight;
    size_ = next_ = held_ = passed_ = 0;
    nearest_new_ = 0;
    if (keys_.size() <= sight.capacity) keys_.resize(sight.capacity + 1);
  }

  // NaN is never kept. Few of the nodes that a search scores are nearer than what it holds already: first all are
  // compared with the farthest, without a branch, then what passed is put in its place.
  void offer(const float* scores, const std::uint32_t* nodes, std::size_t count) {
    if (nearer_.size() < count) nearer_.resize(count);
    // With fewer nodes than it may hold all pass but NaN.
    const float limit = full() ? score(size_ - 1) : -std::numeric_limits<float>::infinity();
    std::uint32_t* const nearer = nearer_.data();
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
      nearer[found] = static_cast<std::uint32_t>(i);
      found += static_cast<std::size_t>(scores[i] >= limit);
    }
    nearest_new_ = std::numeric_limits<std::size_t>::max();
    for (std::size_t i = 0; i < found; ++i) insert(key_of(scores[nearer[i]], nodes[nearer[i]]));
  }

  // The nearest node that was not expanded, which then was; Graph::none where there is none in the window.
  std::uint32_t expand() {
    skip_expanded();
    if (next_ == size_ || over()) return Graph::none;
    keys_[next_] |= 1;
    const std::uint32_t node = node_of(keys_[next_]);
    step();
    return node;
  }

  // The node that expand() will name if nothing nearer is offered.
  std::uint32_t next() {
    skip_expanded();
    return next_ == size_ || over() ? Graph::none : node_of(keys_[next_]);
  }

  // The nodes that expand() will name, one after the other, if nothing nearer is offered; as many as there is room for.
  std::span<const std::uint32_t> next(std::span<std::uint32_t> room) {
    std::size_t count = 0;
    if (next() == Graph::none) return {};
    for (std::size_t i = next_; i < size_ && count < room.size(); ++i)
      if ((keys_[i] & 1) == 0) room[count++] = node_of(keys_[i]);
    return room.first(count);
  }

  std::size_t size() const { return size_; }
  bool full() const { return size_ == sight_.capacity; }
  // Among which place the nearest of what was last offered has come; none: a number above all.
  std::size_t nearest_new() const { return nearest_new_; }
  std::uint32_t node(std::size_t i) const { return node_of(keys_[i]); }
  bool barred(std::size_t i) const { return sight_.barred != nullptr && is_barred(keys_[i]); }
  float score(std::size_t i) const {
    const auto ordered = ~static_cast<std::uint32_t>(keys_[i] >> 32);
    return std::bit_cast<float>((ordered & sign) != 0 ? ordered ^ sign : ~ordered);
  }

 private:
  static constexpr std::uint32_t sign = 0x80000000u;

  static std::uint64_t key_of(float score, std::uint32_t node) {
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // −0 and 0 are one score
    const std::uint32_t ordered = (bits & sign) != 0 ? ~bits : bits | sign;
    return std::uint64_t{~ordered} << 32 | std::uint64_t{node} << 1;
  }
  static std::uint32_t node_of(std::uint64_t key) { return static_cast<std::uint32_t>(key) >> 1; }

  bool is_barred(std::uint64_t key) const {
    const std::uint32_t node = node_of(key);
    return (sight_.barred[node / 64] >> node % 64 & 1) != 0;
  }
  // How many of the keys from `begin` to `end` are not barred.
  std::size_t passing(std::size_t begin, std::size_t end) const {
    if (sight_.barred == nullptr) return end - begin;
    std::size_t found = 0;
    for (std::size_t i = begin; i < end; ++i) found += static_cast<std::size_t>(!is_barred(keys_[i]));
    return found;
  }

  bool over() const { return passed_ >= sight_.window && held_ >= sight_.wanted; }
  void step() {
    passed_ += passing(next_, next_ + 1);
    ++next_;
  }
  void skip_expanded() {
    while (next_ < size_ && (keys_[next_] & 1) != 0) step();
  }

  void insert(std::uint64_t key) {
    std::uint64_t* const keys = keys_.data();
    if (full()) {
      if (key >= keys[size_ - 1]) return;
      // The last one goes, even if it is among those that were passed.
      --size_;
      held_ -= passing(size_, size_ + 1);
      if (next_ > size_) {
        next_ = size_;
        passed_ -= passing(size_, size_ + 1);
      }
    }
    // A search by halves whose steps are no branches: which way they go cannot be foretold.
    std::size_t place = 0;
    for (std::size_t left = size_; left > 0;) {
      const std::size_t half = (left + 1) / 2;
      place += keys[place + half - 1] < key ? half : 0;
      left -= half;
    }
    if (place < next_) {
      passed_ -= passing(place, next_);
      next_ = place;
    }
    std::memmove(keys + place + 1, keys + place, (size_ - place) * sizeof *keys);
    keys[place] = key;
    ++size_;
    held_ += passing(place, place + 1);
    nearest_new_ = std::min(nearest_new_, place);
  }

  Sight sight_{};
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint32_t> nearer_;
  std::size_t size_ = 0, next_ = 0;     // all before next_ are expanded
  std::size_t held_ = 0, passed_ = 0;   // not barred: of all, of those before next_
  std::size_t nearest_new_ = 0;
};

}  // namespace annbench
