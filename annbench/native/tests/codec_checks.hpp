// What every codec of rows owes a structure (codecs/codec.hpp), checked alike for all of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "codecs/codec.hpp"
#include "support/aligned_buffer.hpp"
#include "tests/check.hpp"

namespace annbench::tests {

using Vector = std::vector<float>;

constexpr double unit = 0x1p-24;  // half a step of float32 at 1

inline Vector normal_values(std::size_t count, std::mt19937& random, float mean = 0, float deviation = 1) {
  std::normal_distribution<float> normal(mean, deviation);
  Vector values(count);
  for (float& value : values) value = normal(random);
  return values;
}

inline double dot(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t j = 0; j < dim; ++j) sum += static_cast<double>(a[j]) * b[j];
  return sum;
}

// Unit vectors v and q with ⟨q, v⟩ = cosine, in directions that are uniform: the same pair under random rotations.
inline void rotated_pair(std::size_t dim, double cosine, std::mt19937& random, Vector& v, Vector& q) {
  v = normal_values(dim, random);
  q = normal_values(dim, random);
  const double squares = dot(v.data(), v.data(), dim), along = dot(q.data(), v.data(), dim) / squares;
  for (std::size_t j = 0; j < dim; ++j) q[j] = static_cast<float>(q[j] - along * v[j]);
  const double length = std::sqrt(squares), across = std::sqrt(dot(q.data(), q.data(), dim));
  for (std::size_t j = 0; j < dim; ++j) {
    v[j] = static_cast<float>(v[j] / length);
    q[j] = static_cast<float>(cosine * v[j] + std::sqrt(1 - cosine * cosine) * q[j] / across);
  }
}

// Whether it throws std::invalid_argument.
template <class Call>
bool refuses(Call call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

// A list of `count` codes, which begins on a cache line; what is not written must not matter.
class CodeMemory {
 public:
  template <Codec C>
  CodeMemory(const C& codec, std::size_t count) {
    for (std::size_t part = 0; part < C::parts; ++part) {
      memory_[part] = AlignedBuffer<std::uint8_t>(codec.bytes(part, count));
      std::fill_n(memory_[part].data(), memory_[part].size(), std::uint8_t{0x5a});
    }
  }
  MutableCodes codes() { return {memory_[0].data(), memory_[1].data()}; }
  CodesView view() const { return {memory_[0].data(), memory_[1].data()}; }
  std::vector<std::uint8_t> bytes(std::size_t part) const {
    return {memory_[part].data(), memory_[part].data() + memory_[part].size()};
  }
  // Its own, where `count` codes are whole rows.
  std::vector<std::uint8_t> row(std::size_t part, std::size_t place, std::size_t count) const {
    const std::size_t one = memory_[part].size() / count;
    return {memory_[part].data() + place * one, memory_[part].data() + (place + 1) * one};
  }

 private:
  AlignedBuffer<std::uint8_t> memory_[max_parts];
};

// Fewer codes are the beginning of more, coded at once or in turn; scores of a part of a list are those of the whole,
// side by side or gathered; a query prepared in used memory is the query; a moved code is the code.
template <Codec C>
void check_list_rules(const C& codec, const std::string& name, std::mt19937& random) {
  constexpr std::size_t count = 19;
  const std::size_t dim = codec.dim();
  const Vector vectors = normal_values(count * dim, random, 0.3f), bias = normal_values(count, random);
  const Vector anchor = normal_values(dim, random);
  CodeMemory whole(codec, count), in_turn(codec, count), fewer(codec, 7);
  codec.encode(vectors.data(), bias.data(), anchor.data(), count, whole.codes(), 0);
  codec.encode(vectors.data(), bias.data(), anchor.data(), 7, fewer.codes(), 0);
  for (std::size_t i = 0; i < count; i += 4)
    codec.encode(vectors.data() + i * dim, bias.data() + i, anchor.data(), std::min<std::size_t>(4, count - i),
                 in_turn.codes(), i);
  for (std::size_t part = 0; part < C::parts; ++part) {
    const std::vector<std::uint8_t> all = whole.bytes(part), some = fewer.bytes(part);
    check(all == in_turn.bytes(part), name + ": codes written in turn are those written at once");
    check(std::equal(some.begin(), some.end(), all.begin()), name + ": fewer codes are the beginning of more");
  }
  check(codec.bytes(C::parts, count) == 0, name + ": there are no further parts");

  typename C::Query query, used;
  const Vector q = normal_values(dim, random), other = normal_values(dim, random, 5);
  codec.prepare(active_kernels(), q.data(), query);
  codec.prepare(active_kernels(), other.data(), used);
  codec.prepare(active_kernels(), q.data(), used);
  const Probe probe{.offset = 0.75f, .distance = 2, .epsilon = 1.5f};
  std::vector<std::uint32_t> places(count);
  for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const KernelTable* kernels : available_kernels()) {
    Vector scores(count), again(count), part(count), gathered(count), straight(count);
    codec.score(*kernels, query, probe, whole.view(), 0, count, scores.data());
    codec.score(*kernels, used, probe, whole.view(), 0, count, again.data());
    check(scores == again, name + ": a query's memory may be used again");
    codec.score(*kernels, query, probe, whole.view(), 5, 9, part.data());
    check(std::equal(part.begin(), part.begin() + 9, scores.begin() + 5), name + ": scores of a part of a list");
    codec.refine(*kernels, query, probe, whole.view(), places.data(), count, gathered.data());
    for (std::uint32_t i = 0; i < count; ++i) {
      codec.refine(*kernels, query, probe, whole.view(), &i, 1, &straight[i]);
      if constexpr (!C::staged) check(straight[i] == scores[i], name + ": scores of one place");
    }
    for (std::size_t i = 0; i < count; ++i)
      check(gathered[i] == straight[places[i]], name + ": scores of gathered places");
    // No room beyond the codes asked for is written.
    part.assign(count, -99);
    codec.score(*kernels, query, probe, whole.view(), 3, 0, part.data());
    codec.refine(*kernels, query, probe, whole.view(), places.data(), 0, part.data());
    check(part == Vector(count, -99), name + ": no codes, no scores");
  }

  codec.move(in_turn.codes(), count - 1, 4);
  codec.move(in_turn.codes(), 6, 6);
  for (std::size_t part = 0; part < C::parts; ++part)
    for (std::size_t i = 0; i < count; ++i)
      check(in_turn.row(part, i, count) == whole.row(part, i == 4 ? count - 1 : i, count),
            name + ": a moved code is the code");
}

}  // namespace annbench::tests
