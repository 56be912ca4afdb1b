// How a composed index with a graph is added to and removed from.
#include <algorithm>
#include <mutex>
#include <new>

#include "index/composed.hpp"
#include "index/stored_vectors.hpp"
#include "structures/graph_updates.hpp"
#include "support/require.hpp"

namespace annbench {
namespace {

constexpr std::size_t most_new = 512;    // nobody searches while so many are coded
constexpr std::size_t clear_share = 10;  // dead nodes are cleared out when they are more than one in so many

}  // namespace

void ComposedIndex::set_growth(const GraphGrowth& growth) {
  require(growth.alpha >= 1 && growth.alpha <= 10, "alpha must be 1 to 10");
  require(growth.candidates >= 2 && growth.candidates <= 4096, "links are chosen among 2 to 4096 candidates");
  require(growth.entries >= 1 && growth.entries <= 4096, "a graph has 1 to 4096 entries");
  const std::lock_guard changing(changing_);
  growth_ = growth;
}

std::vector<std::uint32_t> ComposedIndex::links() const {
  std::shared_lock lock(mutex_);
  if (!graph_) return {};
  if (const StoredLinks* stored = graph_->stored()) {
    std::vector<std::uint32_t> all(graph_->size() * graph_->degree());
    std::vector<StoredLinks::Request> requests;
    for (std::uint32_t node = 0; node < graph_->size(); ++node)
      requests.push_back({node, all.data() + node * graph_->degree()});
    stored->read(requests);
    return all;
  }
  const std::uint32_t* first = graph_->row(0).data();
  return {first, first + graph_->size() * graph_->degree()};
}

std::size_t ComposedIndex::degree() const {
  std::shared_lock lock(mutex_);
  return graph_ ? graph_->degree() : 0;
}

void ComposedIndex::need_updates() {
  if (updates_) return;
  const bool by_direction = settings_.metric == Metric::inner_product;
  std::shared_ptr<const NodeVectors> vectors = std::make_shared<Nodes>(*this);
  if (by_direction) vectors = std::make_shared<Directions>(std::move(vectors));
  auto made = std::make_unique<GraphUpdates>(*graph_, std::move(vectors), kernels_, by_direction);
  const auto lock = stop_searches();
  updates_ = std::move(made);
}

void ComposedIndex::add_nodes(const float* originals, const float* mapped, const std::int64_t* ids, std::size_t n,
                              std::size_t threads) {
  const std::size_t before = graph_->size();
  require(n <= Graph::max_nodes - before, "a graph has at most 2^31 nodes");
  need_updates();
  if (!updates_->ways_known()) {
    Ways ways(*graph_);
    const auto lock = stop_searches();
    updates_->take(std::move(ways), *graph_);
  }
  try {
    for (std::size_t done = 0, count; done < n; done += count) {
      count = std::min({n - done, most_new, std::max<std::size_t>(1, graph_->size() / new_share)});
      add_batch(originals + done * settings_.dim_in, mapped + done * settings_.dim, ids + done, count, threads);
    }
  } catch (...) {
    const auto lock = stop_searches();
    for (std::size_t node = before; node < graph_->size(); ++node) graph_->bury(node);
    size_ -= graph_->size() - before;
    places_.clear();
    places_known_ = false;
    throw;
  }
}

void ComposedIndex::add_batch(const float* originals, const float* mapped, const std::int64_t* ids, std::size_t count,
                              std::size_t threads) {
  const std::size_t first = graph_->size();
  const std::vector<std::uint32_t> lists(count, 0);
  {
    const auto lock = stop_searches();
    updates_->prepare(*graph_, count);
    add_codes(originals, mapped, lists.data(), 1, ids, count, threads);
  }
  try {
    auto near = near_nodes(*graph_, originals, count, std::max(growth_.candidates, near_sight), threads);
    const Insertion insertion = updates_->plan(*graph_, growth_, std::move(near), threads);
    const auto lock = stop_searches();
    updates_->insert(*graph_, growth_, insertion);
    size_ += count;
  } catch (...) {
    const auto lock = stop_searches();
    forget_codes(0, first);
    throw;
  }
}

// Needs no lock that searches wait for where there is nothing to clear.
void ComposedIndex::clear_graph(std::size_t threads) {
  if (!graph_ || graph_->dead() == 0) return;
  need_updates();
  Clearing clearing = updates_->clear(*graph_, growth_, threads);
  const auto lock = stop_searches();
  CodeList& list = lists_->all().front();
  for (const auto& [from, to] : clearing.moves) {
    lists_->move(0, from, to);
    if (reranker_) reranker_->move(list, from, to);
    list.ids.move(from, to);
    if (!places_known_) continue;
    const auto [begin, end] = places_.equal_range(list.ids[to]);
    for (auto moved = begin; moved != end; ++moved)
      if (moved->second == handle_of(0, from)) moved->second = handle_of(0, to);
  }
  list.ids.truncate(clearing.graph.size());
  updates_->replace(*graph_, std::move(clearing));
}

void ComposedIndex::clear_when_due(std::size_t threads) {
  if (graph_->dead() * clear_share <= graph_->size()) return;
  try {
    clear_graph(threads);
  } catch (const std::bad_alloc&) {
    // What was to be removed is; the next removal tries again.
  }
}

// Of ids that are in places_.
void ComposedIndex::bury(const std::int64_t* ids, std::size_t n) {
  graph_->prepare(graph_->size(), false);
  for (std::size_t i = 0; i < n; ++i) {
    const auto [begin, end] = places_.equal_range(ids[i]);
    for (auto found = begin; found != end; ++found) graph_->bury(place_of(found->second));
    places_.erase(begin, end);
  }
  size_ = graph_->size() - graph_->dead();
}

}  // namespace annbench
