// Vectors as one bit a dimension, scored 32 at a time from tables of the query: RaBitQ's 1-bit code (Gao and Long, SIGMOD
// 2024), and the first stage of StagedRows.
//
//   w_j = ±1, the sign of v_j
//   score(q, v) ≈ bias + scale·⟨q, w⟩,   scale = weight·‖v‖²/⟨w, v⟩
//
// which is unbiased where vectors have been rotated at random, and exact for a query along v. Its standard error is
//
//   error·‖q − a‖,   error = weight·‖v‖·√((‖v‖²‖w‖²/⟨w, v⟩² − 1)/(dim − 1))
//
// because bias takes up what the estimate misses at the anchor a.
//
// Tables. Each group of 4 dimensions has 16 sums of ±q_j; less their minimum, they are rounded to multiples of one step.
// The step is as small as the sums of bytes allow that kernels/sign_scan.hpp works with: 8 groups share 255. For this the
// dimensions are dealt out to these eights like cards, to and fro, so that each has its share of the large ones. What the
// rounding adds to the error is counted in Query::noise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class SignTables {
 public:
  // A query as the kernels take it; made once, used against any number of lists.
  struct Query {
    AlignedBuffer<std::uint8_t> tables;
    std::vector<float> dealt;  // the query's values where their bits are: kept for its memory
    float step = 0, base = 0;  // a sum s of entries stands for ⟨q, w⟩ ≈ base + step·s
    AlignedBuffer<float> halves;  // the sums without rounding: see prepare_halves()
    float noise = 0;           // what rounding adds to an estimate, as a distance: √(distance² + noise²) for the error
  };

  // Codes for vectors of `dim` dimensions. `weight` as in UniformRows. Throws std::invalid_argument unless
  // 1 <= dim <= max_dim.
  SignTables(std::size_t dim, float weight);

  static constexpr std::size_t parts = 1;
  static constexpr std::size_t granule = table_block;
  static constexpr bool staged = false;
  static constexpr std::size_t max_dim = 4 * max_table_groups;

  std::size_t dim() const { return dim_; }
  std::size_t bytes(std::size_t part, std::size_t count) const;

  // As the concept Codec says.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;
  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;
  // score() and a comparison: writes the places first … first + count − 1 whose score is at least the threshold, in
  // increasing order, with their scores; returns how many. The arrays hold `count` entries.
  std::size_t select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                     std::size_t first, std::size_t count, float threshold, std::uint32_t* places, float* scores) const;

  // For codes that continue these (StagedRows), ½·⟨q, w⟩ as exactly as float32 has it: tables for it, in a query that
  // prepare() has seen, and the sums of single places.
  void prepare_halves(Query& prepared) const;
  void halves(const Query& query, const CodesView& codes, const std::uint32_t* places, std::size_t count,
              float* sums) const;

  // The same for upper bounds: scores plus probe.epsilon standard errors.
  void bounds(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              std::size_t first, std::size_t count, float* bounds) const;
  std::size_t select_bounds(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                            std::size_t first, std::size_t count, float threshold, std::uint32_t* places,
                            float* bounds) const;

 private:
  void scan(const KernelTable& kernels, const Query& query, float offset, float slack, const CodesView& codes,
            std::size_t first, std::size_t count, float* bounds) const;
  std::size_t scan_select(const KernelTable& kernels, const Query& query, float offset, float slack, const CodesView& codes,
                          std::size_t first, std::size_t count, float threshold, std::uint32_t* places,
                          float* bounds) const;
  const std::uint8_t* block_of(const CodesView& codes, std::size_t place) const;
  std::uint8_t* block_of(const MutableCodes& codes, std::size_t place) const;
  // Returns what a sum of 0 stands for, in steps.
  float fill_tables(Query& prepared, float inverse) const;

  std::size_t dim_;
  std::size_t groups_, used_groups_;  // as kernels/sign_scan.hpp has them
  std::vector<std::uint16_t> slots_;  // of dimension j: bit slot % 4 of group slot / 4
  float weight_;
};

static_assert(Codec<SignTables>);

}  // namespace annbench
