// The ids of a list, 0 and above: in 4 bytes each as long as all of them fit there, in 8 from the first that does not.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <variant>
#include <vector>

namespace annbench {

class IdList {
 public:
  static constexpr std::int64_t largest_narrow = std::numeric_limits<std::uint32_t>::max();

  IdList() = default;
  // `count` zeros, of 8 bytes each if `wide` is set: to be read into.
  IdList(std::size_t count, bool wide) {
    if (wide)
      values_.emplace<Wide>(count);
    else
      values_.emplace<Narrow>(count);
  }

  bool wide() const { return std::holds_alternative<Wide>(values_); }
  std::size_t width() const { return wide() ? sizeof(Wide::value_type) : sizeof(Narrow::value_type); }  // bytes an id
  std::size_t size() const {
    return std::visit([](const auto& values) { return values.size(); }, values_);
  }
  std::size_t capacity() const {
    return std::visit([](const auto& values) { return values.capacity(); }, values_);
  }
  // Of memory, with what is in reserve.
  std::size_t bytes() const { return capacity() * width(); }

  std::int64_t operator[](std::size_t i) const {
    return std::visit([i](const auto& values) { return static_cast<std::int64_t>(values[i]); }, values_);
  }
  // Asks for it before it is needed.
  void prefetch(std::size_t i) const { __builtin_prefetch(static_cast<const char*>(data()) + i * width()); }
  // size() · width() bytes.
  const void* data() const {
    return std::visit([](const auto& values) { return static_cast<const void*>(values.data()); }, values_);
  }
  void* data() {
    return std::visit([](auto& values) { return static_cast<void*>(values.data()); }, values_);
  }

  // Makes room for `count` ids up to `largest`: push_back of those does not throw then. Throws std::bad_alloc, as all
  // below that allocate, and then leaves everything as it was.
  void reserve(std::size_t count, std::int64_t largest) {
    if (largest > largest_narrow && !wide())
      widen(std::max(count, capacity()));
    else
      std::visit([count](auto& values) { values.reserve(count); }, values_);
  }

  void push_back(std::int64_t id) {
    if (id > largest_narrow && !wide()) widen(std::max(size() + 1, capacity()));
    std::visit([id](auto& values) { append(values, id); }, values_);
  }

  void pop_back() noexcept { truncate(size() - 1); }
  // The id at `from` also at `to`.
  void move(std::size_t from, std::size_t to) noexcept {
    std::visit([from, to](auto& values) { values[to] = values[from]; }, values_);
  }
  // Keeps the first `count`, not more than there are.
  void truncate(std::size_t count) noexcept {
    std::visit([count](auto& values) { values.resize(count); }, values_);
  }

  // Gives back what is in reserve, and the width that no id needs any more.
  void shrink_to_fit() {
    const Wide* ids = std::get_if<Wide>(&values_);
    if (ids != nullptr && std::ranges::all_of(*ids, [](std::int64_t id) { return id <= largest_narrow; })) {
      Narrow narrow(ids->size());
      std::ranges::transform(*ids, narrow.begin(), [](std::int64_t id) { return static_cast<std::uint32_t>(id); });
      values_ = std::move(narrow);
    }
    std::visit([](auto& values) { values.shrink_to_fit(); }, values_);
  }

 private:
  using Narrow = std::vector<std::uint32_t>;
  using Wide = std::vector<std::int64_t>;

  template <class Values>
  static void append(Values& values, std::int64_t id) {
    values.push_back(static_cast<typename Values::value_type>(id));
  }

  void widen(std::size_t capacity) {
    const Narrow& narrow = *std::get_if<Narrow>(&values_);
    Wide wide;
    wide.reserve(capacity);
    wide.assign(narrow.begin(), narrow.end());
    values_ = std::move(wide);
  }

  std::variant<Narrow, Wide> values_;
};

}  // namespace annbench
