// Searching a graph best first, over codes of any codec.
//
// A pool holds the `ef` nearest codes that were scored. The nearest that was not expanded yet is: those of its links
// that were never scored are, and go into the pool. The search ends when all of the pool is expanded.
//
// Expanding comes in two halves, so that several searches can take turns: gather() finds what is to be scored and asks
// for its memory, score() scores it. Between the two another search works while memory answers.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// What searches have cost.
struct WalkCounts {
  std::uint64_t hops = 0;    // nodes that were expanded
  std::uint64_t scored = 0;  // codes that were scored
};

// What several queries look for: query q is dim floats at queries + q·dim.
struct WalkTask {
  const float* queries;
  std::size_t ef;          // codes kept in sight, at least as many as are wanted
  std::size_t interleave;  // searches that take turns
};

// The nearest codes, nearest first. A code is one number: the score as an integer that is smaller for nearer ones, the
// node, and whether it was expanded.
class WalkPool {
 public:
  void start(std::size_t capacity) {
    capacity_ = capacity;
    size_ = next_ = 0;
    if (keys_.size() <= capacity) keys_.resize(capacity + 1);
  }

  // NaN is never kept. Few of the nodes that a search scores are nearer than what it holds already: first all are
  // compared with the farthest, without a branch, then what passed is put in its place.
  void offer(const float* scores, const std::uint32_t* nodes, std::size_t count) {
    if (passed_.size() < count) passed_.resize(count);
    const std::uint64_t limit = size_ == capacity_ ? keys_[size_ - 1] : ~std::uint64_t{0};
    std::size_t passed = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t key = key_of(scores[i], nodes[i]);
      passed_[passed] = key;
      passed += static_cast<std::size_t>((key < limit) & (scores[i] == scores[i]));
    }
    for (std::size_t i = 0; i < passed; ++i) insert(passed_[i]);
  }

  // The nearest node that was not expanded, which then was; Graph::none where there is none.
  std::uint32_t expand() {
    while (next_ < size_ && (keys_[next_] & 1) != 0) ++next_;
    if (next_ == size_) return Graph::none;
    keys_[next_] |= 1;
    return node_of(keys_[next_++]);
  }

  // The node that expand() will name if nothing nearer is offered.
  std::uint32_t next() const {
    for (std::size_t i = next_; i < size_; ++i)
      if ((keys_[i] & 1) == 0) return node_of(keys_[i]);
    return Graph::none;
  }

  std::size_t size() const { return size_; }
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

  std::vector<std::uint64_t> keys_, passed_;
  std::size_t capacity_ = 0, size_ = 0, next_ = 0;
};

// One search at a time, of one thread; made once and used for many.
template <Codec C>
class Walker {
 public:
  Walker(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes)
      : codec_(codec), kernels_(kernels), graph_(graph), codes_(codes), seen_((graph.size() + 63) / 64) {}

  // Looks at the entries.
  void start(const float* query, std::size_t ef) {
    forget();
    codec_.prepare(query, query_);
    pool_.start(ef);
    take(graph_.entries);
  }

  // False when the search is over.
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
      const std::size_t begin = codec_.bytes(0, places[i]), end = std::min(codec_.bytes(0, places[i] + 1), begin + most_ahead);
      for (std::size_t b = begin; b < end; b += cache_line) __builtin_prefetch(codes_[0] + b);
    }
  }

  // Asks for the links of the node that is expanded next, as it seems now.
  void ask_for_next() const {
    if (const std::uint32_t next = pool_.next(); next != Graph::none) {
      const auto row = graph_.row(next);
      for (std::size_t i = 0; i < row.size(); i += cache_line / sizeof(std::uint32_t)) __builtin_prefetch(row.data() + i);
    }
  }

  void forget() {
    for (std::size_t i = 0; i < touches_; ++i) seen_[touched_[i]] = 0;
    touches_ = 0;
  }

  static constexpr std::size_t most_ahead = 512;  // bytes of a code: the processor's own prefetching follows

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

// Offers what each query finds to best[q], by handles of list 0 (inverted_lists.hpp), which are the places themselves.
template <Codec C>
WalkCounts walk(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes,
                const WalkTask& task, std::span<TopK> best) {
  WalkCounts counts;
  if (graph.size() == 0) return counts;
  const std::size_t width = std::clamp<std::size_t>(task.interleave, 1, best.size());
  std::vector<Walker<C>> walkers;
  walkers.reserve(width);
  std::vector<std::size_t> turns, queries(width);  // walkers at work, and the query that each is at
  std::size_t begun = 0;
  const auto begin = [&](std::size_t w) {
    walkers[w].start(task.queries + begun * codec.dim(), std::max(task.ef, best[begun].capacity()));
    queries[w] = begun++;
  };
  for (std::size_t w = 0; w < width; ++w) {
    walkers.emplace_back(codec, kernels, graph, codes);
    turns.push_back(w);
    begin(w);
  }
  std::vector<std::uint8_t> gathered(width, 1);
  while (!turns.empty()) {
    for (std::size_t t = 0; t < turns.size();) {
      Walker<C>& walker = walkers[turns[t]];
      // While memory answers to what a walker has asked for, the others have their turns.
      if (gathered[turns[t]]) {
        walker.score();
        gathered[turns[t++]] = 0;
        continue;
      }
      gathered[turns[t]] = 1;
      if (walker.gather()) {
        ++t;
        continue;
      }
      TopK& mine = best[queries[turns[t]]];
      const std::size_t wanted = std::min(walker.found().size(), mine.capacity());
      for (std::size_t i = 0; i < wanted; ++i) mine.push(walker.found().score(i), walker.found().node(i));
      if (begun < best.size())
        begin(turns[t++]);
      else
        turns.erase(turns.begin() + static_cast<std::ptrdiff_t>(t));
    }
  }
  for (const Walker<C>& walker : walkers) {
    counts.hops += walker.counts().hops;
    counts.scored += walker.counts().scored;
  }
  return counts;
}

}  // namespace annbench
