// Links of a stored graph that one search needs next.
//
// Which nodes a search expands depends on the scores of those that it expanded before; but the nearest that it knows of
// and has not expanded are mostly among them. So their links are read together, before they are needed: a disk answers
// several questions in the time of one. The search goes its way as if all links were in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "structures/graph.hpp"

namespace annbench {

class LinksAhead {
 public:
  static constexpr std::size_t most = 8;  // nodes

  explicit LinksAhead(std::size_t degree) : degree_(degree) {}

  // Adds to `requests` what there is to read before row() of the nodes' first; nothing where that was read.
  void need(std::span<const std::uint32_t> nodes, std::vector<StoredLinks::Request>& requests) {
    if (nodes.empty() || place_of(nodes.front()) < count_) return;
    rows_.resize(most * degree_);
    count_ = nodes.size();
    for (std::size_t i = 0; i < count_; ++i) {
      nodes_[i] = nodes[i];
      requests.push_back({nodes[i], rows_.data() + i * degree_});
    }
  }
  // The links of a node; read alone where need() did not foresee it.
  std::span<const std::uint32_t> row(const StoredLinks& stored, std::uint32_t node) {
    std::size_t place = place_of(node);
    if (place == count_) {
      rows_.resize(most * degree_);
      count_ = 0;
      const StoredLinks::Request request{node, rows_.data()};
      stored.read({&request, 1});
      nodes_[place = 0] = node;
      count_ = 1;
    }
    return std::span<const std::uint32_t>(rows_).subspan(place * degree_, degree_);
  }

 private:
  std::size_t place_of(std::uint32_t node) const {
    std::size_t i = 0;
    while (i < count_ && nodes_[i] != node) ++i;
    return i;
  }

  std::size_t degree_, count_ = 0;
  std::array<std::uint32_t, most> nodes_;
  std::vector<std::uint32_t> rows_;
};

}  // namespace annbench
