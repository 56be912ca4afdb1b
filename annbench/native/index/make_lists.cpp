// The codecs that an index can be made of.
#include <stdexcept>
#include <string>

#include "codecs/uniform_rows.hpp"
#include "index/composed.hpp"

namespace annbench {
namespace {

template <class C>
std::unique_ptr<Lists> lists_of(std::size_t count, C codec) {
  return std::make_unique<ListsOf<C>>(count, std::move(codec));
}

}  // namespace

std::unique_ptr<Lists> make_lists(std::size_t count, std::size_t dim, const CodecSettings& s, float weight, bool) {
  switch (s.kind) {
    case CodecKind::uniform: return lists_of(count, UniformRows(dim, static_cast<int>(s.bits), s.fit, weight));
    default: break;
  }
  throw std::invalid_argument("there is no codec of kind " + std::to_string(static_cast<unsigned>(s.kind)));
}

}  // namespace annbench
