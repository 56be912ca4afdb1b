// The vectors behind the nodes of an index's graph.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "index/composed.hpp"
#include "index/reranker.hpp"
#include "support/prefetch.hpp"
#include "support/wide_dot.hpp"

namespace annbench {

// What the index keeps of vectors: what they are re-ranked with, else their codes.
class ComposedIndex::Nodes final : public NodeVectors {
 public:
  explicit Nodes(const ComposedIndex& index) : index_(index) {}

  std::size_t dim() const override {
    return index_.reranker_ == nullptr ? index_.settings_.dim : index_.settings_.dim_in;
  }
  void read(std::uint32_t node, float* vector) const override {
    if (index_.reranker_ == nullptr) return index_.lists_->decode(0, node, vector);
    index_.reranker_->decode(index_.lists_->all().front(), node, vector);
    const std::vector<float>& mean = index_.settings_.mean;
    for (std::size_t j = 0; index_.reranker_->centred() && j < mean.size(); ++j) vector[j] += mean[j];
  }
  void ask_for(std::uint32_t node) const override {
    if (index_.reranker_ == nullptr) return;
    const std::size_t begin = index_.reranker_->code_bytes(0, node);
    prefetch(index_.lists_->all().front().rerank[0].data() + begin, index_.reranker_->code_bytes(0, node + 1) - begin);
  }

 private:
  const ComposedIndex& index_;
};

// Vectors scaled to length 1.
class Directions final : public NodeVectors {
 public:
  explicit Directions(std::shared_ptr<const NodeVectors> vectors) : vectors_(std::move(vectors)) {}

  std::size_t dim() const override { return vectors_->dim(); }
  void read(std::uint32_t node, float* vector) const override {
    vectors_->read(node, vector);
    const double squares = wide_dot(vector, vector, dim());
    const double inverse = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (std::size_t j = 0; j < dim(); ++j) vector[j] = static_cast<float>(vector[j] * inverse);
  }
  void ask_for(std::uint32_t node) const override { vectors_->ask_for(node); }
  float squared_length(std::uint32_t node) const override {
    std::vector<float> vector(dim());
    vectors_->read(node, vector.data());
    return dot(vector.data(), vector.data(), vector.size());
  }

 private:
  std::shared_ptr<const NodeVectors> vectors_;
};

}  // namespace annbench
