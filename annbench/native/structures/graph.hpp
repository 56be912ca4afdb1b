// A directed graph over the codes of one list: which other codes a search looks at after it has looked at one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/aligned_buffer.hpp"

namespace annbench {

// Nodes are places in the list. A node has at most degree() links, which lie side by side, nearest first where a builder
// has made them, filled up with `none`.
class Graph {
 public:
  static constexpr std::uint32_t none = 0xffffffffu;
  static constexpr std::size_t max_nodes = std::size_t{1} << 31;
  static constexpr std::size_t max_degree = 1024;

  Graph(std::size_t nodes, std::size_t degree) : nodes_(nodes), degree_(degree), links_(nodes * degree) {
    std::fill_n(links_.data(), links_.size(), none);
  }

  std::size_t size() const { return nodes_; }
  std::size_t degree() const { return degree_; }

  std::span<std::uint32_t> row(std::size_t node) { return {links_.data() + node * degree_, degree_}; }
  std::span<const std::uint32_t> row(std::size_t node) const { return {links_.data() + node * degree_, degree_}; }
  std::span<const std::uint32_t> links(std::size_t node) const {
    const auto all = row(node);
    return all.first(static_cast<std::size_t>(std::ranges::find(all, none) - all.begin()));
  }

  // Where searches begin; at least one node of a graph that has any.
  std::vector<std::uint32_t> entries;

  std::size_t nbytes() const { return (links_.size() + entries.size()) * sizeof(std::uint32_t); }

 private:
  std::size_t nodes_, degree_;
  AlignedBuffer<std::uint32_t> links_;
};

}  // namespace annbench
