#include "structures/graph_builder.hpp"

#include <algorithm>
#include <utility>

#include "support/prefetch.hpp"
#include "support/require.hpp"
#include "support/thread_pool.hpp"

namespace annbench {
namespace {

constexpr std::size_t batch_work = 65536;  // candidates of a batch at most, so that it is soon done
constexpr std::size_t least_batch = 64;
constexpr std::size_t cut_at_once = 1 << 14, reached_at_once = 1 << 18, repaired_at_once = 64;
constexpr std::size_t scanned_at_once = 1 << 24;  // codes, as the nearest of a query are found among all
constexpr std::size_t least_asked = 8, most_asked = 256;  // queries at once
constexpr std::size_t query_sight = 200;  // the nearest of a query, which get ways to each other
constexpr std::size_t repair_sight = 64;  // nodes near an unreachable one that are asked for room

std::size_t wide_degree(std::size_t degree) { return degree + (degree + 3) / 4; }

}  // namespace

HalfVectors::HalfVectors(std::size_t nodes, std::size_t dim, float scale)
    : nodes_(nodes), rows_(dim, FloatType::float16, FloatScore::squared_l2, 1, scale), values_(rows_.bytes(0, nodes)) {}

void HalfVectors::read(std::uint32_t node, float* vector) const { rows_.decode({values_.data(), nullptr}, node, 1, vector); }

void HalfVectors::ask_for(std::uint32_t node) const { prefetch(values_.data() + rows_.bytes(0, node), rows_.bytes(0, 1)); }

void HalfVectors::put(std::size_t first, const float* vectors, std::size_t count) {
  require(first <= nodes_ && count <= nodes_ - first, "there are no such nodes");
  rows_.encode(vectors, nullptr, nullptr, count, {values_.data(), nullptr}, first);
}

GraphBuilder::GraphBuilder(std::shared_ptr<const NodeVectors> vectors, Near near, const GraphSettings& settings,
                           std::vector<std::uint32_t> order, std::size_t entries, const KernelTable& kernels,
                           TrainingQueries queries)
    : vectors_(std::move(vectors)), near_(std::move(near)), settings_(settings), kernels_(kernels),
      queries_(std::move(queries)), order_(std::move(order)), wide_(0, 1), graph_(0, settings.degree), entries_(entries) {
  require(size() <= Graph::max_nodes, "a graph has at most 2^31 nodes");
  require(settings.degree >= 1 && settings.degree <= Graph::max_degree, "a node has 1 to 1024 links");
  require(settings.alpha >= 1 && settings.alpha <= 10, "alpha must be 1 to 10");
  require(settings.candidates >= 2 && settings.candidates <= 4096, "links are chosen among 2 to 4096 candidates");
  require(settings.query_links < settings.degree, "links for queries leave room for another one in each row");
  require(entries <= size() && (entries > 0 || size() == 0), "a search needs an entry to begin at");
  std::vector<bool> named(size());
  for (const std::uint32_t node : order_) {
    require(node < size() && !named[node], "the order names every node once");
    named[node] = true;
  }
  wide_ = Graph(size(), wide_degree(settings.degree));
  settled_.resize(size());
  wide_.entries.assign(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(entries));
}

bool GraphBuilder::step(std::size_t threads) {
  switch (phase_) {
    case Phase::link:
      if (linked_ < size()) {
        link_batch(threads);
        return true;
      }
      graph_ = Graph(size(), settings_.degree);
      graph_.entries = std::move(wide_.entries);
      std::ranges::sort(graph_.entries);
      phase_ = Phase::cut;
      return true;
    case Phase::cut:
      cut_rows(threads);
      if (cut_ < size()) return true;
      wide_ = Graph(0, 1);
      if (settings_.query_links == 0 || size() == 0) queries_.count = 0;
      if (queries_.count > 0) query_links_.emplace(*vectors_, kernels_, graph_, settings_.query_links);
      phase_ = Phase::ask;
      return true;
    case Phase::ask:
      if (asked_ < queries_.count) {
        link_queries(threads);
        return true;
      }
      query_links_.reset();
      gap_links_.emplace(graph_, [this](const Graph& graph, std::span<const std::uint32_t> nodes, std::size_t sight,
                                        std::size_t workers) { return nearest_of(graph, nodes, sight, workers); });
      phase_ = Phase::fill;
      return true;
    case Phase::fill:
      if (gap_links_->step(graph_, threads)) return true;
      gap_links_.reset();
      ways_.begin(graph_);
      phase_ = Phase::reach;
      return true;
    case Phase::reach:
      if (!ways_.go_on(graph_, reached_at_once)) phase_ = Phase::repair;
      return true;
    case Phase::repair:
      repair_some(threads);
      if (next_ < size()) return true;
      phase_ = Phase::done;
      return false;
    case Phase::done: break;
  }
  return false;
}

void GraphBuilder::link_batch(std::size_t threads) {
  const std::size_t most = std::max(least_batch, batch_work / settings_.candidates);
  const std::size_t wanted = linked_ == 0 ? entries_ : std::clamp<std::size_t>(linked_ / new_share, 1, most);
  const auto batch = std::span<const std::uint32_t>(order_).subspan(linked_, std::min(wanted, size() - linked_));
  const auto near = near_(wide_, batch, std::max(settings_.candidates, near_sight), threads);
  const std::size_t measured = settings_.measured > 0 ? settings_.measured : settings_.candidates + settings_.candidates / 2;
  parallel_for(batch.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser();
    for (std::size_t i = begin; i < end; ++i) {
      const auto looked_at = std::span<const std::uint32_t>(near[i]).first(std::min(near[i].size(), measured));
      s.nodes.assign(looked_at.begin(), looked_at.end());
      s.measure(batch[i]);
      s.keep(settings_.candidates);
      s.choose(wide_.row(batch[i]).first(settings_.degree));
      settled_[batch[i]] = static_cast<std::uint16_t>(wide_.links(batch[i]).size());
    }
  });
  link_back(batch, threads);
  linked_ += batch.size();
}

void GraphBuilder::link_back(std::span<const std::uint32_t> batch, std::size_t threads) {
  LinksBack back;
  for (const std::uint32_t node : batch)
    for (const std::uint32_t to : wide_.links(node)) back.add(to, node);
  back.group();
  parallel_for(back.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser();
    for (std::size_t t = begin; t < end; ++t) {
      const std::uint32_t target = back.target(t);
      const auto before = wide_.links(target);
      s.nodes.assign(before.begin(), before.end());
      back.append_sources(t, s.nodes);
      const std::size_t settled = s.choose_where_needed(target, wide_.row(target), settings_.degree, settled_[target]);
      settled_[target] = static_cast<std::uint16_t>(settled);
    }
  });
}

void GraphBuilder::cut_rows(std::size_t threads) {
  const std::size_t count = std::min(cut_at_once, size() - cut_);
  parallel_for(count, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser();
    for (std::size_t node = cut_ + begin; node < cut_ + end; ++node) {
      const auto links = wide_.links(node);
      s.nodes.assign(links.begin(), links.end());
      s.choose_where_needed(static_cast<std::uint32_t>(node), graph_.row(node), settings_.degree, settled_[node]);
    }
  });
  cut_ += count;
}

void GraphBuilder::link_queries(std::size_t threads) {
  const std::size_t wanted = std::clamp(scanned_at_once / size(), least_asked, most_asked);
  const std::size_t count = std::min(wanted, queries_.count - asked_);
  query_links_->link(graph_, queries_.nearest(asked_, count, query_sight, threads), threads);
  asked_ += count;
}

// As near_ names them, or by what was measured where that says little of how near they are.
std::vector<std::vector<std::uint32_t>> GraphBuilder::nearest_of(const Graph& graph, std::span<const std::uint32_t> nodes,
                                                                 std::size_t sight, std::size_t threads) const {
  auto near = near_(graph, nodes, settings_.measured > 0 ? std::max(sight, near_sight) : sight, threads);
  if (settings_.measured == 0) return near;
  parallel_for(nodes.size(), threads, [&](std::size_t begin, std::size_t end, std::size_t) {
    LinkChooser s = chooser();
    for (std::size_t i = begin; i < end; ++i) {
      s.nodes = std::move(near[i]);
      s.measure(nodes[i]);
      s.keep(sight);
      near[i].clear();
      for (std::size_t place = 0; place < s.measured(); ++place) near[i].push_back(s.nearest(place));
    }
  });
  return near;
}

// A node that no search can come to gets a link from a near one that one can.
void GraphBuilder::repair_some(std::size_t threads) {
  for (std::size_t done = 0; next_ < size() && done < repaired_at_once; ++next_) {
    if (ways_.reaches(next_)) continue;
    ways_.lead_to(graph_, next_, near_(graph_, {&next_, 1}, repair_sight, threads).front(), roomy_);
    ++done;
    ++repaired_;
  }
}

Graph GraphBuilder::take() {
  require(phase_ == Phase::done || size() == 0, "the graph is not made yet");
  vectors_.reset();
  order_ = {};
  settled_ = {};
  ways_ = {};
  return std::exchange(graph_, Graph(0, 1));
}

}  // namespace annbench
