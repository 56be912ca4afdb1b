// nearest_keys: the nearest nodes that a search knows, nearest first, and what those that were just scored do to them.
//
// A key is one number: the score as an integer that is smaller for nearer nodes, the node below 2³¹, and a bit for whoever
// keeps the keys.
//
// Contract
//   keys[0 … size) ascend; `keys` and `spare` both have room for capacity + offer_slack; capacity >= 1. Of the keys of
//   `count` <= offer_most distinct nodes, none of which is there already, and of those there, the `capacity` smallest stay,
//   ascending; a new one from `beyond` on, or whose score is NaN, never does.
//   Returns in which of the two arrays they are (in `keys` where nothing has changed), how many there are then, and the
//   place that the smallest new one has come to: size_max where none is kept. Every ISA leaves the same keys; what lies
//   behind them, and in the other array, is unspecified.
//
// Whether a node is nearer than what is there, and where it belongs, cannot be foretold: nothing branches on it but the
// number of those that are.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/isa.hpp"

namespace annbench {

struct Offered {
  std::uint64_t* keys;
  std::size_t size, first;
};

using OfferKeysFn = Offered (*)(const float* scores, const std::uint32_t* nodes, std::size_t count, std::uint64_t* keys,
                                std::uint64_t* spare, std::size_t size, std::size_t capacity, std::uint64_t beyond);

inline constexpr std::size_t offer_most = 32;
inline constexpr std::size_t offer_slack = offer_most + 8;  // keys
inline constexpr std::size_t size_max = std::numeric_limits<std::size_t>::max();
inline constexpr std::uint64_t beyond_all = std::numeric_limits<std::uint64_t>::max();  // of no key

inline std::uint64_t node_key(float score, std::uint32_t node) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // −0 and 0 are one score
  const std::uint32_t nearness = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{~nearness} << 32 | std::uint64_t{node} << 1;
}
// The least key of all that are farther than a score.
inline std::uint64_t key_beyond(float score) { return (node_key(score, 0) | 0xffffffffu) + 1; }
inline std::uint32_t key_node(std::uint64_t key) { return static_cast<std::uint32_t>(key) >> 1; }
inline float key_score(std::uint64_t key) {
  const auto nearness = ~static_cast<std::uint32_t>(key >> 32);
  return std::bit_cast<float>((nearness >> 31) != 0 ? nearness ^ 0x80000000u : ~nearness);
}

// ---- scalar reference: one after the other

inline Offered offer_keys_scalar(const float* scores, const std::uint32_t* nodes, std::size_t count, std::uint64_t* keys,
                                 std::uint64_t*, std::size_t size, std::size_t capacity, std::uint64_t beyond) {
  Offered offered{keys, size, size_max};
  for (std::size_t i = 0; i < count; ++i) {
    const bool full = offered.size == capacity;
    const std::uint64_t key = node_key(scores[i], nodes[i]);
    if (scores[i] != scores[i] || key >= (full ? std::min(beyond, keys[capacity - 1]) : beyond)) continue;
    // A search by halves whose steps are no branches.
    std::size_t place = 0;
    for (std::size_t left = offered.size; left > 0;) {
      const std::size_t half = (left + 1) / 2;
      place += keys[place + half - 1] < key ? half : 0;
      left -= half;
    }
    std::memmove(keys + place + 1, keys + place, (offered.size - place) * sizeof *keys);
    keys[place] = key;
    offered.size += full ? 0 : 1;
    offered.first = std::min(offered.first, place);
  }
  return offered;
}

// ---- AVX-512: those that pass are put among the others in registers, one by one; where there are many of these, they are
// sorted by counting and put between them on the way to the other array

// Nothing is read that was written a moment ago, but single keys out of what one store wrote: the processor would wait.
#if ANNBENCH_HAS_AVX512
namespace nearest_keys_detail {

ANNBENCH_TARGET_AVX512 inline unsigned lanes_below(std::size_t count) { return (1u << count) - 1u; }

// The keys of up to 16 nodes, and largest ones for those beyond `count` and for NaN.
ANNBENCH_TARGET_AVX512 inline void keys_of(const float* scores, const std::uint32_t* nodes, std::size_t count, __m512i& low,
                                           __m512i& high) {
  const auto lanes = static_cast<__mmask16>(count >= 16 ? 0xffffu : lanes_below(count));
  const __m512 score = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, scores), _mm512_setzero_ps());
  const auto numbers = static_cast<__mmask16>(_mm512_cmp_ps_mask(score, score, _CMP_ORD_Q) & lanes);
  const __m512i bits = _mm512_castps_si512(score);
  // ~nearness: of numbers from 0 on all bits but the sign turned, of those below none.
  const __m512i turned = _mm512_andnot_si512(_mm512_srai_epi32(bits, 31), _mm512_set1_epi32(0x7fffffff));
  const __m512i none = _mm512_set1_epi32(-1);
  const __m512i farness = _mm512_mask_xor_epi32(none, numbers, bits, turned);
  const __m512i node = _mm512_castps_si512(_mm512_maskz_loadu_ps(lanes, nodes));
  const __m512i marked = _mm512_mask_mov_epi32(none, numbers, _mm512_slli_epi32(node, 1));
  const __m512i first = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  low = _mm512_permutex2var_epi32(marked, first, farness);
  high = _mm512_permutex2var_epi32(marked, _mm512_add_epi32(first, _mm512_set1_epi32(8)), farness);
}

ANNBENCH_TARGET_AVX512 inline unsigned smaller_lanes(__m512i keys, __m512i than) {
  return _mm512_cmplt_epu64_mask(keys, than);
}

ANNBENCH_TARGET_AVX512 inline std::size_t count_of(unsigned lanes) {
  return static_cast<std::size_t>(__builtin_popcount(lanes));
}

// How many of the ascending keys are smaller. The seven after them may be read.
ANNBENCH_TARGET_AVX512 inline std::size_t rank_of(__m512i key, const std::uint64_t* keys, std::size_t size) {
  const auto one = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(key)));
  std::size_t place = 0, left = size;
  while (left > 8) {
    const std::size_t half = left / 2;
    place += keys[place + half - 1] < one ? half : 0;
    left -= half;
  }
  return place + count_of(smaller_lanes(_mm512_loadu_si512(keys + place), key) & lanes_below(left));
}

// Copies keys, and up to seven more.
ANNBENCH_TARGET_AVX512 inline void copy_keys(const std::uint64_t* from, std::size_t count, std::uint64_t* to) {
  for (std::size_t i = 0; i < count; i += 8) _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
}

inline constexpr std::size_t merged_most = 256;  // keys

// Puts ascending keys, of which each has a rank among the others, between these; up to seven more are written behind them.
// Where they go is a bit each: one loop without branches, for as many keys as that takes less time than copies.
ANNBENCH_TARGET_AVX512 inline void merge(const std::uint64_t* keys, std::size_t size, const std::uint64_t* sorted,
                                         const std::size_t* ranks, std::size_t found, std::uint64_t* merged) {
  std::uint64_t marks[merged_most / 64 + 1] = {};
  for (std::size_t i = 0; i < found; ++i) marks[(ranks[i] + i) / 64] |= std::uint64_t{1} << (ranks[i] + i) % 64;
  for (std::size_t at = 0; at < size + found; at += 8) {
    const auto mine = static_cast<__mmask8>(marks[at / 64] >> at % 64);
    const __m512i others = _mm512_maskz_expandloadu_epi64(static_cast<__mmask8>(~mine), keys);
    _mm512_storeu_si512(merged + at, _mm512_mask_expandloadu_epi64(others, mine, sorted));
    const std::size_t taken = count_of(mine);
    sorted += taken;
    keys += 8 - taken;
  }
}

// Puts keys, those named by a bit, among up to 8·`registers` ascending ones, where these are; there is room for so many.
// With x come among them, the one at i is min(a[i], max(x, a[i − 1])). Returns the place of the smallest.
template <int registers>
ANNBENCH_TARGET_AVX512 inline std::size_t insert(const std::uint64_t* fresh, unsigned named, std::uint64_t* keys,
                                                 std::size_t size) {
  const __m512i none = _mm512_set1_epi32(-1);
  __m512i before[registers], now[registers];
  ANNBENCH_UNROLL
  for (int r = 0; r < registers; ++r) {
    const std::size_t first = 8 * static_cast<std::size_t>(r);
    const auto there = static_cast<__mmask8>(size >= first + 8 ? 0xffu : size > first ? lanes_below(size - first) : 0u);
    before[r] = now[r] = _mm512_mask_mov_epi64(none, there, _mm512_loadu_si512(keys + first));
  }
  for (; named != 0; named &= named - 1) {
    const __m512i key = _mm512_set1_epi64(static_cast<long long>(fresh[__builtin_ctz(named)]));
    ANNBENCH_UNROLL
    for (int r = registers - 1; r > 0; --r)
      now[r] = _mm512_min_epu64(now[r], _mm512_max_epu64(key, _mm512_alignr_epi64(now[r], now[r - 1], 7)));
    now[0] = _mm512_min_epu64(now[0], _mm512_max_epu64(key, _mm512_maskz_alignr_epi64(0xfe, now[0], now[0], 7)));
  }
  std::uint64_t changed = 0;
  ANNBENCH_UNROLL
  for (int r = 0; r < registers; ++r) {
    _mm512_storeu_si512(keys + 8 * r, now[r]);
    const auto same = static_cast<__mmask8>(_mm512_cmpeq_epi64_mask(now[r], before[r]));
    changed |= std::uint64_t{0xffu ^ same} << (8 * r);
  }
  return static_cast<std::size_t>(__builtin_ctzll(changed));
}

// `registers` times eight nodes.
template <int registers>
ANNBENCH_TARGET_AVX512 inline Offered offer(const float* scores, const std::uint32_t* nodes, std::size_t count,
                                            std::uint64_t* keys, std::uint64_t* spare, std::size_t size, std::size_t capacity,
                                            std::uint64_t beyond) {
  __m512i fresh[registers];
  keys_of(scores, nodes, count, fresh[0], fresh[1]);
  if constexpr (registers > 2) keys_of(scores + 16, nodes + 16, count - 16, fresh[2], fresh[3]);
  const std::uint64_t limit = size == capacity ? std::min(beyond, keys[capacity - 1]) : beyond;
  const __m512i most = _mm512_set1_epi64(static_cast<long long>(limit));
  alignas(64) std::uint64_t all[8 * registers];
  unsigned passing = 0;
  ANNBENCH_UNROLL
  for (int r = 0; r < registers; ++r) {
    _mm512_store_si512(all + 8 * r, fresh[r]);
    passing |= smaller_lanes(fresh[r], most) << (8 * r);
  }
  if (passing == 0) return {keys, size, size_max};
  const std::size_t found = count_of(passing), there = size + found, stay = there < capacity ? there : capacity;
  if (there <= 32) return {keys, stay, insert<4>(all, passing, keys, size)};
  if (there <= 64 && capacity + offer_slack >= 64) return {keys, stay, insert<8>(all, passing, keys, size)};
  std::uint64_t sorted[8 * registers];
  std::size_t ranks[8 * registers];
  for (unsigned left = passing; left != 0; left &= left - 1) {
    const std::uint64_t one = all[__builtin_ctz(left)];
    const __m512i key = _mm512_set1_epi64(static_cast<long long>(one));
    unsigned smaller = 0;
    ANNBENCH_UNROLL
    for (int r = 0; r < registers; ++r) smaller |= smaller_lanes(fresh[r], key) << (8 * r);
    const std::size_t place = count_of(smaller);
    sorted[place] = one;
    ranks[place] = rank_of(key, keys, size);
  }
  if (there <= merged_most) {
    merge(keys, size, sorted, ranks, found, spare);
    return {spare, stay, ranks[0]};
  }
  std::size_t taken = 0;
  for (std::size_t i = 0; i < found; ++i) {
    copy_keys(keys + taken, ranks[i] - taken, spare + taken + i);
    taken = ranks[i];
    spare[taken + i] = sorted[i];
  }
  copy_keys(keys + taken, size - taken, spare + taken + found);
  return {spare, stay, ranks[0]};
}

}  // namespace nearest_keys_detail

ANNBENCH_TARGET_AVX512 inline Offered offer_keys_avx512(const float* scores, const std::uint32_t* nodes, std::size_t count,
                                                        std::uint64_t* keys, std::uint64_t* spare, std::size_t size,
                                                        std::size_t capacity, std::uint64_t beyond) {
  using namespace nearest_keys_detail;
  static_assert(offer_most == 32);
  return count <= 16 ? offer<2>(scores, nodes, count, keys, spare, size, capacity, beyond)
                     : offer<4>(scores, nodes, count, keys, spare, size, capacity, beyond);
}
#endif

// ---- table row

inline constexpr OfferKeysFn offer_keys_table[isa_count] = {
    offer_keys_scalar,
    ANNBENCH_HAS_AVX2 ? offer_keys_scalar : nullptr,
#if ANNBENCH_HAS_AVX512
    offer_keys_avx512,
#else
    nullptr,
#endif
    nullptr,
};

}  // namespace annbench
