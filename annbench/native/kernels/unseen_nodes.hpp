// unseen_nodes: which nodes of a row of links a search has not seen yet?
//
// Contract
//   Of `nodes`, up to the first `no_node` or `count` of them, writes those whose bit in `seen` is 0, in order, sets their
//   bits, and returns how many; of one that is there twice, the first. Bit b of word w stands for node 64·w + b. `unseen` has
//   room for count + unseen_slack entries; what lies behind those returned is unspecified. Every ISA writes the same.
//
// Whether a node was seen cannot be foretold: nothing branches on it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.hpp"

namespace annbench {

using UnseenNodesFn = std::size_t (*)(const std::uint32_t* nodes, std::size_t count, std::uint64_t* seen,
                                      std::uint32_t* unseen);

inline constexpr std::uint32_t no_node = 0xffffffff;
inline constexpr std::size_t unseen_slack = 16;

// ---- scalar reference

namespace unseen_nodes_detail {

// Writes a node, and returns whether it was not seen, which it then is.
inline std::size_t take(std::uint32_t node, std::uint64_t* seen, std::uint32_t* unseen) {
  std::uint64_t& word = seen[node / 64];
  const std::uint64_t bit = std::uint64_t{1} << node % 64;
  *unseen = node;
  const auto fresh = static_cast<std::size_t>((word & bit) == 0);
  word |= bit;
  return fresh;
}

}  // namespace unseen_nodes_detail

inline std::size_t unseen_nodes_scalar(const std::uint32_t* nodes, std::size_t count, std::uint64_t* seen,
                                       std::uint32_t* unseen) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count && nodes[i] != no_node; ++i)
    found += unseen_nodes_detail::take(nodes[i], seen, unseen + found);
  return found;
}

// ---- AVX-512: sixteen words gathered; what is left is taken one by one, since two nodes may share a word, or be one

#if ANNBENCH_HAS_AVX512
ANNBENCH_TARGET_AVX512 inline std::size_t unseen_nodes_avx512(const std::uint32_t* nodes, std::size_t count,
                                                              std::uint64_t* seen, std::uint32_t* unseen) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t left = count - i;
    auto lanes = static_cast<__mmask16>(left >= 16 ? 0xffffu : (1u << left) - 1u);
    const __m512i node = _mm512_maskz_loadu_epi32(lanes, nodes + i);
    const unsigned ends = _mm512_mask_cmpeq_epi32_mask(lanes, node, _mm512_set1_epi32(-1));
    lanes = static_cast<__mmask16>(lanes & (ends - 1) & ~ends);  // those before the first end
    const __m512i word = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), lanes, _mm512_srli_epi32(node, 5), seen, 4);
    const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(node, _mm512_set1_epi32(31)));
    const auto fresh = static_cast<__mmask16>(_mm512_testn_epi32_mask(word, bit) & lanes);
    const int some = __builtin_popcount(fresh);
    _mm512_storeu_si512(unseen + found, _mm512_maskz_compress_epi32(fresh, node));
    const std::uint32_t* const these = unseen + found;
    for (int k = 0; k < some; ++k) found += unseen_nodes_detail::take(these[k], seen, unseen + found);
    if (ends != 0) break;
  }
  return found;
}
#endif

// ---- table row

inline constexpr UnseenNodesFn unseen_nodes_table[isa_count] = {
    unseen_nodes_scalar,
    ANNBENCH_HAS_AVX2 ? unseen_nodes_scalar : nullptr,
#if ANNBENCH_HAS_AVX512
    unseen_nodes_avx512,
#else
    nullptr,
#endif
    nullptr,
};

}  // namespace annbench
