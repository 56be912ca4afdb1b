#include "index/id_filter.hpp"

#include <algorithm>

#include "support/require.hpp"

namespace annbench {

IdFilter::IdFilter(std::span<const std::int64_t> ids) : ids_(ids.begin(), ids.end()) {
  std::ranges::sort(ids_);
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  size_ = ids_.size();
  if (ids_.empty()) return;
  require(ids_.front() >= 0, "ids must not be negative");
  const auto words = static_cast<std::uint64_t>(ids_.back()) / 64 + 1;
  if (words > ids_.size()) return;
  bits_.resize(words);
  for (const std::int64_t id : ids_) bits_[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << id % 64;
  ids_ = {};
}

bool IdFilter::allows(std::int64_t id) const {
  if (bits_.empty()) return std::ranges::binary_search(ids_, id);
  const auto word = static_cast<std::size_t>(id) / 64;
  return word < bits_.size() && (bits_[word] >> id % 64 & 1) != 0;
}

std::shared_ptr<const PlaceFilter> IdFilter::places(std::uint64_t version, const std::vector<CodeList>& lists,
                                                    const Graph* graph) const {
  const std::lock_guard lock(mutex_);
  if (places_ != nullptr && version_ == version) return places_;
  std::vector<std::size_t> sizes;
  for (const CodeList& list : lists) sizes.push_back(list.size());
  if (graph != nullptr) sizes.front() = graph->size();  // new codes that are not linked in yet cannot be found
  auto found = std::make_shared<PlaceFilter>(sizes);
  for (std::size_t l = 0; l < lists.size(); ++l)
    for (std::size_t place = 0; place < sizes[l]; ++place)
      if (allows(lists[l].ids[place]) && (graph == nullptr || graph->living(place))) found->allow(l, place);
  places_ = std::move(found);
  version_ = version;
  return places_;
}

}  // namespace annbench
