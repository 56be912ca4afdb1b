// What the rows of a graph in a file must be, whether they are read into memory or stay in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "io/index_file.hpp"
#include "structures/graph.hpp"

namespace annbench {

// Rejects the section `links` of a file at the first link that is no node, or that comes after the end of its row. Is
// given all of the section's bytes in their order, in stretches of whole links.
class LinkChecks {
 public:
  LinkChecks(const IndexFileReader& reader, std::size_t nodes, std::size_t degree)
      : reader_(reader), nodes_(nodes), degree_(degree) {}

  void operator()(std::span<const unsigned char> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint32_t)) {
      std::uint32_t link;
      std::memcpy(&link, bytes.data() + at, sizeof(link));
      if (column_ == 0) ended_ = false;
      ended_ = ended_ || link == Graph::none;
      if (ended_ ? link != Graph::none : link >= nodes_)
        reader_.reject("links", "node " + std::to_string(row_) + " has a link to " + std::to_string(link));
      if (++column_ < degree_) continue;
      column_ = 0;
      ++row_;
    }
  }

 private:
  const IndexFileReader& reader_;
  std::size_t nodes_, degree_, row_ = 0, column_ = 0;
  bool ended_ = false;
};

}  // namespace annbench
