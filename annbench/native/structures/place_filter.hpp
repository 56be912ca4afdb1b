// Which codes of an index an answer may name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace annbench {

// List by list, both as bits and as rising places.
class PlaceFilter {
 public:
  // Of lists of these sizes nothing passes, until allow() says so.
  explicit PlaceFilter(std::span<const std::size_t> sizes) : places_(sizes.size()) {
    barred_.reserve(sizes.size());
    for (const std::size_t size : sizes) barred_.emplace_back((size + 63) / 64, ~std::uint64_t{0});
  }

  // A place of a list, after all smaller ones of it.
  void allow(std::size_t list, std::size_t place) {
    places_[list].push_back(static_cast<std::uint32_t>(place));
    barred_[list][place / 64] &= ~(std::uint64_t{1} << place % 64);
    ++count_;
  }

  std::size_t count() const { return count_; }
  bool passes(std::size_t list, std::size_t place) const { return (barred_[list][place / 64] >> place % 64 & 1) == 0; }
  std::span<const std::uint32_t> places(std::size_t list) const { return places_[list]; }
  // A bit a place: those that do not pass.
  const std::uint64_t* barred(std::size_t list) const { return barred_[list].data(); }

 private:
  std::vector<std::vector<std::uint64_t>> barred_;
  std::vector<std::vector<std::uint32_t>> places_;
  std::size_t count_ = 0;
};

}  // namespace annbench
