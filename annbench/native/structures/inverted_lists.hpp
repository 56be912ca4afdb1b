// Inverted lists, and the flat structure, which is one list: which codes are looked at, in which order, by how many queries
// at a time.
//
// A batch that shares lists: every query scans its nearest list first, so that all have a threshold, and then the lists that
// come next are taken one after the other, in tiles that stay in the nearest cache while all queries that probe the list
// pass over them.
// A query's answer does not depend on the queries beside it, nor on how a batch is split between threads.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "structures/code_list.hpp"
#include "structures/graph_walk.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// A code by its list and its place there, as one number.
inline constexpr std::uint64_t handle_of(std::uint64_t list, std::uint64_t place) { return list << 32 | place; }
inline constexpr std::size_t list_of(std::uint64_t handle) { return handle >> 32; }
inline constexpr std::size_t place_of(std::uint64_t handle) { return handle & 0xffffffffu; }

// One list that a query looks into.
struct ListProbe {
  std::uint32_t list;
  Probe probe;
};

// The part of each list that one of several threads scans: share `index` of `count`.
struct Share {
  std::size_t index = 0;
  std::size_t count = 1;
};

// What several queries look for: query q is dim floats at queries + q·dim, and probes probes[q], nearest first.
struct ScanTask {
  const float* queries;
  std::span<const std::vector<ListProbe>> probes;
  bool shared;  // lists are shared between the queries; else one query after the other
  Share share;
  const PlaceFilter* filter = nullptr;  // of what may be found
};

// Lists of codes of any codec. The search itself is not virtual: one call scans for all queries of a task.
class Lists {
 public:
  explicit Lists(std::size_t count) : lists_(count) {}
  virtual ~Lists() = default;

  std::vector<CodeList>& all() { return lists_; }
  const std::vector<CodeList>& all() const { return lists_; }

  // Makes room for `count` codes in a list, without anything to spare.
  virtual void reserve_codes(std::size_t list, std::size_t count) = 0;
  // Codes `count` vectors into places first … of a list that has room for them; ids are the caller's to append. Several
  // threads may code into one list where first is a multiple of 256.
  virtual void encode(std::size_t list, const float* vectors, const float* bias, const float* anchor, std::size_t count,
                      std::size_t first) = 0;
  // The code at `from` also at `to`.
  virtual void move(std::size_t list, std::size_t from, std::size_t to) = 0;
  // Bytes that part p of `count` codes takes.
  virtual std::size_t code_bytes(std::size_t part, std::size_t count) const = 0;
  // Whether a batch is faster when its queries share lists: where these are so long that reading them takes more than
  // coming back to what was prepared of each query.
  virtual bool sharing_pays() const = 0;
  // The vector that a code stands for: dim floats.
  virtual void decode(std::size_t list, std::size_t place, float* vector) const = 0;
  // Offers what the queries of the task find to best[q]; walk() in a graph over the first list.
  virtual WalkCounts walk(const KernelTable& kernels, const Graph& graph, const WalkTask& task,
                          std::span<TopK> best) const = 0;
  virtual void scan(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const = 0;
  // The same, by scoring what passes the filter code by code and nothing else.
  virtual void scan_passing(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const = 0;

  // Gives back what searches along a graph keep for those that come.
  virtual void forget_walks() = 0;

 private:
  std::vector<CodeList> lists_;
};

inline constexpr std::size_t tile_bytes = 16 << 10;  // of codes: half of L1, beside what a query brings
inline constexpr std::size_t tile_codes = 512;
inline constexpr std::size_t refine_block = 32;

template <Codec C>
class ListsOf final : public Lists {
 public:
  ListsOf(std::size_t count, C codec) : Lists(count), codec_(std::move(codec)) {}

  void reserve_codes(std::size_t list, std::size_t count) override { reserve(codec_, all()[list].codes, count); }
  void encode(std::size_t list, const float* vectors, const float* bias, const float* anchor, std::size_t count,
              std::size_t first) override {
    static_assert(256 % C::granule == 0);
    codec_.encode(vectors, bias, anchor, count, view(all()[list].codes), first);
  }
  void move(std::size_t list, std::size_t from, std::size_t to) override { codec_.move(view(all()[list].codes), from, to); }
  std::size_t code_bytes(std::size_t part, std::size_t count) const override { return codec_.bytes(part, count); }
  void decode(std::size_t list, std::size_t place, float* vector) const override {
    codec_.decode(view(all()[list].codes), place, 1, vector);
  }

  bool sharing_pays() const override {
    std::size_t codes = 0;
    for (const CodeList& list : all()) codes += list.size();
    return codec_.bytes(0, codes / all().size()) >= 8 * tile_bytes;
  }

  WalkCounts walk(const KernelTable& kernels, const Graph& graph, const WalkTask& task,
                  std::span<TopK> best) const override {
    return annbench::walk(codec_, kernels, graph, view(all().front().codes), task, best, memories_);
  }
  void forget_walks() override { memories_.clear(); }

  void scan(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const override {
    if (task.shared)
      scan_shared(kernels, task, best);
    else
      scan_each(kernels, task, best);
  }

  void scan_passing(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const override {
    // Queries that all look at one list pass over it together.
    const std::size_t together = all().size() == 1 ? best.size() : 1;
    std::vector<Query> queries(together);
    for (std::size_t first = 0; first < best.size(); first += together) {
      for (std::size_t q = 0; q < together; ++q) codec_.prepare(kernels, task.queries + (first + q) * codec_.dim(), queries[q]);
      for (std::size_t p = 0; p < task.probes[first].size(); ++p) {
        const std::uint32_t list = task.probes[first][p].list;
        scan_places<C>(codec_, kernels, view(all()[list].codes), task.filter->places(list), handle_of(list, 0), queries,
                       [&](std::size_t q) -> const Probe& { return task.probes[first + q][p].probe; },
                       best.subspan(first, together));
      }
    }
  }

 private:
  using Query = typename C::Query;

  // Queries that look at one tile at once, all of which have a threshold.
  static constexpr bool selects_together = requires { C::together; };
  static constexpr std::size_t most_together = [] {
    if constexpr (selects_together) return C::together;
    return std::size_t{1};
  }();
  struct Together {
    const KernelTable& kernels;
    const PlaceFilter* filter;
    std::size_t first, count;
    std::size_t size = 0;
    std::array<const Query*, most_together> queries{};
    std::array<const Probe*, most_together> probes{};
    std::array<float, most_together> thresholds{};
    std::array<TopK*, most_together> best{};
    std::uint32_t list = 0;

    void add(const Query& query, const ListProbe& probe, TopK& into) {
      queries[size] = &query;
      probes[size] = &probe.probe;
      thresholds[size] = into.threshold();
      best[size++] = &into;
      list = probe.list;
    }
  };

  struct Scratch {
    std::array<float, tile_codes> scores;
    std::array<float, most_together * tile_codes> bounds;
    std::array<std::uint32_t, most_together * tile_codes> places;
  };

  // What a scan has found, in the scratch.
  struct Found {
    std::uint32_t* places;
    float* scores;
  };

  // A multiple of the granule whose codes fill a tile.
  std::size_t tile() const {
    const std::size_t one = std::max<std::size_t>(1, codec_.bytes(0, tile_codes) / tile_codes);
    const std::size_t fitting = std::clamp<std::size_t>(tile_bytes / one, 32, tile_codes);
    return fitting / C::granule * C::granule;
  }

  void scan_each(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const {
    Scratch scratch;
    Query query;
    const std::size_t step = tile();
    for (std::size_t q = 0; q < best.size(); ++q) {
      codec_.prepare(kernels, task.queries + q * codec_.dim(), query);
      const auto& probes = task.probes[q];
      // Several threads share a query's lists where there are enough of them, else the codes of each.
      const bool by_lists = probes.size() >= 2 * task.share.count;
      for (std::size_t p = by_lists ? task.share.index : 0; p < probes.size(); p += by_lists ? task.share.count : 1) {
        const auto [begin, end] = range(all()[probes[p].list].size(), by_lists ? Share{} : task.share);
        for (std::size_t first = begin; first < end;) {
          const std::size_t at_once = std::min(step_with(best[q], step), end - first);
          scan_tile(kernels, query, probes[p], task.filter, first, at_once, best[q], scratch);
          first += at_once;
        }
      }
    }
  }

  void scan_shared(const KernelTable& kernels, const ScanTask& task, std::span<TopK> best) const {
    struct Visit {
      std::uint32_t list, query, rank;
    };
    std::vector<Query> queries(best.size());
    std::vector<Visit> visits;
    for (std::uint32_t q = 0; q < best.size(); ++q) {
      codec_.prepare(kernels, task.queries + q * codec_.dim(), queries[q]);
      for (std::uint32_t rank = 0; rank < task.probes[q].size(); ++rank)
        visits.push_back({task.probes[q][rank].list, q, rank});
    }
    // The nearest list first, then the next two, the next four and so on, each time by list: a threshold is worth more
    // than a tile that is shared by all who come to it.
    const auto turn = [](const Visit& visit) { return std::bit_width(visit.rank + 1); };
    std::sort(visits.begin(), visits.end(), [&](const Visit& a, const Visit& b) {
      if (turn(a) != turn(b)) return turn(a) < turn(b);
      return a.list != b.list ? a.list < b.list : a.query < b.query;
    });
    Scratch scratch;
    const std::size_t step = tile();
    for (std::size_t begin = 0, end; begin < visits.size(); begin = end) {
      const auto same = [&](const Visit& v) { return v.list == visits[begin].list && turn(v) == turn(visits[begin]); };
      for (end = begin + 1; end < visits.size() && same(visits[end]);) ++end;
      const std::size_t size = all()[visits[begin].list].size();
      for (std::size_t first = 0; first < size; first += step) {
        const std::size_t stop = std::min(size, first + step);
        [[maybe_unused]] Together together{.kernels = kernels, .filter = task.filter, .first = first, .count = stop - first};
        for (std::size_t v = begin; v < end; ++v) {
          TopK& mine = best[visits[v].query];
          const ListProbe& probe = task.probes[visits[v].query][visits[v].rank];
          if constexpr (selects_together) {
            if (codec_.selects_together() && mine.full()) {
              together.add(queries[visits[v].query], probe, mine);
              if (together.size == C::together) scan_together(together, scratch);
              continue;
            }
          }
          for (std::size_t next = first; next < stop;) {
            const std::size_t at_once = std::min(step_with(mine, step), stop - next);
            scan_tile(kernels, queries[visits[v].query], probe, task.filter, next, at_once, mine, scratch);
            next += at_once;
          }
        }
        if constexpr (selects_together) scan_together(together, scratch);
      }
    }
  }

  void scan_together(Together& all_of, Scratch& scratch) const
    requires(selects_together)
  {
    if (all_of.size == 0) return;
    const auto [size, count] = std::pair(std::exchange(all_of.size, 0), all_of.count);
    std::array<std::size_t, most_together> found;
    codec_.select_together(all_of.kernels, {all_of.queries.data(), size}, {all_of.probes.data(), size}, view(all()[all_of.list].codes),
                           all_of.first, count, {all_of.thresholds.data(), size}, scratch.places.data(), scratch.bounds.data(),
                           found.data());
    for (std::size_t q = 0; q < size; ++q) {
      const Found one{scratch.places.data() + count * q, scratch.bounds.data() + count * q};
      if (all_of.filter != nullptr) found[q] = passing(one, found[q], *all_of.filter, all_of.list);
      for (std::size_t i = 0; i < found[q]; ++i) all_of.best[q]->push(one.scores[i], handle_of(all_of.list, one.places[i]));
    }
  }

  void scan_tile(const KernelTable& kernels, const Query& query, const ListProbe& probe, const PlaceFilter* filter,
                 std::size_t first, std::size_t count, TopK& best, Scratch& scratch) const {
    const CodesView codes = view(all()[probe.list].codes);
    std::size_t found = 0;
    if constexpr (requires { codec_.select(kernels, query, probe.probe, codes, first, count, 0.0f, scratch.places.data(), scratch.bounds.data()); }) {
      found = codec_.select(kernels, query, probe.probe, codes, first, count, best.threshold(), scratch.places.data(),
                            scratch.bounds.data());
    } else {
      codec_.score(kernels, query, probe.probe, codes, first, count, scratch.scores.data());
      found = kernels.threshold_select(scratch.scores.data(), nullptr, Adjust::none, count, best.threshold(),
                                       scratch.places.data(), scratch.bounds.data());
      for (std::size_t i = 0; i < found; ++i) scratch.places[i] += static_cast<std::uint32_t>(first);
    }
    if (filter != nullptr) found = passing({scratch.places.data(), scratch.bounds.data()}, found, *filter, probe.list);
    if constexpr (C::staged) {
      if (!best.full()) largest_first(scratch, found, best.capacity());
      // The threshold rises as estimates come in: what passed it may not any more.
      for (std::size_t i = 0; i < found;) {
        std::array<std::uint32_t, refine_block> places;
        std::size_t passing = 0;
        for (; i < found && passing < refine_block; ++i)
          if (scratch.bounds[i] >= best.threshold()) places[passing++] = scratch.places[i];
        codec_.refine(kernels, query, probe.probe, codes, places.data(), passing, scratch.scores.data());
        for (std::size_t j = 0; j < passing; ++j) best.push(scratch.scores[j], handle_of(probe.list, places[j]));
      }
    } else {
      for (std::size_t i = 0; i < found; ++i) best.push(scratch.bounds[i], handle_of(probe.list, scratch.places[i]));
    }
  }

  // Of what was found, what the filter passes, moved to the front.
  static std::size_t passing(const Found& of, std::size_t found, const PlaceFilter& filter, std::size_t list) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < found; ++i) {
      of.places[kept] = of.places[i];
      of.scores[kept] = of.scores[i];
      kept += static_cast<std::size_t>(filter.passes(list, of.places[i]));
    }
    return kept;
  }

  // Until there is a threshold everything passes: little is looked at, or, where there are bounds, those first that will
  // make the threshold.
  static std::size_t step_with(const TopK& best, std::size_t step) {
    return C::staged || best.full() ? step : std::min(step, start_codes);
  }

  static void largest_first(Scratch& scratch, std::size_t found, std::size_t wanted) {
    if (wanted >= found) return;
    std::array<std::pair<float, std::uint32_t>, tile_codes> both;
    for (std::size_t i = 0; i < found; ++i) both[i] = {scratch.bounds[i], scratch.places[i]};
    const auto begin = both.begin();
    std::nth_element(begin, begin + static_cast<std::ptrdiff_t>(wanted), begin + static_cast<std::ptrdiff_t>(found),
                     std::greater<>());
    for (std::size_t i = 0; i < found; ++i) std::tie(scratch.bounds[i], scratch.places[i]) = both[i];
  }

  // The codes of a list that are a thread's share, in whole granules.
  static std::pair<std::size_t, std::size_t> range(std::size_t size, Share share) {
    const std::size_t granules = (size + C::granule - 1) / C::granule;
    const auto at = [&](std::size_t i) { return std::min(size, granules * i / share.count * C::granule); };
    return {at(share.index), at(share.index + 1)};
  }

  static constexpr std::size_t start_codes = 64;
  static_assert(start_codes % C::granule == 0 && tile_codes % C::granule == 0);

  C codec_;
  mutable WalkMemories<C> memories_;
};

}  // namespace annbench
