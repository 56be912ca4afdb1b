// What a structure (flat, inverted lists, graph) asks of a codec.
//
// A codec turns vectors of dim() floats into codes and estimates scores from them,
//
//   score(q, v) = bias_v + weight·⟨q, v⟩,   larger is nearer,
//
// which covers every metric (codecs/uniform_rows.hpp). The bias comes from the caller, the weight is the codec's own.
//
// Codes lie in *lists*. A list of n codes is one or two stretches of memory, its parts; each begins on a cache line, and
// the bytes of n codes begin with the bytes of fewer, so that a list grows by copying and is stored in a file as it is.
//
// Lists are coded relative to an anchor a (the centroid of the list; none for a flat index): v is what is left of the
// vector after a is subtracted, and the structure adds weight·⟨q, a⟩ for the whole list. An estimate of ⟨q, v⟩ is best
// where q is near a, if the codec makes it exact at q = a: encode() adds weight·(⟨a, v⟩ − estimate of ⟨a, v⟩) to the bias
// (RaBitQ's normalisation to the centroid, Gao and Long, SIGMOD 2024, with a query that is the same for all lists).
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace annbench {

inline constexpr std::size_t max_parts = 2;

// Where the parts of a list lie; those that a codec does not have are null.
using CodesView = std::array<const std::uint8_t*, max_parts>;
using MutableCodes = std::array<std::uint8_t*, max_parts>;

// What scoring has to know of a query and the list that it looks at.
struct Probe {
  float offset = 0;    // added to every score: weight·⟨q, a⟩
  float distance = 0;  // ‖q − a‖, what the error of an estimate is proportional to
  float epsilon = 0;   // how many standard errors an upper bound lies above an estimate; only staged codecs look at it
};

// What a codec may have beside, because it can do better than score() and a comparison: select(), as LevelBlocks and
// SignTables have it, and select_together() for up to C::together queries at once, where selects_together() says so.
template <class C>
concept Codec = requires(const C& codec, typename C::Query& query, const KernelTable& kernels, const Probe& probe,
                         const float* vectors, const CodesView& codes, const MutableCodes& mutable_codes, float* scores,
                         const std::uint32_t* places, std::size_t n, float* decoded) {
  // 1 or 2.
  { C::parts } -> std::convertible_to<std::size_t>;
  // Scoring begins at multiples of this many codes.
  { C::granule } -> std::convertible_to<std::size_t>;
  // Whether score() gives upper bounds, to be made estimates by refine() where they pass a threshold.
  { C::staged } -> std::convertible_to<bool>;
  { codec.dim() } -> std::convertible_to<std::size_t>;
  // bytes(part, n): of n codes; falls nowhere as n grows.
  { codec.bytes(n, n) } -> std::same_as<std::size_t>;
  // prepare(kernels, q, query): makes of q (dim() finite floats) what the kernels take, reusing the memory of `query`.
  codec.prepare(kernels, vectors, query);
  // encode(vectors, bias, anchor, count, codes, first): codes `count` finite vectors (row-major) into places first … of a
  // list that has room for them. `anchor` has dim() floats, or is null.
  codec.encode(vectors, vectors, vectors, n, mutable_codes, n);
  // move(codes, from, to): the code at `from` also at `to`.
  codec.move(mutable_codes, n, n);
  // decode(codes, first, count, vectors): the vectors that codes stand for, without their anchor.
  codec.decode(codes, n, n, decoded);
  // score(kernels, query, probe, codes, first, count, scores): of places first … first + count − 1.
  codec.score(kernels, query, probe, codes, n, n, scores);
  // refine(kernels, query, probe, codes, places, count, scores): of these places. For codecs that are not staged the same
  // as score().
  codec.refine(kernels, query, probe, codes, places, n, scores);
};

}  // namespace annbench
