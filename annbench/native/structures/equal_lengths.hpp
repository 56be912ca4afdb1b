// Inner products as distances: with one more value each, vectors are all as long as the longest, and whoever is near by
// distance then is near by inner product (Bachrach et al., RecSys 2014).
//
//   ‖x̂ − ŷ‖² = ‖x − y‖² + (lack_x − lack_y)²,   lack_x = √(longest² − ‖x‖²)
//
// The further values are not made: their difference is that of the squared lengths by the sum of what is lacking, which
// cancels nothing where one vector is far longer than all others.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/codec.hpp"
#include "kernels/dispatch.hpp"

namespace annbench {

class EqualLengths {
 public:
  std::vector<float> squares;  // of the lengths, a node
  float longest = 0;           // the largest of them

  // What the further values of two vectors of these squared lengths add to their squared distance.
  float apart(float a, float b) const {
    const float lacking = std::sqrt(std::max(0.0f, longest - a)) + std::sqrt(std::max(0.0f, longest - b));
    if (!(lacking > 0)) return 0;
    const float difference = (a - b) / lacking;
    return difference * difference;
  }
};

// A codec that scores inner products, made to score −½‖q̂ − x̂‖² instead, but for a constant of the query. A query has its
// squared length after its values.
template <Codec C>
class EquallyLong : public C {
 public:
  struct Query : C::Query {
    float square = 0;
  };

  EquallyLong(const C& codec, const EqualLengths& lengths) : C(codec), lengths_(lengths) {}

  std::size_t dim() const { return C::dim() + 1; }
  void prepare(const float* query, Query& prepared) const {
    C::prepare(query, prepared);
    prepared.square = query[C::dim()];
  }
  void refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
              const std::uint32_t* places, std::size_t count, float* scores) const {
    C::refine(kernels, query, probe, codes, places, count, scores);
    for (std::size_t i = 0; i < count; ++i) {
      const float square = lengths_.squares[places[i]];
      scores[i] -= (square + lengths_.apart(query.square, square)) / 2;
    }
  }

 private:
  const EqualLengths& lengths_;
};

}  // namespace annbench
