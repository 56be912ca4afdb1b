// The parts of a composed index that stay in its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "index/reranker.hpp"
#include "io/stored_sections.hpp"
#include "structures/code_list.hpp"
#include "structures/graph.hpp"

namespace annbench {

class OnDisk {
 public:
  // While the index is loaded: checks a section, which then stays in the file. Throw IndexFileError.
  //
  // The first part of the finer copy, list by list as `reranker` says; the second, a few bytes a vector at most, belongs
  // into memory.
  void keep_rerank(IndexFileReader& reader, const Section& section, const Reranker& reranker,
                   std::span<const std::uint64_t> list_sizes);
  // Rows of a graph over `codes` codes. The graph that comes out refers to this object.
  Graph keep_graph(IndexFileReader& reader, const Section& section, std::uint64_t codes);
  // Goes on with the reader's file.
  void open(IndexFileReader& reader, std::size_t cache_bytes) { sections_.open(reader, cache_bytes); }

  bool has_rerank() const { return rerank_.has_value(); }
  // Gives what queries have found the scores of the finer copy and sorts it. Query q is at queries + q·stride. What is
  // read of the file is read for several queries together. Throws IndexFileError, std::bad_alloc.
  void rescore(const KernelTable& kernels, const Reranker& reranker, const std::vector<CodeList>& lists,
               const float* queries, std::size_t stride, std::span<std::vector<Scored>> found) const;
  void read_links(std::size_t degree, std::size_t nodes, std::span<const StoredLinks::Request> requests) const;

  std::size_t cache_bytes() const { return sections_.cache_bytes(); }
  // Of what is known about the sections: checksums of their blocks, where lists begin.
  std::size_t table_bytes() const { return sections_.checksum_bytes() + list_begins_.size() * sizeof(std::uint64_t); }
  // Bytes of what stays in the file.
  std::vector<std::pair<std::string, std::size_t>> nbytes() const;
  StoredCounts counts() const { return sections_.counts(); }
  void reset_counts() { sections_.reset_counts(); }

 private:
  StoredSections sections_;
  std::optional<std::size_t> rerank_, links_;  // their numbers
  std::vector<std::uint64_t> list_begins_;     // in the section of the finer copy
};

}  // namespace annbench
