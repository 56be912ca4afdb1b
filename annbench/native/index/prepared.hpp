// Queries as a composed index uses them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "index/composed.hpp"
#include "index/reranker.hpp"

namespace annbench {

// Row by row. Made by ComposedIndex::prepare, which keeps their memory.
struct ComposedIndex::Prepared {
  std::size_t count = 0;
  const float* raw = nullptr;  // count × dim_in, of length 1 for cosine: who asks holds them, or `unit`
  std::vector<float> unit;     // empty where queries are taken as they are
  std::vector<float> centred;  // the same less the mean; empty where there is none
  std::vector<double> lengths;  // squared, of queries without the mean; not with cosine where nothing is mapped
  LinearMap::Room room;
  RecurrentBinarizer::Room binarizer_room;
  std::vector<float> mapped;   // count × dim; empty where that is what `centred` or `raw` is
  std::vector<float> squares;  // of what is scanned with
  std::vector<float> constants, rerank_constants;
  std::vector<bool> zero;      // with cosine: at distance 1 from everything
  std::unique_ptr<Reranker::Room> rerank_room;

  const float* without_mean() const { return centred.empty() ? raw : centred.data(); }
  const float* scanned() const { return mapped.empty() ? without_mean() : mapped.data(); }
};

}  // namespace annbench
