// Vectors as rows of float32 or float16 values: the codec that loses nothing or next to nothing, and what reranks.
//
//   by inner product   score = bias_v + weight·⟨q, v⟩
//   by squared L2      score = −‖q − v‖², from the difference of every two values, so that near vectors do not cancel;
//                      bias and anchor are ignored: such rows hold vectors as they are, not what a list's anchor leaves
//
// float16 values are divided by a power of two before they are rounded, so that large ones do not become infinite and
// small ones keep their digits; scores have it back. Halves keep 11 bits of a value from 2⁻¹⁴ to 65,504 times that
// scale.
//
// Part 0: the values, dim a row without a gap. Part 1: the biases, one float a row; nothing for squared L2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"

namespace annbench {

enum class FloatType : int { float32 = 0, float16 = 1 };
enum class FloatScore : int { inner_product = 0, squared_l2 = 1 };

class FloatRows {
 public:
  struct Query {
    std::vector<float> values;  // for squared L2 in the rows' scale
  };

  // `weight` is of the inner product; squared L2 ignores it. `scale` is a power of two, for float32 1. Throws
  // std::invalid_argument.
  FloatRows(std::size_t dim, FloatType type, FloatScore score, float weight, float scale = 1);

  // A scale for float16 values that are at most `largest` in size: they come to lie between 2¹² and 2¹³, so that
  // vectors added later may have values 7 times as large, and values 2⁻²⁷ times as large keep all their digits. 1 for
  // 0. Throws std::invalid_argument unless `largest` is finite and not negative.
  static float scale_for(float largest);

  std::size_t dim() const { return dim_; }
  FloatType type() const { return type_; }
  float scale() const { return scale_; }

  static constexpr std::size_t parts = 2;
  static constexpr std::size_t granule = 1;
  static constexpr bool staged = false;

  std::size_t bytes(std::size_t part, std::size_t count) const;
  // As the concept Codec says. Throws std::invalid_argument, before it writes anything, where a value does not fit into
  // a half.
  void encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
              const MutableCodes& codes, std::size_t first) const;
  void move(const MutableCodes& codes, std::size_t from, std::size_t to) const;
  // The vectors that `count` codes from `first` on stand for; without their anchor.
  void decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const;

  void prepare(const KernelTable& kernels, const float* query, Query& prepared) const;
  void score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
             std::size_t first, std::size_t count, float* scores) const;
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const;

 private:
  std::size_t row_bytes() const { return dim_ * (type_ == FloatType::float32 ? 4 : 2); }
  void check_halves(const float* vectors, std::size_t count) const;
  void score_rows(const KernelTable& kernels, const Query& query, float offset, const CodesView& codes,
                  const std::uint32_t* places, std::size_t count, float* scores) const;

  std::size_t dim_;
  FloatType type_;
  FloatScore score_;
  float weight_, scale_;
};

static_assert(Codec<FloatRows>);

}  // namespace annbench
