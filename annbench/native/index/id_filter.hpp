// The ids that searches may find.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "structures/code_list.hpp"
#include "structures/graph.hpp"
#include "structures/place_filter.hpp"

namespace annbench {

// Made once, for many searches of one index or several, from any threads. It knows ids, of which an index need not have
// any; where they lie in an index is found out when that is first searched, and again when it was changed since or another
// one was: that looks at all ids of the index, and takes an eighth of a byte for each vector and 4 bytes for each that may
// be found.
class IdFilter {
 public:
  // Ids in any order, also more than once. Throws std::invalid_argument for negative ones.
  explicit IdFilter(std::span<const std::int64_t> ids);

  bool allows(std::int64_t id) const;
  std::size_t size() const { return size_; }

  // What passes of the lists, without the dead of a graph (null where there is none). `version` names this state of this
  // index; no other state of any index has the same. The lists must not change meanwhile.
  std::shared_ptr<const PlaceFilter> places(std::uint64_t version, const std::vector<CodeList>& lists, const Graph* graph) const;

 private:
  std::vector<std::uint64_t> bits_;  // a bit an id where that takes less memory, else
  std::vector<std::int64_t> ids_;    // rising
  std::size_t size_ = 0;
  mutable std::mutex mutex_;
  mutable std::uint64_t version_ = 0;
  mutable std::shared_ptr<const PlaceFilter> places_;
};

}  // namespace annbench
