#include "structures/graph_links.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace annbench {

std::span<const std::uint32_t> filled(std::span<const std::uint32_t> row) {
  return row.first(static_cast<std::size_t>(std::ranges::find(row, Graph::none) - row.begin()));
}

void put_links(std::span<const std::uint32_t> links, std::span<std::uint32_t> row) {
  std::fill(std::ranges::copy(links, row.begin()).out, row.end(), Graph::none);
}

float score_of_distance(float squared) { return squared >= 0 ? -squared : -std::numeric_limits<float>::infinity(); }

void LinkChooser::measure(std::uint32_t node) {
  std::ranges::sort(nodes);
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  std::erase(nodes, node);
  score(node);
}

void LinkChooser::score(std::uint32_t node) {
  const std::size_t dim = vectors_.dim(), count = nodes.size();
  own_.resize(dim);
  rows_.resize(std::max(rows_.size(), count * dim));
  scores_.resize(count);
  vectors_.read(node, own_.data());
  constexpr std::size_t ahead = 4;  // rows that come out of memory meanwhile
  for (std::size_t i = 0; i < std::min(ahead, count); ++i) vectors_.ask_for(nodes[i]);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) vectors_.ask_for(nodes[i + ahead]);
    vectors_.read(nodes[i], rows_.data() + i * dim);
  }
  kernels_.float32_squared_l2(own_.data(), rows_.data(), dim, nullptr, count, scores_.data());
  pool_.clear();
  for (std::size_t i = 0; i < count; ++i) pool_.push_back({score_of_distance(scores_[i]), i});
  std::ranges::sort(pool_, [](const Scored& a, const Scored& b) { return a.nearer_than(b); });
}

void LinkChooser::choose(std::span<std::uint32_t> row, std::size_t settled) {
  const std::size_t dim = vectors_.dim();
  const auto between = [&](std::size_t one, std::span<const std::uint32_t> others, float* scores) {
    std::array<std::uint32_t, prune_together> places;
    for (std::size_t i = 0; i < others.size(); ++i) places[i] = static_cast<std::uint32_t>(pool_[others[i]].id);
    const std::size_t at = pool_[one].id;
    kernels_.float32_squared_l2(rows_.data() + at * dim, rows_.data(), dim, places.data(), others.size(), scores);
    for (std::size_t i = 0; i < others.size(); ++i) scores[i] = score_of_distance(scores[i]);
  };
  prune(pool_, alpha_, row, pruning_, between, [&](std::size_t i) { return pool_[i].id < settled; });
  for (std::uint32_t& link : row)
    if (link != Graph::none) link = nodes[link];
}

void LinkChooser::fill(std::span<std::uint32_t> row, std::size_t most) const {
  std::size_t count = filled(row).size();
  for (std::size_t place = 0; place < pool_.size() && count < most; ++place)
    if (std::ranges::find(row.first(count), nearest(place)) == row.begin() + static_cast<std::ptrdiff_t>(count))
      row[count++] = nearest(place);
}

std::size_t LinkChooser::choose_where_needed(std::uint32_t node, std::span<std::uint32_t> row, std::size_t degree,
                                             std::size_t settled) {
  if (nodes.size() <= row.size()) {
    put_links(nodes, row);
    return settled;
  }
  score(node);
  choose(row.first(degree), settled);
  std::ranges::fill(row.subspan(degree), Graph::none);
  return pruning_.kept.size();
}

void LinksBack::group() {
  std::ranges::sort(pairs_);
  begins_.clear();
  for (std::size_t i = 0; i < pairs_.size(); ++i)
    if (i == 0 || pairs_[i].first != pairs_[i - 1].first) begins_.push_back(i);
  begins_.push_back(pairs_.size());
}

void LinksBack::append_sources(std::size_t i, std::vector<std::uint32_t>& nodes) const {
  for (std::size_t p = begins_[i]; p < begins_[i + 1]; ++p)
    if (std::ranges::find(nodes, pairs_[p].second) == nodes.end()) nodes.push_back(pairs_[p].second);
}

}  // namespace annbench
