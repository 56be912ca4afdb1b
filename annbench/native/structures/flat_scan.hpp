// The flat structure: every row is scored. A batch shares each tile of codes between its queries, so that codes come from
// memory once a batch instead of once a query.
//
// `Codec` is any codec with layout().row_bytes(), prepare(query) and score(kernels, query, rows, ids, count, scores).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.hpp"
#include "structures/top_k.hpp"

namespace annbench {

inline constexpr std::size_t flat_tile_bytes = 16 << 10;  // of codes: half of L1, beside a query's
inline constexpr std::size_t flat_tile_rows = 512;

// Rows of a tile for rows of this size.
inline std::size_t flat_tile(std::size_t row_bytes) {
  return std::clamp<std::size_t>(flat_tile_bytes / row_bytes, 16, flat_tile_rows);
}

// The k nearest rows of each of `queries` (count × codec.dim()), nearest first; fewer where there are fewer than k rows.
// `rows` holds n rows. Throws what memory does.
template <class Codec>
std::vector<std::vector<Scored>> flat_scan(const KernelTable& kernels, const Codec& codec, const std::uint8_t* rows,
                                           std::size_t n, const float* queries, std::size_t count, std::size_t k) {
  const std::size_t bytes = codec.layout().row_bytes(), tile = flat_tile(bytes);
  std::vector<typename Codec::Query> prepared;
  prepared.reserve(count);
  for (std::size_t q = 0; q < count; ++q) prepared.push_back(codec.prepare(queries + q * codec.dim()));
  std::vector<TopK> best(count, TopK(std::min(k, n)));
  std::array<float, flat_tile_rows> scores, passing_scores;
  std::array<std::uint32_t, flat_tile_rows> passing;
  for (std::size_t first = 0; first < n; first += tile) {
    const std::size_t block = std::min(tile, n - first);
    for (std::size_t q = 0; q < count; ++q) {
      codec.score(kernels, prepared[q], rows + first * bytes, nullptr, block, scores.data());
      const std::size_t found = kernels.threshold_select(scores.data(), nullptr, Adjust::none, block,
                                                         best[q].threshold(), passing.data(), passing_scores.data());
      for (std::size_t i = 0; i < found; ++i)
        best[q].push(passing_scores[i], static_cast<std::uint32_t>(first) + passing[i]);
    }
  }
  std::vector<std::vector<Scored>> answers;
  answers.reserve(count);
  for (TopK& one : best) answers.push_back(one.take());
  return answers;
}

}  // namespace annbench
