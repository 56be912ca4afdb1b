// Searching a graph best first, over codes of any codec.
//
// A pool holds the nearest codes that were scored. The nearest that was not expanded yet is: those of its links that were
// never scored are, and go into the pool. The search ends when the `ef` nearest of the pool are expanded.
//
// Expanding comes in two halves, so that several searches can take turns: gather() finds what is to be scored and asks
// for its memory, score() scores it and asks for the links that come next. In between the others have their turns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/top_k.hpp"
#include "support/prefetch.hpp"

namespace annbench {

// What searches have cost.
struct WalkCounts {
  std::uint64_t hops = 0;    // nodes that were expanded
  std::uint64_t scored = 0;  // codes that were scored
};

// What several queries look for: query q is dim floats at queries + q·dim.
struct WalkTask {
  const float* queries;
  std::size_t ef;          // how many of the nearest codes are expanded
  std::size_t interleave;  // searches that take turns
};

// The nearest codes, nearest first. A code is one number: the score as an integer that is smaller for nearer ones, the
// node, and whether it was expanded.
class WalkPool {
 public:
  // Of the `capacity` nodes that it holds the `window` nearest are expanded; until it holds as many, all.
  void start(std::size_t capacity, std::size_t window) {
    capacity_ = capacity;
    window_ = window;
    size_ = next_ = 0;
    if (keys_.size() <= capacity) keys_.resize(capacity + 1);
  }

  // NaN is never kept. Few of the nodes that a search scores are nearer than what it holds already: first all are
  // compared with the farthest, without a branch, then what passed is put in its place.
  void offer(const float* scores, const std::uint32_t* nodes, std::size_t count) {
    if (passed_.size() < count) passed_.resize(count);
    // With fewer nodes than it may hold all pass but NaN.
    const float limit = size_ == capacity_ ? score(size_ - 1) : -std::numeric_limits<float>::infinity();
    std::uint32_t* const passed = passed_.data();
    std::size_t passing = 0;
    for (std::size_t i = 0; i < count; ++i) {
      passed[passing] = static_cast<std::uint32_t>(i);
      passing += static_cast<std::size_t>(scores[i] >= limit);
    }
    for (std::size_t i = 0; i < passing; ++i) insert(key_of(scores[passed[i]], nodes[passed[i]]));
  }

  // The nearest node that was not expanded, which then was; Graph::none where there is none.
  std::uint32_t expand() {
    const std::size_t end = to_expand();
    while (next_ < end && (keys_[next_] & 1) != 0) ++next_;
    if (next_ >= end) return Graph::none;
    keys_[next_] |= 1;
    return node_of(keys_[next_++]);
  }

  // The node that expand() will name if nothing nearer is offered.
  std::uint32_t next() const {
    for (std::size_t i = next_; i < to_expand(); ++i)
      if ((keys_[i] & 1) == 0) return node_of(keys_[i]);
    return Graph::none;
  }

  std::size_t size() const { return size_; }
  bool full() const { return size_ == capacity_; }
  std::uint32_t node(std::size_t i) const { return node_of(keys_[i]); }
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

  std::size_t to_expand() const { return full() ? std::min(size_, window_) : size_; }

  void insert(std::uint64_t key) {
    std::uint64_t* const keys = keys_.data();
    if (size_ == capacity_ && key >= keys[size_ - 1]) return;
    // A search by halves whose steps are no branches: which way they go cannot be foretold.
    std::size_t place = 0;
    for (std::size_t left = size_; left > 0;) {
      const std::size_t half = (left + 1) / 2;
      place += keys[place + half - 1] < key ? half : 0;
      left -= half;
    }
    std::memmove(keys + place + 1, keys + place, (size_ - place) * sizeof *keys);
    keys[place] = key;
    size_ = std::min(size_ + 1, capacity_);
    next_ = std::min(next_, place);
  }

  std::vector<std::uint64_t> keys_;
  std::vector<std::uint32_t> passed_;
  std::size_t capacity_ = 0, window_ = 0, size_ = 0, next_ = 0;
};

// One search at a time, of one thread; made once and used for many.
template <Codec C>
class Walker {
 public:
  Walker(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes)
      : codec_(codec), kernels_(kernels), graph_(graph), codes_(codes), seen_((graph.size() + 63) / 64) {}

  // Begins at the entries, which score() then scores. Of the max(ef, wanted) nearest that are found the `ef` nearest are
  // expanded.
  void start(const float* query, std::size_t ef, std::size_t wanted) {
    forget();
    codec_.prepare(query, query_);
    pool_.start(std::max(ef, wanted), ef);
    take(graph_.entries);
  }

  // Expands the nearest node; false when the search is over.
  bool gather() {
    const std::uint32_t node = pool_.expand();
    if (node == Graph::none) return false;
    ++counts_.hops;
    take(graph_.row(node));
    ask_for_next();  // often it is, whatever the scores will be
    return true;
  }

  // Scores what start() or gather() has found.
  void score() {
    codec_.refine(kernels_, query_, {}, codes_, places_.data(), fresh_, scores_.data());
    counts_.scored += fresh_;
    pool_.offer(scores_.data(), places_.data(), fresh_);
    ask_for_next();
  }

  // As long as it takes.
  void search() {
    do score();
    while (gather());
  }

  const WalkPool& found() const { return pool_; }
  const WalkCounts& counts() const { return counts_; }

 private:
  // Remembers those of the nodes, up to the first `none`, that were not seen before as what is to be scored, and asks for
  // their codes. Whether a node was seen cannot be foretold: nothing branches on it.
  void take(std::span<const std::uint32_t> nodes) {
    if (places_.size() < nodes.size()) {
      places_.resize(nodes.size());
      scores_.resize(nodes.size());
    }
    if (touched_.size() < touches_ + nodes.size()) touched_.resize(2 * (touches_ + nodes.size()));
    std::uint32_t *const places = places_.data(), *const touched = touched_.data() + touches_;
    std::size_t fresh = 0;
    for (const std::uint32_t node : nodes) {
      if (node == Graph::none) break;
      std::uint64_t& word = seen_[node / 64];
      const std::uint64_t bit = std::uint64_t{1} << node % 64;
      places[fresh] = node;
      touched[fresh] = node / 64;
      fresh += static_cast<std::size_t>((word & bit) == 0);
      word |= bit;
    }
    fresh_ = fresh;
    touches_ += fresh;
    for (std::size_t i = 0; i < fresh; ++i) {
      const std::size_t begin = codec_.bytes(0, places[i]);
      prefetch(codes_[0] + begin, codec_.bytes(0, places[i] + 1) - begin);
    }
  }

  // Asks for the links of the node that is expanded next, as it seems now.
  void ask_for_next() const {
    if (const std::uint32_t next = pool_.next(); next != Graph::none) {
      const auto row = graph_.row(next);
      prefetch(row.data(), row.size_bytes());
    }
  }

  void forget() {
    for (std::size_t i = 0; i < touches_; ++i) seen_[touched_[i]] = 0;
    touches_ = 0;
  }

  const C& codec_;
  const KernelTable& kernels_;
  const Graph& graph_;
  CodesView codes_;
  typename C::Query query_;
  WalkPool pool_;
  std::vector<std::uint64_t> seen_;
  std::vector<std::uint32_t> touched_;  // words of seen_, the first touches_ of them
  std::vector<std::uint32_t> places_;
  std::vector<float> scores_;
  std::size_t fresh_ = 0, touches_ = 0;
  WalkCounts counts_;
};

// Offers what each query finds to best[q], by handles of list 0 (inverted_lists.hpp), which are the places themselves. The
// dead are not among them: there are as many more codes in sight, and where that was not enough, a search begins again with
// twice as many.
template <Codec C>
WalkCounts walk(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes,
                const WalkTask& task, std::span<TopK> best) {
  WalkCounts counts;
  const std::size_t living = graph.size() - graph.dead();
  if (living == 0) return counts;
  const std::size_t width = std::clamp<std::size_t>(task.interleave, 1, best.size());
  enum class Turn : std::uint8_t { score, gather };
  std::vector<Walker<C>> walkers;
  walkers.reserve(width);
  std::vector<Turn> turns(width);
  std::vector<std::size_t> at_work, queries(width);  // walkers, and the query that each is at
  std::vector<std::size_t> times(width);             // how many times as many are expanded and kept as were asked for
  std::size_t begun = 0;
  // Of what a walk finds the dead are left out: it looks for more, by their share.
  const auto look = [&](std::size_t w) {
    const auto more = [&](std::size_t wanted) { return times[w] * (wanted + (wanted * graph.dead() + living - 1) / living); };
    walkers[w].start(task.queries + queries[w] * codec.dim(), more(std::min(task.ef, graph.size())),
                     more(best[queries[w]].capacity()));
    turns[w] = Turn::score;
  };
  const auto begin = [&](std::size_t w) {
    queries[w] = begun++;
    times[w] = 1;
    look(w);
  };
  for (std::size_t w = 0; w < width; ++w) {
    walkers.emplace_back(codec, kernels, graph, codes);
    at_work.push_back(w);
    begin(w);
  }
  while (!at_work.empty()) {
    for (std::size_t i = 0; i < at_work.size();) {
      const std::size_t w = at_work[i];
      Walker<C>& walker = walkers[w];
      const Turn turn = std::exchange(turns[w], turns[w] == Turn::score ? Turn::gather : Turn::score);
      if (turn == Turn::score) walker.score();
      if (turn == Turn::score || walker.gather()) {
        ++i;
        continue;
      }
      TopK& mine = best[queries[w]];
      const WalkPool& found = walker.found();
      std::size_t taken = 0;
      for (std::size_t f = 0; f < found.size() && taken < mine.capacity(); ++f) {
        if (!graph.living(found.node(f))) continue;
        mine.push(found.score(f), found.node(f));
        ++taken;
      }
      if (taken < std::min(mine.capacity(), living) && found.full()) {  // too many dead
        mine.take();
        times[w] *= 2;
        look(w);
        ++i;
        continue;
      }
      if (begun < best.size())
        begin(at_work[i++]);
      else
        at_work.erase(at_work.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  for (const Walker<C>& walker : walkers) {
    counts.hops += walker.counts().hops;
    counts.scored += walker.counts().scored;
  }
  return counts;
}

}  // namespace annbench
