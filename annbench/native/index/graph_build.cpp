// How a composed index gets a graph.
#include <limits>
#include <mutex>
#include <utility>

#include "index/composed.hpp"
#include "index/stored_vectors.hpp"
#include "structures/graph_builder.hpp"
#include "support/require.hpp"

namespace annbench {

bool ComposedIndex::keeps_vectors() const {
  if (settings_.rerank == RerankKind::float16 || settings_.rerank == RerankKind::float32) return true;
  const bool floats = settings_.codec.kind == CodecKind::float32 || settings_.codec.kind == CodecKind::float16;
  return settings_.rerank == RerankKind::none && floats && settings_.mean.empty() && settings_.query_map.empty() &&
         settings_.rotation == 0 && !settings_.normalise;
}

std::unique_ptr<GraphBuilder> ComposedIndex::graph_builder(const GraphSettings& settings, std::vector<std::uint32_t> order,
                                                           std::size_t entries,
                                                           std::shared_ptr<const HalfVectors> halves,
                                                           std::span<const float> queries) const {
  require_in_memory();
  std::shared_lock lock(mutex_);
  require(nlist() == 1 && settings_.centroids.empty(), "a graph is made over one list without a centroid");
  require(order.size() == size_, "a graph has a node a vector");
  require(halves == nullptr ? reranker_ != nullptr || keeps_vectors() : halves->dim() == settings_.dim_in,
          "links are chosen by whole vectors");
  require(settings.query_links == 0 || !queries.empty(), "there are no queries to make links for");
  require(queries.size() % settings_.dim_in == 0, "queries have dim_in values each");
  std::shared_ptr<const NodeVectors> vectors = std::move(halves);
  if (vectors == nullptr) vectors = std::make_shared<Nodes>(*this);
  GraphSettings chosen = settings;
  if (settings_.metric == Metric::inner_product) {
    vectors = std::make_shared<Directions>(std::move(vectors));
    chosen.measured = std::numeric_limits<std::size_t>::max();
  }
  const auto near = [this, &from = *vectors](const Graph& graph, std::span<const std::uint32_t> nodes, std::size_t sight,
                                             std::size_t threads) {
    std::shared_lock locked(mutex_);
    require(size_ == graph.size(), "a graph has a node a vector");
    std::vector<float> originals(nodes.size() * from.dim());
    for (std::size_t i = 0; i < nodes.size(); ++i) from.read(nodes[i], originals.data() + i * from.dim());
    return near_nodes(graph, originals.data(), nodes.size(), sight, threads);
  };
  const auto nearest = [this, queries](std::size_t first, std::size_t count, std::size_t sight, std::size_t threads) {
    std::shared_lock locked(mutex_);
    return nearest_nodes(queries.data() + first * settings_.dim_in, count, sight, threads);
  };
  return std::make_unique<GraphBuilder>(std::move(vectors), near, chosen, std::move(order), entries, kernels_,
                                        TrainingQueries{queries.size() / settings_.dim_in, nearest});
}

void ComposedIndex::set_graph(Graph graph) {
  require_in_memory();
  const std::lock_guard changing(changing_);
  const auto lock = stop_searches();
  require(nlist() == 1 && settings_.centroids.empty(), "a graph is made over one list without a centroid");
  require(graph.size() == size_, "a graph has a node a vector");
  require(graph.degree() <= Graph::max_degree, "a node has at most 1024 links");
  graph_ = std::move(graph);
  updates_.reset();
}

}  // namespace annbench
