// Putting what was found into order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// Sorts what was found, nearest first, no score NaN: few as keys in registers, where no branch depends on a score. One thread's,
// made once for many.
class NearestFirst {
 public:
  void sort(const KernelTable& kernels, std::vector<Scored>& found) {
    const auto nearer = [](const Scored& a, const Scored& b) { return a.nearer_than(b); };
    if (found.size() > few) {
      std::ranges::sort(found, nearer);
      return;
    }
    for (auto* const keys : {&keys_, &spare_}) keys->resize(std::max(keys->size(), found.size() + offer_slack));
    scores_.resize(found.size());
    places_.resize(found.size());
    sorted_.resize(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      scores_[i] = found[i].score;
      places_[i] = static_cast<std::uint32_t>(i);
    }
    Offered there{keys_.data(), 0, 0};
    for (std::size_t i = 0; i < found.size(); i += offer_most)
      there = kernels.offer_keys(scores_.data() + i, places_.data() + i, std::min(offer_most, found.size() - i), there.keys,
                                 there.keys == keys_.data() ? spare_.data() : keys_.data(), there.size, found.size(), beyond_all);
    for (std::size_t i = 0; i < found.size(); ++i) sorted_[i] = found[key_node(there.keys[i])];
    found.swap(sorted_);
    // Keys of equal scores are in the order in which they came.
    if (!std::ranges::is_sorted(found, nearer)) std::ranges::sort(found, nearer);
  }

 private:
  static constexpr std::size_t few = 256;

  std::vector<std::uint64_t> keys_, spare_;
  std::vector<float> scores_;
  std::vector<std::uint32_t> places_;
  std::vector<Scored> sorted_;
};

}  // namespace annbench
