// Levels (codecs/levels.hpp) in blocks of 32, scored by table look-ups: symmetric distance calculation, SDC.
//
// Codes are cut into groups of 4 bits: 4 dimensions of 1 bit; 2 of 2 bits, the first in the upper half; 1 of 4 bits. Those
// of 3 bits are, for z = 2·z' + s, groups of the 2 bits of z' and then groups of the signs s. For a query of levels an
// entry is (offset − product)/2, the offset as large as a product can be, which makes it a byte that is exact
// (0 … 4, 0 … 18, 0 … 84 and 0 … 28, 0 … 225), and a sum a distance (kernels/table_select.hpp); with entries too large for
// that it is (offset + product)/2. For another query products are rounded to multiples of one step.
//
// Part 0 are blocks of kernels/table_scan.hpp; part 1 two bytes a code, the excess of its length, where codes have more than
// 1 bit. A scan compares sums as integers with what a code of this length would need, by lines that lie above it, and
// scores only what passes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "codecs/levels.hpp"
#include "codecs/rounded_tables.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

class LevelBlocks {
 public:
  struct Query {
    AlignedBuffer<std::uint8_t> tables;  // 16 bytes a group
    std::vector<std::uint8_t> codes;     // this, levels and products are kept for their memory
    std::vector<int> levels;
    std::vector<float> products;  // before they are rounded
    float step = 0, base = 0;  // a sum s of entries stands for ⟨q, z⟩ = base + step·s
    Levels::Scale scale;
  };

  // As Levels.
  LevelBlocks(std::size_t dim, int bits, float weight, LevelQuery query);

  std::size_t dim() const { return levels_.dim(); }
  std::size_t groups() const { return groups_; }

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = table_block;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const;
  // As the concept Codec says. Biases and anchors are ignored: scores are about directions.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count, const MutableCodes& codes,
              std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // Directions: of length 1.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;
  // score() and a comparison, as SignTables::select.
  std::size_t select(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                     std::size_t first, std::size_t count, float threshold, std::uint32_t* places, float* scores) const;
  // The same for several queries, at most `together` of them and of codes at most `most_selected`, which share what it
  // takes to look at a code: what query q finds is written from places[count·q] and scores[count·q] on. Where
  // selects_together() says so.
  static constexpr std::size_t together = 16;
  static constexpr std::size_t most_selected = 512;
  bool selects_together() const { return distances_; }
  void select_together(const KernelTable& kernels, std::span<const Query* const> queries, std::span<const Probe* const> probes,
                       const CodesView& codes, std::size_t first, std::size_t count, std::span<const float> thresholds,
                       std::uint32_t* places, float* scores, std::size_t* found) const;

 private:
  // Four bits of a code: `dims` dimensions from `first` on, whose fields of `width` bits begin at bit `shift`.
  struct Group {
    std::size_t first, dims;
    int width, shift;
  };
  Group group(std::size_t g) const;
  // Of a query of levels: what its products are at most.
  std::uint32_t largest_entry(const Group& group) const;
  // The products of a query's values with what all values of the four bits stand for.
  template <class T>
  std::array<T, table_entries> products(const Group& group, const T* query) const;
  void put(const std::uint8_t* one, std::size_t place, const MutableCodes& codes) const;
  void get(const CodesView& codes, std::size_t place, std::uint8_t* one) const;
  void fill_exact(Query& prepared) const;
  void fill_rounded(const float* query, Query& prepared) const;
  float norm_at(const CodesView& codes, std::size_t place) const;
  // The least and the greatest excess of these codes.
  struct Range {
    std::uint32_t least = 0, most = 0;
  };
  Range range_of(const CodesView& codes, std::size_t first, std::size_t count) const;
  // The ⟨q, z⟩/‖z‖ that a score passes with. A little less than that, so that no rounding keeps away what score_of() lets
  // pass.
  float needed_of(const Query& query, const Probe& probe, float threshold) const;
  // The sum that a code of this length, or of a greater one, has to reach then: at least or at most, as sums rise or fall
  // with scores. Where more than 0 is needed.
  float passing_sum(const Query& query, float needed, float norm) const;
  // The same for the kernel, as lines above it: a sum falls with a norm in a line, with an excess, which is of squares, in a
  // curve that hangs below its chords.
  struct Chords {
    struct Line {
      float slope_of_fall, fall_of_slope;  // from one end to the other; from an excess of 0 to the shorter end
    };
    std::array<float, 3> norms;
    std::array<Line, 2> lines;
  };
  Chords chords_of(const Range& range) const;
  SelectLimit limit_of(const Query& query, const Probe& probe, float threshold, const Chords& chords) const;
  float score_of(const Query& query, float offset, std::uint32_t sum, float norm) const;

  Levels levels_;
  std::size_t groups_;
  bool distances_;    // whether sums are
  int length_shift_;  // of excesses, so that they fill 16 bits
};

static_assert(Codec<LevelBlocks>);

}  // namespace annbench
