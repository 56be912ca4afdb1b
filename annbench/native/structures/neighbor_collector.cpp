#include "structures/neighbor_collector.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace annbench {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
// Room for s candidates beyond k lets a threshold serve while the rows seen grow by the factor 1 + s/k. With s = 2k about
// the fewest candidates are stored and sorted in all, and the buffers of a block of queries stay in the cache.
constexpr std::size_t least_spare = 64;

std::size_t capacity_for(std::size_t k) { return k + std::max(2 * k, least_spare); }

// Conversions that keep an enclosure an enclosure: at least one unit in the last place further out than the nearest
// float, without asking which way that was rounded (a branch that no predictor learns). For value <= FLT_MAX.
float float_below(double value) {
  const float near = static_cast<float>(value);
  return near - (std::fabs(near) * std::numeric_limits<float>::epsilon() + std::numeric_limits<float>::min());
}

float float_above(double value) { return -float_below(-value); }

Adjust adjust_for(Metric metric) {
  switch (metric) {
    case Metric::euclidean: return Adjust::add;
    case Metric::cosine: return Adjust::multiply;
    case Metric::inner_product: break;
  }
  return Adjust::none;
}

}  // namespace

NeighborCollector::NeighborCollector(Metric metric, std::size_t k, const BaseRows& base, const QueryRows& queries,
                                     const NeighborLists& known, const KernelTable& kernels)
    : metric_(metric),
      adjust_(adjust_for(metric)),
      k_(k),
      capacity_(capacity_for(k)),
      base_(base),
      query_rows_(queries),
      kernels_(kernels),
      queries_(queries.count, Query{-infinity}),
      candidates_(queries.count * capacity_),
      neighbors_(queries.count * k),
      merged_(k + capacity_),
      rows_(capacity_),
      kernel_values_(capacity_) {
  for (std::size_t query = 0; query < queries_.size(); ++query) {
    Query& state = queries_[query];
    state.ties = known.ties_beyond_k[query];
    for (std::size_t j = query * k_; j < (query + 1) * k_ && known.ids[j] >= 0; ++j)
      neighbors_of(query)[state.neighbors++] = {known.distances[j], known.ids[j]};
    raise_to_kth(query);
  }
}

std::size_t NeighborCollector::bytes(std::size_t queries, std::size_t k, std::size_t offered_rows) {
  const std::size_t capacity = capacity_for(k);
  const std::size_t per_query = sizeof(Query) + capacity * sizeof(Candidate) + k * sizeof(Neighbor);
  const std::size_t shared = (k + capacity) * sizeof(Neighbor) + capacity * (sizeof(std::uint32_t) + sizeof(double)) +
                             offered_rows * (sizeof(std::uint32_t) + sizeof(float));
  return queries * per_query + shared;
}

void NeighborCollector::offer(const float* scores, std::size_t first, std::size_t count, double error_slope,
                              double error_constant) {
  selected_.resize(count);
  selected_values_.resize(count);
  const float* terms = adjust_ == Adjust::none ? nullptr : base_.terms + first;
  for (std::size_t query = 0; query < queries_.size(); ++query) {
    Query& state = queries_[query];
    const double epsilon = error_slope * std::sqrt(query_rows_.squared_norms[query]) + error_constant;
    float limit = float_below(state.threshold - epsilon);
    const std::size_t found = kernels_.threshold_select(scores + query * count, terms, adjust_, count, limit,
                                                        selected_.data(), selected_values_.data());
    for (std::size_t i = 0; i < found; ++i) {
      if (selected_values_[i] < limit) continue;
      const double score = selected_values_[i];
      candidates_of(query)[state.candidates++] = {float_below(score - epsilon), float_above(score + epsilon),
                                                  static_cast<std::uint32_t>(first) + selected_[i]};
      if (state.candidates == capacity_) {
        make_room(query);
        limit = float_below(state.threshold - epsilon);
      }
    }
  }
}

void NeighborCollector::finish(const NeighborLists& lists) {
  for (std::size_t query = 0; query < queries_.size(); ++query) {
    if (queries_[query].candidates >= k_) drop_hopeless(query);
    score_exactly(query);
    const Query& state = queries_[query];
    Neighbor* neighbors = neighbors_of(query);
    std::sort(neighbors, neighbors + state.neighbors);
    for (std::size_t j = 0; j < k_; ++j) {
      const bool present = j < state.neighbors;
      lists.ids[query * k_ + j] = present ? neighbors[j].id : -1;
      lists.distances[query * k_ + j] = present ? neighbors[j].distance : infinity;
    }
    lists.ties_beyond_k[query] = state.ties;
  }
}

void NeighborCollector::make_room(std::size_t query) {
  drop_hopeless(query);
  if (capacity_ - queries_[query].candidates < (capacity_ - k_) / 2) score_exactly(query);
}

// k candidates score at least the k-th largest lower end; whatever cannot reach that is out, ties included.
void NeighborCollector::drop_hopeless(std::size_t query) {
  Query& state = queries_[query];
  Candidate* begin = candidates_of(query);
  Candidate* end = begin + state.candidates;
  std::nth_element(begin, begin + (k_ - 1), end,
                   [](const Candidate& a, const Candidate& b) { return a.lower > b.lower; });
  state.threshold = std::max(state.threshold, static_cast<double>(begin[k_ - 1].lower));
  const double threshold = state.threshold;
  end = std::remove_if(begin, end, [threshold](const Candidate& c) { return static_cast<double>(c.upper) < threshold; });
  state.candidates = static_cast<std::size_t>(end - begin);
}

void NeighborCollector::score_exactly(std::size_t query) {
  Query& state = queries_[query];
  const std::size_t count = state.candidates;
  const Candidate* candidates = candidates_of(query);
  for (std::size_t i = 0; i < count; ++i) rows_[i] = candidates[i].row;
  const auto kernel = metric_ == Metric::euclidean ? kernels_.exact_squared_l2 : kernels_.exact_dot;
  kernel(query_rows_.values + query * base_.dim, base_.values, base_.dim, rows_.data(), count, kernel_values_.data());
  for (std::size_t i = 0; i < count; ++i)
    merged_[i] = {distance_of(query, rows_[i], kernel_values_[i]), base_.first_id + rows_[i]};
  state.candidates = 0;
  merge(query, count);
  raise_to_kth(query);
}

// Keeps the k best of the list and the first `scored` of merged_, and counts those dropped at exactly the k-th
// distance. Earlier ties still count only while the k-th distance stays what it was.
void NeighborCollector::merge(std::size_t query, std::size_t scored) {
  Query& state = queries_[query];
  Neighbor* neighbors = neighbors_of(query);
  std::copy(neighbors, neighbors + state.neighbors, merged_.begin() + static_cast<std::ptrdiff_t>(scored));
  const double kth_before =
      state.neighbors == k_ ? std::max_element(neighbors, neighbors + k_)->distance : infinity;
  const std::size_t total = scored + state.neighbors;
  const auto begin = merged_.begin(), end = begin + static_cast<std::ptrdiff_t>(total);
  if (total > k_) {
    const auto kth = begin + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(begin, kth, end);
    const double distance = kth->distance;
    if (distance != kth_before) state.ties = 0;
    state.ties += std::count_if(kth + 1, end, [distance](const Neighbor& n) { return n.distance == distance; });
  }
  state.neighbors = std::min(total, k_);
  std::copy(begin, begin + static_cast<std::ptrdiff_t>(state.neighbors), neighbors);
}

void NeighborCollector::raise_to_kth(std::size_t query) {
  Query& state = queries_[query];
  if (state.neighbors < k_) return;
  const Neighbor* neighbors = neighbors_of(query);
  const double kth = std::max_element(neighbors, neighbors + k_)->distance;
  state.threshold = std::max(state.threshold, score_below(query, kth));
}

// The stored distance: euclidean ‖x − q‖, cosine 1 − cos (1 when either vector is zero), inner product −q·x.
double NeighborCollector::distance_of(std::size_t query, std::uint32_t row, double kernel_value) const {
  switch (metric_) {
    case Metric::euclidean: return std::sqrt(kernel_value);
    case Metric::cosine: {
      // One square root of the product: then a vector and itself are at exactly 0.
      const double norms = std::sqrt(query_rows_.squared_norms[query] * base_.squared_norms[row]);
      return norms > 0 ? std::max(0.0, 1.0 - kernel_value / norms) : 1.0;
    }
    case Metric::inner_product: break;
  }
  return 0.0 - kernel_value;
}

// What a distance amounts to as a score: euclidean (‖q‖² − d²)/2 = q·x − ½‖x‖², cosine 1 − d, inner product −d.
// A little less, so that the rounding of these very expressions (a few units of 2⁻⁵³) cannot rule out a tie.
double NeighborCollector::score_below(std::size_t query, double distance) const {
  constexpr double rounding = 0x1p-50;
  switch (metric_) {
    case Metric::euclidean: {
      const double squared_norm = query_rows_.squared_norms[query], squared = distance * distance;
      return 0.5 * (squared_norm - squared) - rounding * (squared_norm + squared);
    }
    case Metric::cosine: return 1.0 - distance - rounding * (1.0 + distance);
    case Metric::inner_product: break;
  }
  return -distance;
}

void squared_norms(const float* rows, std::size_t count, std::size_t dim, double* norms, const KernelTable& kernels) {
  const std::uint32_t itself = 0;
  for (std::size_t i = 0; i < count; ++i) kernels.exact_dot(rows + i * dim, rows + i * dim, dim, &itself, 1, norms + i);
}

}  // namespace annbench
