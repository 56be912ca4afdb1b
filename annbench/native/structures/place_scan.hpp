// Scoring given places of a list, in tiles that stay in the nearest caches while all queries pass over them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "structures/top_k.hpp"

namespace annbench {

// Offers the codes at `places`, rising, to best[q], by handles (inverted_lists.hpp) that begin at `first_handle`. Query q is
// queries[q], prepared by the codec; what it knows of the list is probe_of(q).
template <Codec C, class ProbeOf>
void scan_places(const C& codec, const KernelTable& kernels, const CodesView& codes, std::span<const std::uint32_t> places,
                 std::uint64_t first_handle, std::span<const typename C::Query> queries, const ProbeOf& probe_of,
                 std::span<TopK> best) {
  constexpr std::size_t tile = 64;
  std::array<float, tile> scores;
  for (std::size_t first = 0; first < places.size(); first += tile) {
    const auto some = places.subspan(first, std::min(tile, places.size() - first));
    for (std::size_t q = 0; q < queries.size(); ++q) {
      codec.refine(kernels, queries[q], probe_of(q), codes, some.data(), some.size(), scores.data());
      for (std::size_t i = 0; i < some.size(); ++i)
        if (scores[i] >= best[q].threshold()) best[q].push(scores[i], first_handle + some[i]);
    }
  }
}

}  // namespace annbench
