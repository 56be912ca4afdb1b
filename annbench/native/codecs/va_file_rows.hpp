// The VA-file with bits per dimension: every dimension is cut into 2^b cells, and a code says which cell each component
// of a vector lies in. From the cells alone follow, for a query, an estimate of the squared distance (to the centres of
// the cells) and a bound that it cannot be below (to the nearer borders of the cells).
//
//   score(q, v) = ‖q‖² − that squared distance,   larger is nearer
//
// which is what the other codecs' bias_v + weight·⟨q, v⟩ is for L2, with bias −‖v‖² and weight 2. The bound needs the
// true distance, so this is for L2 alone, in a space that a transform reached without changing distances (PCA of all
// dimensions: the Karhunen–Loève transform of the paper), and for cosine as L2 between vectors of length 1. There are
// no factors: the bias is not looked at. There is no anchor: a query's tables would be others for every list.
//
// Cells are those of the nearest centre, their borders midway between centres (Lloyd's condition). The first and the
// last cell have no outer border, so that bounds hold for vectors that were not there when the centres were learnt.
//
// A code takes ⌈Σ bits / 8⌉ bytes, dimension after dimension without padding, in an order that spares look-ups:
// dimensions that fill a half byte exactly go first and are looked up in registers (kernels/table_scan.hpp), then those
// that fill a byte exactly, one look-up a byte in a table of all 256 sums; what cannot fill bytes comes last, and only
// where one of its dimensions crosses the border of two bytes has it a look-up of its own. Codes lie in blocks of 32:
// half bytes as table_scan wants them, then byte after byte of all 32 codes.
//
// With hamming_keep below 1 a first stage looks at one bit a dimension, in the second part: of the codes, about that
// share is scored, those with the fewest bits other than the query's; the others score −∞. The cutoff is the quantile
// of the query's distances to a sample of codes given at construction. SQUASH selects over the whole list at once
// instead, which a list that is scored in tiles, by several threads, cannot do.
//
// Sources: VA-file (Weber, Schek and Blott, VLDB 1998), VA+-file (Ferhatosmanoglu et al., CIKM 2000), SQUASH (Oakley
// and Ferhatosmanoglu, 2025). Ours: tables in registers, sums rounded to integers, borders midway, estimates for
// ranking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

enum class VaRank : int { estimate = 0, lower_bound = 1 };

inline constexpr int va_max_bits = 8;
inline constexpr std::size_t va_max_dim = 32768;  // sums of as many 16-bit entries fit into 31 bits

// What the first stage needs; empty without one.
struct VaHamming {
  float keep = 1;                         // the share of codes that it lets pass, above 0
  std::span<const float> middles;         // dim: a bit says that a component is above
  std::span<const std::uint8_t> sample;   // codes of a sample of vectors, ⌈dim/8⌉ bytes each, as VaFileRows::signs_of
};

class VaFileRows {
 public:
  struct Query {
    AlignedBuffer<std::uint8_t> half_tables;  // 16 bytes a half byte
    std::vector<std::uint16_t> tables;        // of the look-ups, one after the other
    std::vector<std::uint8_t> signs;
    std::vector<double> squares;              // of every cell: kept for its memory, as the next two
    std::vector<std::uint32_t> places, distances;
    double constant = 0;                      // Σ over the dimensions of the least square
    double half_step = 0, step = 0;           // of the entries of half_tables and of tables
    float base = 0;                           // ‖q‖² less the constant
    std::uint32_t limit = 0;                  // bits in which a passing code may differ
  };

  // `bits` per dimension, 0 to 8, and for one dimension after the other its 2^bits centres, rising and finite. `weight`
  // is 2, because no other metric than L2 can be had. Throws std::invalid_argument.
  VaFileRows(std::span<const std::uint8_t> bits, std::span<const float> centres, VaRank rank, float weight,
             const VaHamming& hamming = {});

  std::size_t dim() const { return dims_.size(); }
  std::size_t row_bytes() const { return row_bytes_; }
  // How many centres these bits want.
  static std::size_t centre_count(std::span<const std::uint8_t> bits);

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = table_block;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const {
    if (part == 0) return (count + table_block - 1) / table_block * block_bytes();
    return part == 1 && filtered() ? count * sign_bytes() : 0;
  }
  // As the concept Codec says. encode() throws std::invalid_argument for an anchor.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
              const MutableCodes& codes, std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, the centres of their cells.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;
  // The cells of the code at `place`, dim() of them.
  void cells(const CodesView& codes, std::size_t place, std::uint8_t* cells) const;
  // The bits of the first stage for a vector: dimension j is bit j mod 8 of byte ⌊j/8⌋.
  void signs_of(const float* v, std::uint8_t* signs) const;

  void prepare(const KernelTable&, const float* query, Query& prepared) const { prepare_as(rank_, query, prepared); }
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;
  // Not above the squared distances of q to the vectors at first …, whatever was rounded on the way; `first` is a
  // multiple of the granule. The first stage has no part in it.
  void lower_bounds(const KernelTable& kernels, const float* q, const CodesView& codes, std::size_t first,
                    std::size_t count, float* bounds) const;

 private:
  struct Dim {
    std::uint32_t bits, centres;  // where its centres begin
    std::uint32_t at;             // its first bit in a row
  };
  // One table: of a byte, or of a dimension that begins in this byte and ends in the next one.
  struct Lookup {
    std::uint32_t byte, table;  // of the bytes after the half bytes; where its entries begin
    std::uint32_t shift, mask;  // mask 0 for a byte
    std::vector<std::uint32_t> dims;
  };

  bool filtered() const { return keep_ < 1; }
  std::size_t sign_bytes() const { return (dim() + 7) / 8; }
  std::size_t block_bytes() const { return table_block * row_bytes_; }
  const std::uint8_t* block_of(const CodesView& codes, std::size_t place) const {
    return codes[0] + place / table_block * block_bytes();
  }
  void place_dims(std::span<const std::uint8_t> bits);
  void find_lookups();
  void prepare_as(VaRank rank, const float* query, Query& prepared) const;
  void square_cells(VaRank rank, const float* query, Query& prepared) const;
  void fill_half_tables(VaRank rank, Query& prepared) const;
  void fill_tables(VaRank rank, Query& prepared) const;
  void choose_limit(Query& prepared) const;
  void read_row(const std::uint8_t* block, std::size_t at, std::uint8_t* row) const;
  void write_row(const std::uint8_t* row, std::size_t at, std::uint8_t* block) const;
  void add_blocks(const KernelTable& kernels, const Query& query, const std::uint8_t* block, std::size_t blocks,
                  std::uint32_t* half_sums, std::uint32_t* sums) const;
  std::uint32_t half_sum_of(const Query& query, const std::uint8_t* block, std::size_t at) const;
  std::uint32_t sum_of(const Query& query, const std::uint8_t* block, std::size_t at) const;

  std::vector<Dim> dims_;
  std::vector<float> centres_, borders_;  // dimension j: 2^bits centres; one border less, in the same places
  VaRank rank_;
  float keep_;
  std::vector<float> middles_;
  std::vector<std::uint8_t> sample_;
  std::vector<std::vector<std::uint32_t>> halves_;  // the dimensions of each half byte
  std::vector<Lookup> lookups_;                     // bytes first
  std::size_t byte_lookups_ = 0, table_entries_ = 0;
  std::size_t row_bytes_ = 0;
};

static_assert(Codec<VaFileRows>);

}  // namespace annbench
