// Vectors as rows of bit planes, and their estimated scores by counting bits: codes of 1 to 8 bits, the same for every
// dimension or as many as each is worth, against a query rounded to 1 to 8 bits.
//
//   score(q, v) = bias_v + weight·rescale_v·⟨q̂, w⟩    q̂ the query on its grid, w what the codes of v stand for
//
// Two grids for the codes:
//   uniform         every vector has a grid of its own, the same for all dimensions (codecs/uniform.hpp): RaBitQ, LVQ
//                   and, with queries of 4 bits and without rescale, Lucene's binary quantization
//   per dimension   dimension j has bits_j bits on a fixed grid of scale_j·gaussian_step(bits_j), about 0, for vectors
//                   whose dimensions have these standard deviations: a rotation to principal axes. The step of the grid
//                   is multiplied into the query, so that plane p has the same weight 2^p in all dimensions
//
// A row: planes, the most significant first, then the factors. Plane p holds the dimensions of more than p bits, which
// come first because dimensions are sorted by falling bits.
//
// Factors: bias, weight·rescale[·step of the vector's grid], weight·rescale·lower (0 for grids about 0) and Σ codes,
// which a query with a grid of its own meets. A code of 1 bit and 100 dimensions is 16 bytes, so factors that take as
// much again are dear: for grids about 0 the second factor keeps Σ codes in its last bits, where what that costs in
// precision is at most an eighth of the error of the codes, and the other two are gone. Rows are multiples of 8 bytes
// either way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "codecs/uniform.hpp"
#include "kernels/dispatch.hpp"
#include "support/aligned_buffer.hpp"

namespace annbench {

// The step of the uniform grid of 2^bits values about 0 that rounds a normal variable of deviation 1 with the least
// mean squared error (Max, 1960). `bits` is 1 to 8.
double gaussian_step(int bits);

class PlaneRows {
 public:
  struct Query {
    AlignedBuffer<std::uint8_t> planes;  // for one segment after the other
    std::vector<float> values;           // by the sorted dimensions, with the steps of fixed grids
    std::vector<std::uint8_t> codes;
    UniformGrid grid;
    float sum = 0;      // Σ q̂
    double centre = 0;  // what codes that are not about 0 add to ⟨q̂, codes⟩, negated
  };

  // How queries are rounded, and whether estimates are rescaled: without, they are those of the plain code.
  struct Options {
    int query_bits = 8;
    UniformFit query_fit = UniformFit::min_max;
    bool rescale = true;
  };

  // Codes of `bits` bits on a uniform grid. Throws std::invalid_argument, as the next.
  PlaneRows(std::size_t dim, int bits, UniformFit fit, float weight, const Options& options);
  PlaneRows(std::size_t dim, int bits, UniformFit fit, float weight) : PlaneRows(dim, bits, fit, weight, Options{}) {}
  // Codes of bits[j] bits, 0 to 8 and not all 0, for dimension j, whose values have the standard deviation scales[j].
  PlaneRows(std::span<const std::uint8_t> bits, std::span<const float> scales, float weight, const Options& options);
  PlaneRows(std::span<const std::uint8_t> bits, std::span<const float> scales, float weight)
      : PlaneRows(bits, scales, weight, Options{}) {}

  // Bits for dimensions of these variances: `total_bits` times one to the largest energy, which then falls to a
  // quarter, until a dimension has `max_bits` (SQUASH; the first of equals). Throws std::invalid_argument where they do
  // not fit.
  static std::vector<std::uint8_t> allocate_bits(std::span<const float> variances, std::size_t total_bits,
                                                 int max_bits = 8);

  std::size_t dim() const { return dim_; }
  std::size_t row_bytes() const { return factors_at_ + 4 * factors(); }  // a multiple of 8

  static constexpr std::size_t parts = 1;
  static constexpr std::size_t granule = 1;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const { return part == 0 ? count * row_bytes() : 0; }
  // As the concept Codec says.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
              const MutableCodes& codes, std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for, rescaled; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  // Planes of as many words, which one call of the kernel reads.
  struct Segment {
    std::size_t dims, words, planes;
    int shift;             // the weight of its last plane is 2^shift
    std::size_t offset;    // in a row
    std::size_t in_query;  // where its query planes begin
  };
  struct Factors {
    float bias, step, lower, sum;
  };

  void lay_out(const std::vector<std::uint8_t>& sorted_bits);
  bool fixed() const { return !places_.empty(); }
  std::size_t coded() const { return segments_.back().dims; }
  std::size_t factors() const { return sum_bits_ > 0 ? 2 : 4; }
  Factors factors_of(const std::uint8_t* row) const;
  UniformGrid encode_one(const float* v, std::uint8_t* codes, double* reconstruction) const;
  void score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                  const std::uint32_t* places, std::size_t count, float* scores) const;
  void count_block(const KernelTable& kernels, const Query& query, const std::uint8_t* base,
                   const std::uint32_t* places, std::size_t count, std::uint32_t* products) const;

  std::size_t dim_;
  float weight_;
  bool rescale_;
  bool symmetric_;
  std::optional<UniformQuantizer> quantizer_;  // of the vectors, for uniform grids
  // For fixed grids, by the sorted dimensions that have bits: which they are, the step of their grid, its middle code.
  std::vector<std::uint32_t> places_;
  std::vector<float> steps_, middles_;
  std::vector<Segment> segments_;
  std::size_t factors_at_ = 0;
  int sum_bits_ = 0;  // the last bits of the second factor that hold Σ codes; 0 where that is a factor of its own
  UniformQuantizer query_quantizer_;
};

static_assert(Codec<PlaneRows>);

}  // namespace annbench
