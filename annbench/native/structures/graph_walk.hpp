// Searching a graph best first, over codes of any codec.
//
// A pool holds the nearest codes that were scored. The nearest that was not expanded yet is: those of its links that were
// never scored are, and go into the pool. With it go those next to it that the last links brought nothing nearer than: they
// would mostly come one after the other. The search ends when the `ef` nearest of the pool are expanded.
//
// Nodes that an answer may not name, the dead and those that a filter does not pass, lead on as all others do: `ef` of
// those that it may name are expanded. Where few pass, a scan of those takes less time than the walk; it is what happens
// then, and also to a search that finds too few on its way.
//
// Expanding comes in two halves, so that several searches can take turns: gather() finds what is to be scored and asks
// for its memory, score() scores it and asks for the links that come next. In between the others have their turns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "structures/graph.hpp"
#include "structures/links_ahead.hpp"
#include "structures/place_filter.hpp"
#include "structures/place_scan.hpp"
#include "structures/top_k.hpp"
#include "structures/walk_pool.hpp"
#include "support/bits.hpp"
#include "support/prefetch.hpp"
#include "support/spares.hpp"

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
  std::size_t patience = 0;             // hops that bring nothing new among what is wanted, after which one ends; 0: never
  const PlaceFilter* filter = nullptr;  // of what may be found; it passes no dead node
  Slack slack = {};                     // but for the apex: query q has apexes[q]
  const float* apexes = nullptr;
};

// Room for one search at a time, which may serve graph after graph.
template <Codec C>
struct WalkMemory {
  typename C::Query query;
  WalkPool pool;
  std::vector<std::uint64_t> seen;   // a bit a node, all 0 between searches
  std::vector<std::uint32_t> nodes;  // those that were seen
  std::vector<float> scores;
};

// One search at a time, of one thread; made once and used for many.
template <Codec C>
class Walker {
 public:
  // `alone`: no other search takes its turns in between.
  Walker(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes,
         std::unique_ptr<WalkMemory<C>> memory, bool alone)
      : codec_(codec), kernels_(kernels), graph_(graph), codes_(codes), memory_(std::move(memory)),
        ahead_(graph.degree()), code_lines_(lines_of_codes(codec)), alone_(alone) {
    if (memory_->seen.size() * 64 < graph.size()) memory_->seen.resize((graph.size() + 63) / 64);
  }
  // What it was given, for the next one.
  std::unique_ptr<WalkMemory<C>> release() {
    forget();
    return std::move(memory_);
  }

  // Begins at the entries, which score() then scores.
  void start(const float* query, const Sight& sight) {
    forget();
    codec_.prepare(kernels_, query, memory_->query);
    memory_->pool.start(sight);
    patience_ = sight.patience == 0 ? std::numeric_limits<std::size_t>::max() : sight.patience;
    notable_ = sight.notable;
    in_vain_ = expanded_ = 0;
    take_entries();
  }

  // What should be read of a graph that is stored before gather() is called.
  void need_links(std::vector<StoredLinks::Request>& requests) {
    std::array<std::uint32_t, LinksAhead::most> nodes;
    std::ranges::copy(expanded(), nodes.begin());
    const auto later = memory_->pool.next(std::span(nodes).subspan(expanded_));
    ahead_.need(std::span(nodes).first(expanded_ + later.size()), requests);
  }

  // Finds what is to be scored for the nodes that were expanded; false when there are none, and the search is over.
  bool gather() {
    if (expanded_ == 0) return false;
    counts_.hops += expanded_;
    seen_ += std::exchange(fresh_, 0);
    for (const std::uint32_t node : expanded())
      take(graph_.stored() == nullptr ? graph_.row(node) : ahead_.row(*graph_.stored(), node));
    // Often it is next, whatever the scores will be; who has others' turns to wait gains nothing by guesses.
    if (alone_ && graph_.stored() == nullptr)
      if (const std::uint32_t next = memory_->pool.next(); next != Graph::none) ask_for_links(next);
    return true;
  }

  // Scores what start() or gather() has found, and expands the nearest nodes.
  void score() {
    codec_.refine(kernels_, memory_->query, {}, codes_, fresh().data(), fresh_, memory_->scores.data());
    counts_.scored += fresh_;
    WalkPool& pool = memory_->pool;
    pool.offer(kernels_, memory_->scores.data(), fresh().data(), fresh_);
    in_vain_ = pool.nearest_new() < notable_ ? 0 : in_vain_ + expanded_;
    expanded_ = pool.expand(std::span(nodes_).first(std::min(most_together, patience_ - in_vain_))).size();
    if (graph_.stored() == nullptr)
      for (const std::uint32_t node : expanded()) ask_for_links(node);
  }

  const WalkPool& found() const { return memory_->pool; }
  const WalkCounts& counts() const { return counts_; }

 private:
  // Several nodes at once keep more of the memory busy and share what a turn costs: with up to 6, searches that take turns
  // need up to 15 % less time than with one, and one alone 10 to 35 %, the more the longer they are. 8 bring no more.
  static constexpr std::size_t most_together = 6;
  static_assert(most_together <= LinksAhead::most);

  // Adds those of the nodes, up to the first `none`, that were not seen before to what is to be scored, and asks for their
  // codes.
  void take(std::span<const std::uint32_t> nodes) {
    WalkMemory<C>& m = *memory_;
    if (const std::size_t most = seen_ + fresh_ + nodes.size(); m.nodes.size() < most) m.nodes.resize(2 * most);
    if (const std::size_t most = fresh_ + nodes.size(); m.scores.size() < most) m.scores.resize(most);
    std::uint32_t* const unseen = m.nodes.data() + seen_;
    const std::size_t before = fresh_;
    switch (code_lines_) {
      case 1: fresh_ = look_at<1>(nodes, m.seen.data(), unseen, before); break;
      case 2: fresh_ = look_at<2>(nodes, m.seen.data(), unseen, before); break;
      case 3: fresh_ = look_at<3>(nodes, m.seen.data(), unseen, before); break;
      default:
        fresh_ = look_at<0>(nodes, m.seen.data(), unseen, before);
        for (const std::uint32_t place : std::span(unseen + before, fresh_ - before)) ask_for_code(place);
    }
  }
  // Those that were not seen before go behind the first `found`; returns how many are there then. Whether a node was seen
  // cannot be foretold: nothing branches on it, and the lines of its code, where `lines` of them are one, are asked for
  // all the same. A third of what a search takes, so they go by fours: only the last ones may be none.
  template <std::size_t lines>
  std::size_t look_at(std::span<const std::uint32_t> nodes, std::uint64_t* seen, std::uint32_t* unseen, std::size_t found) const {
    const std::uint8_t* const codes = codes_[0];
    const auto look = [&](std::uint32_t node) {
      ANNBENCH_UNROLL
      for (std::size_t line = 0; line < lines; ++line)
        __builtin_prefetch(codes + (std::size_t{node} * lines + line) * cache_line);
      unseen[found] = node;
      set_bit(seen[node / 64], node, found);
    };
    std::size_t i = 0;
    for (; i + 4 <= nodes.size() && nodes[i + 3] != Graph::none; i += 4)
      for (std::size_t j = 0; j < 4; ++j) look(nodes[i + j]);
    for (; i < nodes.size() && nodes[i] != Graph::none; ++i) look(nodes[i]);
    return found;
  }
  // The same of the entries, where every search begins: none of them was seen, and all are in the caches.
  void take_entries() {
    WalkMemory<C>& m = *memory_;
    const std::span<const std::uint32_t> entries = graph_.entries;
    if (m.nodes.size() < entries.size()) m.nodes.resize(2 * entries.size());
    if (m.scores.size() < entries.size()) m.scores.resize(entries.size());
    std::ranges::copy(entries, m.nodes.begin());
    for (const std::uint32_t node : entries) m.seen[node / 64] |= std::uint64_t{1} << node % 64;
    fresh_ = entries.size();
  }
  // Of a code that fills whole cache lines, how many; else 0.
  static std::size_t lines_of_codes(const C& codec) {
    const std::size_t bytes = codec.bytes(0, 1);
    return C::granule == 1 && bytes % cache_line == 0 ? bytes / cache_line : 0;
  }
  void ask_for_code(std::size_t place) const {
    const std::size_t begin = codec_.bytes(0, place);
    prefetch(codes_[0] + begin, codec_.bytes(0, place + 1) - begin);
  }
  void ask_for_links(std::uint32_t node) const { prefetch(graph_.row(node).data(), graph_.row(node).size_bytes()); }
  std::span<const std::uint32_t> fresh() const { return std::span(memory_->nodes).subspan(seen_, fresh_); }
  std::span<const std::uint32_t> expanded() const { return std::span(nodes_).first(expanded_); }

  void forget() {
    // A few nodes one by one; all at once where that writes fewer lines.
    std::vector<std::uint64_t>& seen = memory_->seen;
    if (seen.size() <= 4 * (seen_ + fresh_))
      std::ranges::fill(seen, 0);
    else
      for (const std::uint32_t node : std::span(memory_->nodes).first(seen_ + fresh_)) seen[node / 64] = 0;
    seen_ = fresh_ = 0;
  }

  const C& codec_;
  const KernelTable& kernels_;
  const Graph& graph_;
  CodesView codes_;
  std::unique_ptr<WalkMemory<C>> memory_;
  LinksAhead ahead_;
  std::size_t code_lines_;
  bool alone_;
  std::size_t seen_ = 0, fresh_ = 0;  // of memory_->nodes: those that were scored, and after them those to be scored
  std::size_t patience_ = 0, notable_ = 0, in_vain_ = 0;  // hops, nodes, hops
  std::array<std::uint32_t, most_together> nodes_;
  std::size_t expanded_ = 0;  // of nodes_: those whose links come next, or were scored last
  WalkCounts counts_;
};

template <Codec C>
using WalkMemories = Spares<WalkMemory<C>>;

// The searches of one task: `interleave` of them take turns, of one thread.
template <Codec C>
class Walks {
 public:
  Walks(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes, const WalkTask& task,
        std::span<TopK> best)
      : codec_(codec), kernels_(kernels), graph_(graph), codes_(codes), task_(task), best_(best),
        passing_(task.filter == nullptr ? graph.size() - graph.dead() : task.filter->count()),
        barred_(task.filter == nullptr ? graph.graves() : task.filter->barred(0)) {}

  WalkCounts run(WalkMemories<C>& memories) {
    if (passing_ == 0) return {};
    if (task_.filter != nullptr && scan_pays()) {
      scan(0, best_.size());
      return counts_;
    }
    const std::size_t width = std::clamp<std::size_t>(task_.interleave, 1, best_.size());
    walks_.reserve(width);
    std::vector<std::size_t> at_work;
    for (std::size_t w = 0; w < width; ++w) {
      walks_.push_back({Walker<C>(codec_, kernels_, graph_, codes_, memories.take(), width == 1)});
      at_work.push_back(w);
      begin(walks_[w]);
    }
    while (!at_work.empty()) {
      if (graph_.stored() != nullptr) read_links(*graph_.stored(), at_work);
      for (std::size_t i = 0; i < at_work.size();)
        if (goes_on(walks_[at_work[i]]))
          ++i;
        else
          at_work.erase(at_work.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (Walk& walk : walks_) {
      counts_.hops += walk.walker.counts().hops;
      counts_.scored += walk.walker.counts().scored;
      memories.give(walk.walker.release());
    }
    return counts_;
  }

 private:
  struct Walk {
    Walker<C> walker;
    std::size_t query = 0;
    std::size_t before = 0;  // codes that the walker has scored for queries before
    std::size_t times = 1;   // how many times as many are expanded and kept as were asked for
    bool to_score = true;    // at its next turn; else it gathers

    // False when the search is over.
    bool turn() {
      to_score = !to_score;
      if (to_score) return walker.gather();
      walker.score();
      return true;
    }
  };

  // The links of a stored graph for all searches that expand a node at their next turn.
  void read_links(const StoredLinks& stored, std::span<const std::size_t> at_work) {
    requests_.clear();
    for (const std::size_t w : at_work)
      if (!walks_[w].to_score) walks_[w].walker.need_links(requests_);
    if (!requests_.empty()) stored.read(requests_);
  }

  // Of what may be found, enough to find `wanted` among all: there is more in sight, by the share of what passes.
  std::size_t among_all(std::size_t wanted) const {
    return wanted + (wanted * (graph_.size() - passing_) + passing_ - 1) / passing_;
  }
  // Codes that a walk scores if what passes has the same share of all everywhere: some hops lead to where the nearest are,
  // and of a node's links a third was not seen yet. Where a search ends by its k-th nearest, `ef` is far more than most
  // of them expand.
  std::size_t expected() const {
    constexpr std::size_t way = 8, usual = 64;
    const std::size_t expanded = std::min({task_.ef, passing_, task_.slack.nth > 0 ? usual : task_.ef});
    return graph_.entries.size() + (way + among_all(expanded)) * graph_.degree() / 3;
  }
  // Among others than those that are sought, walks score up to half more than they should.
  bool scan_pays() const { return passing_ < scanned_a_walked * (expected() + expected() / 2); }
  // A walk that scores far more than it should is where little passes. It may take a scan's time, because some queries have
  // a long way.
  bool lost(const Walk& walk) const {
    return task_.filter != nullptr &&
           walk.walker.counts().scored - walk.before > std::max(2 * expected(), passing_ / scanned_a_walked);
  }

  bool begin(Walk& walk) {
    if (begun_ == best_.size()) return false;
    walk.query = begun_++;
    walk.before = walk.walker.counts().scored;
    walk.times = 1;
    look(walk);
    return true;
  }

  void look(Walk& walk) {
    const std::size_t wanted = walk.times * best_[walk.query].capacity();
    Sight sight{walk.times * std::min(task_.ef, passing_), wanted, 0, barred_, task_.patience, among_all(wanted)};
    sight.capacity = among_all(std::max(sight.window, wanted));
    if (task_.filter != nullptr) sight.capacity *= 2;  // what passes is not everywhere as frequent
    sight.slack = task_.slack;
    if (task_.slack.nth > 0) sight.slack.apex = task_.apexes[walk.query];
    walk.walker.start(task_.queries + walk.query * codec_.dim(), sight);
    walk.to_score = true;
  }

  // The next turn of a search, or what comes after it; false when there is no other query.
  bool goes_on(Walk& walk) {
    if (!walk.turn()) return !ends(walk) || begin(walk);
    if (!lost(walk)) return true;
    scan(walk.query, 1);
    return begin(walk);
  }

  // A search is over: its answer, unless it begins again with more in sight, because of what it kept too few pass.
  bool ends(Walk& walk) {
    TopK& mine = best_[walk.query];
    const WalkPool& found = walk.walker.found();
    std::size_t taken = 0, end = 0;
    for (; end < found.size() && taken < mine.capacity(); ++end) taken += static_cast<std::size_t>(!found.barred(end));
    const std::span<Scored> answer = mine.append(taken);
    for (std::size_t f = end, at = 0; f-- > 0;)
      if (!found.barred(f)) answer[at++] = {found.score(f), found.node(f)};
    if (taken == std::min(mine.capacity(), passing_) || !found.full()) return true;
    mine.take();
    walk.times *= 2;
    look(walk);
    return false;
  }

  void scan(std::size_t first, std::size_t count) {
    std::vector<typename C::Query> queries(count);
    for (std::size_t q = 0; q < count; ++q) codec_.prepare(kernels_, task_.queries + (first + q) * codec_.dim(), queries[q]);
    scan_places<C>(codec_, kernels_, codes_, task_.filter->places(0), 0, queries, [](std::size_t) { return Probe{}; },
                   best_.subspan(first, count));
    counts_.scored += count * passing_;
  }

  // A code that is scored on a walk takes, with all that goes with it, as long as so many one after the other, in order of
  // place: 9 to 12 with AVX-512, 5 to 10 without.
  static constexpr std::size_t scanned_a_walked = 12;

  const C& codec_;
  const KernelTable& kernels_;
  const Graph& graph_;
  CodesView codes_;
  const WalkTask& task_;
  std::span<TopK> best_;
  std::size_t passing_;
  const std::uint64_t* barred_;  // a bit a node, or null
  std::vector<Walk> walks_;
  std::vector<StoredLinks::Request> requests_;
  std::size_t begun_ = 0;
  WalkCounts counts_;
};

// Offers what each query finds to best[q], by handles of list 0 (inverted_lists.hpp), which are the places themselves.
template <Codec C>
WalkCounts walk(const C& codec, const KernelTable& kernels, const Graph& graph, const CodesView& codes,
                const WalkTask& task, std::span<TopK> best, WalkMemories<C>& memories) {
  return Walks<C>(codec, kernels, graph, codes, task, best).run(memories);
}

}  // namespace annbench
