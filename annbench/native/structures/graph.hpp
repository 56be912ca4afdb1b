// A directed graph over the codes of one list: which other codes a search looks at after it has looked at one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "support/aligned_buffer.hpp"

namespace annbench {

// Links that are not in memory. Thread-safe.
class StoredLinks {
 public:
  virtual ~StoredLinks() = default;

  // The rows of several nodes, each to where its pointer says; every link in them is a node or Graph::none. Throws.
  struct Request {
    std::uint32_t node;
    std::uint32_t* row;
  };
  virtual void read(std::span<const Request> requests) const = 0;
};

// Nodes are places in the list. A node has at most degree() links, which lie side by side, nearest first where a builder
// has made them and those for training queries behind, filled up with `none`. A dead node is one that a search
// goes through and never finds.
class Graph {
 public:
  static constexpr std::uint32_t none = 0xffffffffu;
  static constexpr std::size_t max_nodes = std::size_t{1} << 31;
  static constexpr std::size_t max_degree = 1024;

  Graph(std::size_t nodes, std::size_t degree) : nodes_(nodes), degree_(degree), links_(nodes * degree) {
    std::fill_n(links_.data(), links_.size(), none);
  }
  // One whose links are elsewhere: it has no rows, and does not change.
  Graph(std::size_t nodes, std::size_t degree, std::unique_ptr<const StoredLinks> stored)
      : nodes_(nodes), degree_(degree), stored_(std::move(stored)) {}

  // Null where links are in memory.
  const StoredLinks* stored() const { return stored_.get(); }

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

  bool living(std::size_t node) const { return dead_ == 0 || (graves_[node / 64] >> node % 64 & 1) == 0; }
  std::size_t dead() const { return dead_; }
  // A bit a node, of the dead; null where there are none.
  const std::uint64_t* graves() const { return dead_ == 0 ? nullptr : graves_.data(); }
  // From now on a node that lives is dead; prepare() was called for as many nodes as there are.
  void bury(std::size_t node) noexcept {
    graves_[node / 64] |= std::uint64_t{1} << node % 64;
    ++dead_;
  }

  // Memory for `nodes` nodes, and with `spare` half as many again where there was not enough: grow() and bury() need no
  // more then. Throws std::bad_alloc and leaves everything as it was.
  void prepare(std::size_t nodes, bool spare) {
    const std::size_t room = degree_ == 0 ? 0 : links_.size() / degree_;
    AlignedBuffer<std::uint32_t> larger;
    const std::size_t wanted = nodes <= room ? 0 : spare && nodes_ > 0 ? std::max(nodes, nodes_ + nodes_ / 2) : nodes;
    if (wanted > 0) {
      larger = AlignedBuffer<std::uint32_t>(wanted * degree_);
      std::fill_n(std::copy_n(links_.data(), nodes_ * degree_, larger.data()), (wanted - nodes_) * degree_, none);
    }
    if (graves_.size() * 64 < std::max(nodes, wanted)) graves_.resize((std::max(nodes, wanted) + 63) / 64);
    if (wanted > 0) links_ = std::move(larger);
  }
  // Further nodes without links, as far as prepare() has made room.
  void grow(std::size_t nodes) noexcept { nodes_ = nodes; }
  // Gives back the memory that is in reserve. Throws std::bad_alloc and leaves everything as it was.
  void shrink() {
    if (links_.size() > nodes_ * degree_) {
      AlignedBuffer<std::uint32_t> smaller(nodes_ * degree_);
      std::copy_n(links_.data(), smaller.size(), smaller.data());
      links_ = std::move(smaller);
    }
    if (dead_ == 0) graves_ = {};
    entries.shrink_to_fit();
  }

  std::size_t nbytes() const {
    return (links_.size() + entries.capacity()) * sizeof(std::uint32_t) + graves_.capacity() * sizeof(std::uint64_t);
  }

 private:
  std::size_t nodes_, degree_;
  AlignedBuffer<std::uint32_t> links_;
  std::unique_ptr<const StoredLinks> stored_;
  std::vector<std::uint64_t> graves_;  // a bit a node; empty until one may die
  std::size_t dead_ = 0;
};

}  // namespace annbench
