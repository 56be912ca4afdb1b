// The exact k nearest neighbours of a block of queries, from float32 scores whose error is bounded.
//
// A score is larger when nearer. For every row that is offered, `score ± epsilon` encloses what the float64 distance
// of that row amounts to as a score (metric by metric, `score_below` below). Rows that could be among the k, or tie with
// the k-th, are kept; their float64 distances decide, ties by the lower id. So the outcome is that of computing every
// distance in float64, whatever the float32 scores were, and in whatever order or blocks the rows came.
//
// A query holds its k best so far (exact) and a bounded buffer of candidates (enclosed). A full buffer first drops the
// candidates that cannot be among the k; when too few go, the buffer is scored in float64 and merged. Merging is valid
// at any time because (distance, id) is a total order, so duplicates cost time but neither exactness nor memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"

namespace annbench {

enum class Metric : int { euclidean = 0, cosine = 1, inner_product = 2 };

// Consecutive rows of the base, in memory. Squared norms are float64; `terms` is what threshold_select adjusts by.
struct BaseRows {
  const float* values = nullptr;
  const double* squared_norms = nullptr;
  const float* terms = nullptr;
  std::size_t count = 0;
  std::size_t dim = 0;
  std::int64_t first_id = 0;
};

// A block of queries, with float64 squared norms.
struct QueryRows {
  const float* values = nullptr;
  const double* squared_norms = nullptr;
  std::size_t count = 0;
};

// Per query, k neighbours sorted by (distance, id), padded with (inf, −1); and how many more rows lie at exactly the
// distance of the k-th.
struct NeighborLists {
  std::int64_t* ids = nullptr;
  double* distances = nullptr;
  std::int64_t* ties_beyond_k = nullptr;
};

class NeighborCollector {
 public:
  // Starts from `known`, the lists over rows that were offered before, which is copied. The other arrays are
  // referred to until the collector dies.
  NeighborCollector(Metric metric, std::size_t k, const BaseRows& base, const QueryRows& queries,
                    const NeighborLists& known, const KernelTable& kernels);

  // Offers rows [first, first + count) of the base: scores is (queries.count, count), row-major, before adjustment.
  // epsilon of query i is error_slope·‖query i‖ + error_constant; infinity keeps every row.
  void offer(const float* scores, std::size_t first, std::size_t count, double error_slope, double error_constant);

  // Scores what is still buffered and writes the lists.
  void finish(const NeighborLists& lists);

  // Bytes that a collector allocates, at most.
  static std::size_t bytes(std::size_t queries, std::size_t k, std::size_t offered_rows);

 private:
  struct Candidate {
    float lower, upper;
    std::uint32_t row;
  };
  struct Neighbor {
    double distance;
    std::int64_t id;
    bool operator<(const Neighbor& other) const {
      return distance != other.distance ? distance < other.distance : id < other.id;
    }
  };
  struct Query {
    double threshold;  // the k-th best score so far is at least this
    std::size_t candidates = 0, neighbors = 0;
    std::int64_t ties = 0;
  };

  Candidate* candidates_of(std::size_t query) { return candidates_.data() + query * capacity_; }
  Neighbor* neighbors_of(std::size_t query) { return neighbors_.data() + query * k_; }
  void make_room(std::size_t query);
  void drop_hopeless(std::size_t query);
  void score_exactly(std::size_t query);
  void merge(std::size_t query, std::size_t scored);
  void raise_to_kth(std::size_t query);
  double distance_of(std::size_t query, std::uint32_t row, double kernel_value) const;
  double score_below(std::size_t query, double distance) const;

  Metric metric_;
  Adjust adjust_;
  std::size_t k_, capacity_;
  BaseRows base_;
  QueryRows query_rows_;
  const KernelTable& kernels_;
  std::vector<Query> queries_;
  std::vector<Candidate> candidates_;
  std::vector<Neighbor> neighbors_;
  std::vector<Neighbor> merged_;
  std::vector<std::uint32_t> rows_;
  std::vector<double> kernel_values_;
  std::vector<std::uint32_t> selected_;
  std::vector<float> selected_values_;
};

// Σ x² of every row, in float64 lanes as exact_dot adds them; NaN or infinity exactly when the row holds one.
void squared_norms(const float* rows, std::size_t count, std::size_t dim, double* norms, const KernelTable& kernels);

}  // namespace annbench
