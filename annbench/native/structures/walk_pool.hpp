// What a search along a graph keeps of what it has scored.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"

namespace annbench {

// When a search ends before its window is expanded: when what comes next is farther than `stretch` times the nth nearest,
// by squared distances, which are what a score lacks to `apex`. Al-Jazzazi et al., Distance Adaptive Beam Search, 2025
// (arXiv 2505.15636), whose (1 + γ)² the stretch is.
struct Slack {
  std::size_t nth = 0;  // 0: it never does
  float stretch = 1, apex = 0;
};

// How far a search looks. Barred nodes lead on as others do; they are among the kept, and count for nothing else.
struct Sight {
  std::size_t window;    // so many of the nearest are expanded,
  std::size_t wanted;    // and whatever is there until so many are kept
  std::size_t capacity;  // kept at most, barred ones too
  const std::uint64_t* barred = nullptr;  // a bit a node; null where none is barred
  std::size_t patience = 0;  // hops in vain, those that bring nothing new among the `notable` nearest, after which
  std::size_t notable = 0;   // a search ends; 0: any number
  Slack slack = {};
};

// The nearest codes, nearest first. A code is one number: the score as an integer that is smaller for nearer ones, the
// node, and whether it was expanded.
class WalkPool {
 public:
  void start(const Sight& sight) {
    sight_ = sight;
    size_ = next_ = held_ = passed_ = 0;
    nearest_new_ = 0;
    beyond_ = bounded_by_ = beyond_all;
    for (auto* const keys : {&keys_, &spare_})
      if (keys->size() < sight.capacity + offer_slack) keys->resize(sight.capacity + offer_slack);
  }

  // Takes up what was scored; NaN is never kept.
  void offer(const KernelTable& kernels, const float* scores, const std::uint32_t* nodes, std::size_t count) {
    nearest_new_ = size_max;
    if (sight_.barred == nullptr) {
      // Most of many are too far, and go at once: of what several nodes lead to a twentieth is near enough.
      const std::uint64_t limit = full() ? std::min(beyond(), keys_[size_ - 1]) : beyond();
      if (const float least = key_score(limit); count > offer_most && limit != beyond_all && least == least) {
        if (near_.size() < count) {
          near_.resize(2 * count);
          near_scores_.resize(2 * count);
        }
        count = kernels.threshold_select(scores, nullptr, Adjust::none, count, least, near_.data(), near_scores_.data());
        for (std::size_t i = 0; i < count; ++i) near_[i] = nodes[near_[i]];
        scores = near_scores_.data();
        nodes = near_.data();
      }
      for (std::size_t i = 0; i < count; i += offer_most) {
        take(kernels.offer_keys, scores + i, nodes + i, std::min(offer_most, count - i));
        bound();
      }
      held_ = size_;
      passed_ = next_;
      return;
    }
    // One by one, since some count and others do not; most are too far. For one, nothing is faster than moving what follows.
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t limit = full() ? std::min(beyond(), keys_[size_ - 1]) : beyond();
      if (node_key(scores[i], nodes[i]) >= limit) continue;
      const bool last_counts = full() && !is_barred(keys_[size_ - 1]);
      const std::size_t size = size_, next = next_, place = take(offer_keys_scalar, scores + i, nodes + i, 1);
      if (place == size_max) continue;
      held_ -= static_cast<std::size_t>(last_counts);
      held_ += passing(place, place + 1);
      if (place >= next) continue;
      // Those that it came before, the last one too where that had been passed and went.
      passed_ -= passing(place + 1, std::min(next + 1, size_));
      passed_ -= static_cast<std::size_t>(last_counts && next == size);
    }
    bound();
  }

  // The nearest node that was not expanded, which then was; Graph::none where there is none in the window.
  std::uint32_t expand() {
    skip_expanded();
    if (next_ == size_ || over()) return Graph::none;
    keys_[next_] |= 1;
    const std::uint32_t node = key_node(keys_[next_]);
    step();
    return node;
  }

  // The node that expand() will name if nothing nearer is offered.
  std::uint32_t next() {
    skip_expanded();
    return next_ == size_ || over() ? Graph::none : key_node(keys_[next_]);
  }

  // The nearest node that was not expanded, and with it those that are nearer than all that was last offered: these were
  // next before, and are. At most as many as there is room for.
  std::span<const std::uint32_t> expand(std::span<std::uint32_t> room) {
    std::size_t count = 0;
    while (count < room.size()) {
      skip_expanded();
      if (count > 0 && next_ >= nearest_new_) break;
      const std::uint32_t node = expand();
      if (node == Graph::none) break;
      room[count++] = node;
    }
    return room.first(count);
  }

  // The nodes that expand() will name, one after the other, if nothing nearer is offered; as many as there is room for.
  std::span<const std::uint32_t> next(std::span<std::uint32_t> room) {
    if (room.empty() || next() == Graph::none) return {};
    room[0] = key_node(keys_[next_]);
    std::size_t count = 1;
    for (std::size_t i = next_ + 1; i < size_ && count < room.size(); ++i)
      if ((keys_[i] & 1) == 0) room[count++] = key_node(keys_[i]);
    return room.first(count);
  }

  std::size_t size() const { return size_; }
  bool full() const { return size_ == sight_.capacity; }
  // Among which place the nearest of what was last offered has come; none: a number above all.
  std::size_t nearest_new() const { return nearest_new_; }
  std::uint32_t node(std::size_t i) const { return key_node(keys_[i]); }
  bool barred(std::size_t i) const { return sight_.barred != nullptr && is_barred(keys_[i]); }
  float score(std::size_t i) const { return key_score(keys_[i]); }

 private:
  bool is_barred(std::uint64_t key) const {
    const std::uint32_t node = key_node(key);
    return (sight_.barred[node / 64] >> node % 64 & 1) != 0;
  }
  // How many of the keys from `begin` to `end` are not barred.
  std::size_t passing(std::size_t begin, std::size_t end) const {
    if (sight_.barred == nullptr) return end - begin;
    std::size_t found = 0;
    for (std::size_t i = begin; i < end; ++i) found += static_cast<std::size_t>(!is_barred(keys_[i]));
    return found;
  }

  // The place of the one that `before` others which are not barred precede.
  std::size_t place_of_passing(std::size_t before) const {
    if (sight_.barred == nullptr) return before;
    std::size_t place = 0;
    for (; place < size_; ++place)
      if (!is_barred(keys_[place]) && before-- == 0) break;
    return place;
  }
  // Only once something is left: next_ < size_.
  bool over() const { return held_ >= sight_.wanted && (passed_ >= sight_.window || keys_[next_] >= beyond_); }
  // Sets what is too far to be expanded, which goes, but for as many as are wanted.
  void bound() {
    const Slack& slack = sight_.slack;
    if (slack.nth == 0) return;
    const std::size_t nth = place_of_passing(slack.nth - 1);
    if (nth >= size_ || keys_[nth] >> 1 == bounded_by_ >> 1) return;
    bounded_by_ = keys_[nth];
    const float lacks = std::max(0.0f, slack.apex - key_score(keys_[nth]));
    beyond_ = key_beyond(slack.apex - slack.stretch * lacks);
    if (sight_.barred == nullptr) {
      while (size_ > sight_.wanted && keys_[size_ - 1] >= beyond_) --size_;
    } else {
      while (size_ > 0 && keys_[size_ - 1] >= beyond_) {
        const std::size_t counts = passing(size_ - 1, size_);
        if (held_ < sight_.wanted + counts) break;
        held_ -= counts;
        if (next_ == size_) passed_ -= counts;
        --size_;
        next_ = std::min(next_, size_);
      }
    }
    next_ = std::min(next_, size_);
  }
  // What is from here on is not kept.
  std::uint64_t beyond() const {
    const std::size_t held = sight_.barred == nullptr ? size_ : held_;
    return held >= sight_.wanted ? beyond_ : beyond_all;
  }
  void step() {
    passed_ += passing(next_, next_ + 1);
    ++next_;
  }
  void skip_expanded() {
    while (next_ < size_ && (keys_[next_] & 1) != 0) step();
  }

  // The place of the nearest that is kept.
  std::size_t take(OfferKeysFn offer_keys, const float* scores, const std::uint32_t* nodes, std::size_t count) {
    const Offered offered =
        offer_keys(scores, nodes, count, keys_.data(), spare_.data(), size_, sight_.capacity, beyond());
    if (offered.keys != keys_.data()) keys_.swap(spare_);
    size_ = offered.size;
    next_ = std::min(next_, offered.first);
    nearest_new_ = std::min(nearest_new_, offered.first);
    return offered.first;
  }

  Sight sight_{};
  std::vector<std::uint64_t> keys_, spare_;
  std::vector<std::uint32_t> near_;  // of what is offered, what may be near enough
  std::vector<float> near_scores_;
  std::size_t size_ = 0, next_ = 0;     // all before next_ are expanded
  std::size_t held_ = 0, passed_ = 0;   // not barred: of all, of those before next_
  std::size_t nearest_new_ = 0;
  std::uint64_t beyond_ = beyond_all;   // keys from here on are not expanded
  std::uint64_t bounded_by_ = beyond_all;  // the nth nearest that this was set by
};

}  // namespace annbench
