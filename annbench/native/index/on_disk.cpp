#include "index/on_disk.hpp"

#include <algorithm>
#include <cstring>

#include "index/link_checks.hpp"
#include "structures/inverted_lists.hpp"
#include "structures/nearest_first.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {
namespace {

constexpr std::size_t rows_at_once = 256, row_bytes_at_once = std::size_t{1} << 20;  // of the finer copy

class LinksOnDisk final : public StoredLinks {
 public:
  LinksOnDisk(const OnDisk& file, std::size_t nodes, std::size_t degree)
      : file_(file), nodes_(nodes), degree_(degree) {}
  void read(std::span<const Request> requests) const override { file_.read_links(degree_, nodes_, requests); }

 private:
  const OnDisk& file_;
  std::size_t nodes_, degree_;
};

}  // namespace

void OnDisk::keep_rerank(IndexFileReader& reader, const Section& section, const Reranker& reranker,
                         std::span<const std::uint64_t> list_sizes) {
  std::uint64_t begin = 0;
  for (const std::uint64_t size : list_sizes) {
    list_begins_.push_back(begin);
    begin += reranker.code_bytes(0, size);
  }
  rerank_ = sections_.keep(reader, section);
}

Graph OnDisk::keep_graph(IndexFileReader& reader, const Section& section, std::uint64_t codes) {
  const std::size_t degree = section.shape[1];
  links_ = sections_.keep(reader, section, LinkChecks(reader, codes, degree));
  return Graph(codes, degree, std::make_unique<LinksOnDisk>(*this, codes, degree));
}

void OnDisk::read_links(std::size_t degree, std::size_t nodes, std::span<const StoredLinks::Request> requests) const {
  const std::size_t row_bytes = degree * sizeof(std::uint32_t);
  std::vector<StoredRange> ranges;
  ranges.reserve(requests.size());
  for (const auto& [node, row] : requests)
    ranges.push_back({node * row_bytes, row_bytes, reinterpret_cast<std::uint8_t*>(row)});
  sections_.fetch(*links_, ranges);
  // Once more: whoever altered the file so that its checksums stayed right reaches no memory by it.
  for (const auto& [node, row] : requests)
    for (std::size_t i = 0; i < degree && row[i] != Graph::none; ++i)
      if (row[i] >= nodes)
        sections_.reject(*links_, "node " + std::to_string(node) + " has a link to " + std::to_string(row[i]));
}

void OnDisk::rescore(const KernelTable& kernels, const Reranker& reranker, const std::vector<CodeList>& lists,
                     const float* queries, std::size_t stride, std::span<std::vector<Scored>> found) const {
  // Stretches of what a query has found; their rows are read together.
  struct Stretch {
    std::size_t query, first, count, row;
  };
  const std::size_t row_bytes = reranker.code_bytes(0, 1), second_bytes = reranker.code_bytes(1, 1);
  std::size_t most = 0;
  for (const auto& one : found) most += one.size();
  most = std::min(most, std::clamp<std::size_t>(row_bytes_at_once / row_bytes, 1, rows_at_once));
  AlignedBuffer<std::uint8_t> rows(most * row_bytes), seconds(most * second_bytes);
  std::vector<Stretch> stretches;
  std::vector<StoredRange> ranges;
  ranges.reserve(most);
  const auto rescore_stretches = [&] {
    sections_.fetch(*rerank_, ranges);
    for (const auto& [query, first, count, row] : stretches)
      reranker.rescore_rows(kernels, queries + query * stride,
                            {rows.data() + row * row_bytes, seconds.data() + row * second_bytes},
                            std::span(found[query]).subspan(first, count));
    stretches.clear();
    ranges.clear();
  };
  for (std::size_t q = 0; q < found.size(); ++q)
    for (std::size_t done = 0, count; done < found[q].size(); done += count) {
      count = std::min(found[q].size() - done, most - ranges.size());
      stretches.push_back({q, done, count, ranges.size()});
      for (const Scored& one : std::span(found[q]).subspan(done, count)) {
        const std::size_t list = list_of(one.id), place = place_of(one.id), row = ranges.size();
        if (second_bytes > 0)
          std::memcpy(seconds.data() + row * second_bytes, lists[list].rerank[1].data() + place * second_bytes,
                      second_bytes);
        ranges.push_back({list_begins_[list] + place * row_bytes, row_bytes, rows.data() + row * row_bytes});
      }
      if (ranges.size() == most) rescore_stretches();
    }
  if (!ranges.empty()) rescore_stretches();
  NearestFirst order;
  for (auto& one : found) order.sort(kernels, one);
}

std::vector<std::pair<std::string, std::size_t>> OnDisk::nbytes() const {
  std::vector<std::pair<std::string, std::size_t>> parts;
  if (rerank_) parts.emplace_back("rerank", sections_.section_bytes(*rerank_));
  if (links_) parts.emplace_back("links", sections_.section_bytes(*links_));
  return parts;
}

}  // namespace annbench
