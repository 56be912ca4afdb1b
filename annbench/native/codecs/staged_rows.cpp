#include "codecs/staged_rows.hpp"

#include <algorithm>

namespace annbench {
namespace {

constexpr std::size_t asked_rows = 8;  // code_dot asks for those that follow

// The list of rows alone, as UniformRows sees it.
CodesView rows_of(const CodesView& codes) { return {codes[1], nullptr}; }
MutableCodes rows_of(const MutableCodes& codes) { return {codes[1], nullptr}; }

}  // namespace

void StagedRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                        const MutableCodes& codes, std::size_t first) const {
  signs_.encode(vectors, bias, anchor, count, codes, first);
  rows_.encode(vectors, bias, anchor, count, rows_of(codes), first);
}

void StagedRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  signs_.move(codes, from, to);
  rows_.move(rows_of(codes), from, to);
}

void StagedRows::prepare(const float* query, Query& prepared) const {
  signs_.prepare(query, prepared.signs);
  rows_.prepare(query, prepared.rows);
}

void StagedRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       std::size_t first, std::size_t count, float* bounds) const {
  signs_.bounds(kernels, query.signs, probe, codes, first, count, bounds);
}

void StagedRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        const std::uint32_t* places, std::size_t count, float* scores) const {
  rows_.refine(kernels, query.rows, probe, rows_of(codes), places, count, scores);
}

std::size_t StagedRows::select(const KernelTable& kernels, const Query& query, const Probe& probe,
                               const CodesView& codes, std::size_t first, std::size_t count, float threshold,
                               std::uint32_t* places, float* bounds) const {
  const std::size_t found =
      signs_.select_bounds(kernels, query.signs, probe, codes, first, count, threshold, places, bounds);
  const std::size_t bytes = rows_.layout().row_bytes();
  for (std::size_t i = 0; i < std::min(found, asked_rows); ++i)
    code_dot_detail::prefetch(codes[1] + places[i] * bytes, bytes);
  return found;
}

}  // namespace annbench
