#include "codecs/va_file_rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Vector = std::vector<float>;
using Bits = std::vector<std::uint8_t>;

constexpr double unit = 0x1p-24;  // half a step of float32 at 1

// Cells of one kind of data: normal components that fall off, centres at even ranks of a sample.
struct Data {
  Data(Bits chosen, std::size_t n, std::mt19937& random) : bits(std::move(chosen)), count(n), base(n * bits.size()) {
    const std::size_t dim = bits.size();
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < base.size(); ++i) base[i] = normal(random) / static_cast<float>(1 + i % dim / 8);
    for (std::size_t j = 0; j < dim; ++j) {
      Vector column(n);
      for (std::size_t i = 0; i < n; ++i) column[i] = base[i * dim + j];
      std::sort(column.begin(), column.end());
      const std::size_t cells = std::size_t{1} << bits[j];
      for (std::size_t c = 0; c < cells; ++c) centres.push_back(column[(2 * c + 1) * n / (2 * cells)]);
      middles.push_back(column[n / 2]);
    }
  }
  const float* row(std::size_t i) const { return base.data() + i * bits.size(); }

  Bits bits;
  std::size_t count;
  Vector base, centres, middles;
};

struct List {
  List(const VaFileRows& codec, std::size_t count) : memory(codec.bytes(0, count)), signs(codec.bytes(1, count)) {
    std::fill_n(memory.data(), memory.size(), std::uint8_t{0x5a});
  }
  MutableCodes mutable_codes() { return {memory.data(), signs.data()}; }
  CodesView view() const { return {memory.data(), signs.data()}; }
  AlignedBuffer<std::uint8_t> memory, signs;
};

// In pieces that do not end with blocks, as vectors come in over time.
void encode(const VaFileRows& codec, const Data& data, List& list) {
  for (std::size_t first = 0, some = 1; first < data.count; some = std::min<std::size_t>(40, data.count - first)) {
    codec.encode(data.row(first), nullptr, nullptr, some, list.mutable_codes(), first);
    first += some;
  }
}

// By the definitions, in double: the cell of each component, the squared distance to its centre, and to the cell.
struct Cells {
  Bits cells;
  double estimate = 0, bound = 0;
};

Cells cells_of(const Data& data, const float* v, const float* q) {
  Cells found;
  const float* centres = data.centres.data();
  for (std::size_t j = 0; j < data.bits.size(); ++j, centres += std::size_t{1} << data.bits[j - 1]) {
    const std::size_t cells = std::size_t{1} << data.bits[j];
    const auto border = [&](std::size_t c) { return 0.5f * centres[c] + 0.5f * centres[c + 1]; };
    std::size_t cell = 0;
    while (cell + 1 < cells && v[j] >= border(cell)) ++cell;
    found.cells.push_back(static_cast<std::uint8_t>(cell));
    found.estimate += std::pow(static_cast<double>(q[j]) - centres[cell], 2);
    double gap = 0;
    if (cell > 0 && q[j] < border(cell - 1)) gap = static_cast<double>(border(cell - 1)) - q[j];
    if (cell + 1 < cells && q[j] > border(cell)) gap = static_cast<double>(q[j]) - border(cell);
    found.bound += gap * gap;
  }
  return found;
}

double squared_distance(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t j = 0; j < dim; ++j) sum += std::pow(static_cast<double>(a[j]) - b[j], 2);
  return sum;
}

std::string shape_of(const Data& data) {
  std::string shape = " of bits ";
  for (std::size_t j = 0; j < std::min<std::size_t>(data.bits.size(), 12); ++j) shape += std::to_string(data.bits[j]);
  return shape + ", dim " + std::to_string(data.bits.size());
}

// Queries: another vector, one far outside, one on borders and centres.
std::vector<Vector> queries_of(const Data& data, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const std::size_t dim = data.bits.size();
  std::vector<Vector> queries(3, Vector(dim));
  for (float& value : queries[0]) value = normal(random);
  for (float& value : queries[1]) value = 30 * normal(random);
  const float* centres = data.centres.data();
  for (std::size_t j = 0; j < dim; ++j, centres += std::size_t{1} << data.bits[j - 1])
    queries[2][j] = data.bits[j] > 0 && j % 2 == 0 ? 0.5f * centres[0] + 0.5f * centres[1] : centres[0];
  return queries;
}

void check_codes_and_scores(const Data& data, std::mt19937& random) {
  const std::size_t dim = data.bits.size(), count = data.count;
  const std::string shape = shape_of(data);
  const std::size_t total = std::accumulate(data.bits.begin(), data.bits.end(), std::size_t{0});
  const VaFileRows by_estimate(data.bits, data.centres, VaRank::estimate, 2);
  const VaFileRows by_bound(data.bits, data.centres, VaRank::lower_bound, 2);
  check(by_estimate.row_bytes() == (total + 7) / 8, "the budget is spent, and no more" + shape);
  check(by_estimate.bytes(0, count) == (count + 31) / 32 * 32 * ((total + 7) / 8) && by_estimate.bytes(1, count) == 0,
        "bytes of a list" + shape);
  List list(by_estimate, count);
  encode(by_estimate, data, list);
  Bits cells(dim);
  for (std::size_t i = 0; i < count; ++i) {
    by_estimate.cells(list.view(), i, cells.data());
    check(cells == cells_of(data, data.row(i), data.row(0)).cells, "cells there and back" + shape);
  }
  std::vector<std::uint32_t> places(count);
  for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>((i * 17 + 3) % count);
  const std::size_t later = count / 64 * 32;
  VaFileRows::Query estimating, bounding;
  by_estimate.prepare(active_kernels(), data.row(0), estimating);  // its memory is used again
  for (const Vector& q : queries_of(data, random)) {
    by_estimate.prepare(active_kernels(), q.data(), estimating);
    by_bound.prepare(active_kernels(), q.data(), bounding);
    const double norm = squared_distance(q.data(), Vector(dim, 0.0f).data(), dim);
    // An entry rounded to the nearest is off by half a step, one rounded down by a step; there are at most dim of them.
    // The scores are of two terms and a difference in float32.
    const double entries = static_cast<double>(dim);
    const double rounding = entries * (bounding.half_step + bounding.step);
    Vector scores(count), bound_scores(count), again(count), refined(count), bounds(count), first_scores;
    for (const KernelTable* kernels : available_kernels()) {
      const std::string name = shape + " " + std::string(isa_name(kernels->isa));
      by_estimate.score(*kernels, estimating, {0.5f}, list.view(), 0, count, scores.data());
      by_estimate.score(*kernels, estimating, {0.5f}, list.view(), later, count - later, again.data());
      by_estimate.refine(*kernels, estimating, {0.5f}, list.view(), places.data(), count, refined.data());
      by_bound.score(*kernels, bounding, {}, list.view(), 0, count, bound_scores.data());
      by_estimate.lower_bounds(*kernels, q.data(), list.view(), 0, count, bounds.data());
      for (std::size_t i = 0; i < count; ++i) {
        const Cells exact = cells_of(data, data.row(i), q.data());
        const double distance = squared_distance(data.row(i), q.data(), dim);
        check(bounds[i] <= distance, "a lower bound is one: " + std::to_string(bounds[i]) + " for " +
                                         std::to_string(distance) + name);
        check(bounds[i] >= exact.bound * (1 - 2 * unit) - rounding, "and is near the cells' own" + name);
        const double slack =
            entries / 2 * (estimating.half_step + estimating.step) + 6 * unit * (norm + exact.estimate + 1);
        const double off = std::fabs(scores[i] - (0.5 + norm - exact.estimate));
        check(off <= slack, "an estimate within its bound: off by " + std::to_string(off) + " of " +
                                std::to_string(slack) + name);
        check(std::fabs(bound_scores[i] - (norm - bounds[i])) <= 6 * unit * (norm + distance),
              "bounds as scores" + name);
        check(refined[i] == scores[places[i]], "refined as scored" + name);
        if (later + i < count) check(again[i] == scores[later + i], "the same from a later block on" + name);
      }
      if (first_scores.empty()) first_scores = scores;
      check(scores == first_scores, "the same scores on every instruction set" + name);
    }
  }
}

// Bits of every size, with and without company that fills bytes.
void check_many_shapes(std::mt19937& random) {
  for (std::uint8_t b = 1; b <= 8; ++b)
    for (const std::size_t dim : {1, 2, 7, 13}) check_codes_and_scores(Data(Bits(dim, b), 70, random), random);
  const std::vector<Bits> mixed = {{5, 3, 0, 6, 2, 7, 1, 8, 4, 4}, {0, 0, 1},       {3, 3, 2},
                                   {7, 7, 7, 1},                   {5, 5, 5, 4, 3}, {6, 5, 4, 3, 2, 1, 0}};
  for (const Bits& bits : mixed)
    check_codes_and_scores(Data(bits, 70, random), random);
  for (int trial = 0; trial < 12; ++trial) {
    Bits bits(1 + random() % 90);
    for (std::uint8_t& b : bits) b = static_cast<std::uint8_t>(random() % 9);
    bits[0] = 1;
    check_codes_and_scores(Data(bits, 33 + random() % 70, random), random);
  }
  Bits falling(300);  // as a spectrum gives them
  for (std::size_t j = 0; j < falling.size(); ++j) falling[j] = static_cast<std::uint8_t>(8 - j / 40);
  check_codes_and_scores(Data(falling, 560, random), random);  // more than a tile
}

// The VA-file's search: by rising bound, until no bound is below the k-th distance. It finds what a full scan finds.
void check_that_bounds_find_the_neighbours(std::mt19937& random) {
  constexpr std::size_t k = 5;
  const Data data(Bits(24, 3), 600, random);
  const VaFileRows codec(data.bits, data.centres, VaRank::lower_bound, 2);
  List list(codec, data.count);
  encode(codec, data, list);
  Vector bounds(data.count);
  for (int trial = 0; trial < 20; ++trial) {
    const Vector q = queries_of(data, random)[0];
    codec.lower_bounds(*available_kernels().back(), q.data(), list.view(), 0, data.count, bounds.data());
    std::vector<std::pair<double, std::size_t>> exact, found;
    for (std::size_t i = 0; i < data.count; ++i) exact.push_back({squared_distance(data.row(i), q.data(), 24), i});
    std::vector<std::size_t> order(data.count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return bounds[a] < bounds[b]; });
    std::size_t looked_at = 0;
    for (const std::size_t i : order) {
      if (found.size() == k && bounds[i] > found.back().first) break;
      ++looked_at;
      found.push_back(exact[i]);
      std::sort(found.begin(), found.end());
      found.resize(std::min(found.size(), k));
    }
    std::sort(exact.begin(), exact.end());
    exact.resize(k);
    check(found == exact, "the neighbours that bounds lead to are the true ones");
    check(looked_at < data.count / 2, "after looking at " + std::to_string(looked_at) + " of 600");
  }
}

std::size_t bits_apart(const Data& data, const float* a, const float* b) {
  std::size_t different = 0;
  for (std::size_t j = 0; j < data.bits.size(); ++j) different += (a[j] > data.middles[j]) != (b[j] > data.middles[j]);
  return different;
}

void check_first_stage(std::mt19937& random) {
  const Data data(Bits(70, 2), 1000, random);
  const VaFileRows whole(data.bits, data.centres, VaRank::estimate, 2);
  const Bits placeholder(9, 0);
  const VaFileRows signer(data.bits, data.centres, VaRank::estimate, 2, {0.5f, data.middles, placeholder});
  Bits sample(500 * 9);
  for (std::size_t i = 0; i < 500; ++i) signer.signs_of(data.row(2 * i), sample.data() + 9 * i);
  for (const float keep : {0.001f, 0.1f, 0.5f, 0.999f}) {
    const VaFileRows codec(data.bits, data.centres, VaRank::estimate, 2, {keep, data.middles, sample});
    List list(codec, data.count);
    check(codec.bytes(1, 7) == 63, "one bit a dimension more");
    encode(codec, data, list);
    VaFileRows::Query query;
    Vector all(data.count), scores(data.count), refined(data.count), first_scores;
    std::vector<std::uint32_t> places(data.count);
    std::iota(places.begin(), places.end(), 0u);
    double passed = 0;
    for (int trial = 0; trial < 10; ++trial) {
      const Vector q = queries_of(data, random)[0];
      codec.prepare(active_kernels(), q.data(), query);
      std::vector<std::size_t> distances;
      for (std::size_t i = 0; i < 500; ++i) distances.push_back(bits_apart(data, q.data(), data.row(2 * i)));
      std::sort(distances.begin(), distances.end());
      const auto wanted = static_cast<std::size_t>(std::ceil(static_cast<double>(keep) * 500));
      check(query.limit == distances[wanted - 1], "the limit is the sample's quantile");
      first_scores.clear();
      for (const KernelTable* kernels : available_kernels()) {
        whole.score(*kernels, query, {}, list.view(), 0, data.count, all.data());
        codec.score(*kernels, query, {}, list.view(), 0, data.count, scores.data());
        codec.refine(*kernels, query, {}, list.view(), places.data(), data.count, refined.data());
        for (std::size_t i = 0; i < data.count; ++i) {
          const bool passes = bits_apart(data, q.data(), data.row(i)) <= query.limit;
          check(scores[i] == (passes ? all[i] : -INFINITY), "codes within the limit score as they do, no others");
        }
        check(refined == scores, "refined as scored behind a first stage");
        if (first_scores.empty()) first_scores = scores;
        check(scores == first_scores, "the same on every instruction set behind a first stage");
      }
      for (const float score : scores) passed += std::isfinite(score) ? 1 : 0;
    }
    // Three standard errors of a quantile of 500, over 10 queries; ties at the limit come on top: no one distance of 70
    // fair bits is as likely as 0.1.
    const double share = passed / 10 / static_cast<double>(data.count);
    const double doubt = 3 * std::sqrt(keep * (1 - keep) / 500.0 / 10);
    check(share >= keep - doubt && share <= keep + doubt + 0.1,
          "the first stage keeps " + std::to_string(share) + " where " + std::to_string(keep) + " is asked for");
  }
}

void check_moves(std::mt19937& random) {
  const Data data({5, 3, 3, 2, 4, 4, 1, 7, 0, 6}, 70, random);
  const Bits sample = {0xff, 0x03, 0x00, 0x00};  // one of them at most 5 of 10 bits away: half of the codes do not pass
  const VaFileRows codec(data.bits, data.centres, VaRank::estimate, 2, {0.5f, data.middles, sample});
  List list(codec, data.count);
  encode(codec, data, list);
  VaFileRows::Query query;
  codec.prepare(active_kernels(), data.row(4), query);
  Vector scores(data.count), after(data.count);
  const KernelTable& kernels = *available_kernels().back();
  codec.score(kernels, query, {}, list.view(), 0, data.count, scores.data());
  for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{69, 3}, {5, 40}, {20, 12}, {8, 8}, {3, 33}}) {
    codec.move(list.mutable_codes(), from, to);
    scores[to] = scores[from];
    codec.score(kernels, query, {}, list.view(), 0, data.count, after.data());
    check(after == scores, "a moved code scores as it did, and no other changes");
  }
}

void check_degenerate() {
  // Fewer values than cells: equal centres, whose cells are empty. A constant dimension has its one value for a centre.
  const Bits bits = {2, 0, 3};
  const Vector centres = {1, 1, 2, 2, 7, 4, 4, 4, 4, 4, 4, 4, 4};
  const VaFileRows codec(bits, centres, VaRank::estimate, 2);
  List list(codec, 3);
  const Vector base = {1, 7, 4, 2, 7, 4, 1.25f, 7, 4};
  codec.encode(base.data(), nullptr, nullptr, 3, list.mutable_codes(), 0);
  VaFileRows::Query query;
  const Vector q = {2, 6, 3};
  codec.prepare(active_kernels(), q.data(), query);
  float scores[3], bounds[3];
  const KernelTable& kernels = *available_kernels().back();
  codec.score(kernels, query, {}, list.view(), 0, 3, scores);
  codec.lower_bounds(kernels, q.data(), list.view(), 0, 3, bounds);
  check(std::fabs(scores[0] - 46) < 1e-4f && std::fabs(scores[1] - 47) < 1e-4f, "values that are centres are exact");
  check(scores[2] == scores[0], "and others are taken for them");
  check(bounds[0] <= 3 && bounds[1] <= 2 && bounds[0] >= 0.24f, "bounds where cells are empty");
  codec.prepare(active_kernels(), Vector(3, 0.0f).data(), query);
  codec.score(kernels, query, {}, list.view(), 0, 3, scores);
  check(std::fabs(scores[0] + 66) < 1e-4f, "a zero query");
  const auto refused = [](const Bits& b, const Vector& c, float weight, const VaHamming& hamming = {}) {
    try {
      const VaFileRows made(b, c, VaRank::estimate, weight, hamming);
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  };
  check(!refused(bits, centres, 2), "what the others differ from");
  check(refused(bits, centres, 1), "inner products have no lower bounds");
  check(refused({9}, Vector(512), 2) && refused({0, 0}, {1, 2}, 2) && refused({}, {}, 2), "bits that cannot be");
  check(refused({1}, {1}, 2) && refused({1}, {2, 1}, 2) && refused({1}, {NAN, 1}, 2), "centres that cannot be");
  const Bits sample = {1, 2};
  const Vector middles = {1, 2, 3};
  check(!refused(bits, centres, 2, {0.5f, middles, sample}), "a first stage");
  check(refused(bits, centres, 2, {0, middles, sample}) && refused(bits, centres, 2, {NAN, middles, sample}) &&
            refused(bits, centres, 2, {0.5f, {}, sample}) && refused(bits, centres, 2, {0.5f, middles, {}}),
        "a first stage that cannot be");
  bool thrown = false;
  try {
    codec.encode(base.data(), nullptr, q.data(), 1, list.mutable_codes(), 0);
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  check(thrown, "an anchor is refused");
}

}  // namespace

void test_va_file_rows() {
  std::mt19937 random(8);
  check_many_shapes(random);
  check_that_bounds_find_the_neighbours(random);
  check_first_stage(random);
  check_moves(random);
  check_degenerate();
}

}  // namespace annbench::tests
