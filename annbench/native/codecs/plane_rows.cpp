#include "codecs/plane_rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <string>

#include "codecs/reconstruction.hpp"

namespace annbench {
namespace {

constexpr std::size_t score_block = 128;  // rows that are counted before their factors are read, again from L1

bool is_symmetric(UniformFit fit) { return fit == UniformFit::rabitq || fit == UniformFit::rabitq_fast; }

float middle_of(int bits) { return 0.5f * static_cast<float>((1 << bits) - 1); }

// How many dimensions have bits.
std::size_t with_bits(std::span<const std::uint8_t> bits) {
  const auto without = static_cast<std::size_t>(std::count(bits.begin(), bits.end(), std::uint8_t{0}));
  if (without == bits.size()) throw std::invalid_argument("at least one dimension must have bits");
  return bits.size() - without;
}

// The largest Σ codes in bits, if a float has them to spare: for codes of `bits` bits in `dim` dimensions, whose error
// is 1.5·2^−bits/√dim of a vector's length (the cosines of RaBitQ's codes), a relative error of the factor of at most
// an eighth of that. Else 0.
int spare_bits(std::uint64_t largest_sum, int bits, std::size_t dim) {
  const int width = static_cast<int>(std::bit_width(largest_sum));
  const double error = std::ldexp(1.5, -bits) / std::sqrt(static_cast<double>(dim));
  return width < 24 && std::ldexp(1.0, width - 24) <= error / 8 ? width : 0;
}

// The nearest float whose last bits are 0.
float with_spare_bits(float value, int bits) {
  const std::uint32_t half = (1u << bits) / 2, mask = (1u << bits) - 1;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + half) & ~mask);
}

// ---- the grid of least error for a normal variable

double density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }
double beyond(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

// The mean squared error of a normal variable on the grid ±½, ±3/2, … times `step`, less its variance.
double excess_error(double step, int cells_a_side) {
  double sum = 0;
  for (int k = 0; k < cells_a_side; ++k) {
    const double value = (k + 0.5) * step, low = k * step;
    const bool last = k + 1 == cells_a_side;
    const double mean = density(low) - (last ? 0 : density(low + step));
    const double share = beyond(low) - (last ? 0 : beyond(low + step));
    sum += value * value * share - 2 * value * mean;
  }
  return 2 * sum;
}

// Golden section: the error has one minimum, between a grid that ends within a deviation and one that ends beyond 8.
double least_error_step(int bits) {
  constexpr double golden = 0.6180339887498949;
  const int cells = 1 << (bits - 1);
  double low = 0.5 / cells, high = 8.0 / cells;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = excess_error(left, cells), at_right = excess_error(right, cells);
  while (high - low > 1e-9) {
    if (at_left < at_right) {
      high = right, right = left, at_right = at_left;
      left = high - golden * (high - low), at_left = excess_error(left, cells);
    } else {
      low = left, left = right, at_left = at_right;
      right = low + golden * (high - low), at_right = excess_error(right, cells);
    }
  }
  return (low + high) / 2;
}

}  // namespace

double gaussian_step(int bits) {
  static const std::array<double, 8> steps = [] {
    std::array<double, 8> found{};
    for (int b = 1; b <= 8; ++b) found[static_cast<std::size_t>(b - 1)] = least_error_step(b);
    return found;
  }();
  if (bits < 1 || bits > 8) throw std::invalid_argument("bits must be 1 to 8, got " + std::to_string(bits));
  return steps[static_cast<std::size_t>(bits - 1)];
}

std::vector<std::uint8_t> PlaneRows::allocate_bits(std::span<const float> variances, std::size_t total_bits,
                                                   int max_bits) {
  if (max_bits < 1 || max_bits > 8) throw std::invalid_argument("bits must be 1 to 8, got " + std::to_string(max_bits));
  const std::size_t most = variances.size() * static_cast<std::size_t>(max_bits);
  if (total_bits > most)
    throw std::invalid_argument(std::to_string(total_bits) + " bits are more than " + std::to_string(variances.size()) +
                                " dimensions hold, " + std::to_string(most));
  struct Energy {
    double size;
    std::size_t dimension;
    bool operator<(const Energy& other) const {
      return size != other.size ? size < other.size : dimension > other.dimension;
    }
  };
  std::priority_queue<Energy> energies;
  for (std::size_t j = 0; j < variances.size(); ++j) {
    if (!(variances[j] >= 0) || !std::isfinite(variances[j]))
      throw std::invalid_argument("variances must be finite and not negative");
    energies.push({variances[j], j});
  }
  std::vector<std::uint8_t> bits(variances.size());
  for (std::size_t spent = 0; spent < total_bits; ++spent) {
    const Energy largest = energies.top();
    energies.pop();
    if (++bits[largest.dimension] < max_bits) energies.push({largest.size / 4, largest.dimension});
  }
  return bits;
}

PlaneRows::PlaneRows(std::size_t dim, int bits, UniformFit fit, float weight, const Options& options)
    : dim_(dim), weight_(weight), rescale_(options.rescale), symmetric_(is_symmetric(fit)),
      quantizer_(std::in_place, dim, bits, fit), query_quantizer_(dim, options.query_bits, options.query_fit) {
  lay_out(std::vector<std::uint8_t>(std::min(dim, 64 * max_plane_words + 1), static_cast<std::uint8_t>(bits)));
}

PlaneRows::PlaneRows(std::span<const std::uint8_t> bits, std::span<const float> scales, float weight,
                     const Options& options)
    : dim_(bits.size()), weight_(weight), rescale_(options.rescale), symmetric_(true),
      query_quantizer_(with_bits(bits), options.query_bits, options.query_fit) {
  if (scales.size() != bits.size()) throw std::invalid_argument("there must be as many scales as bits");
  for (std::size_t j = 0; j < dim_; ++j) {
    if (bits[j] > 8) throw std::invalid_argument("bits must be 0 to 8, got " + std::to_string(bits[j]));
    if (!(scales[j] >= 0) || !std::isfinite(2 * scales[j]))  // the largest step is 1.6 of them
      throw std::invalid_argument("scales must be finite and not negative");
  }
  places_.resize(dim_);
  std::iota(places_.begin(), places_.end(), 0u);
  std::stable_sort(places_.begin(), places_.end(), [&](std::uint32_t a, std::uint32_t b) { return bits[a] > bits[b]; });
  places_.resize(with_bits(bits));
  std::vector<std::uint8_t> sorted_bits;
  for (const std::uint32_t j : places_) {
    sorted_bits.push_back(bits[j]);
    steps_.push_back(static_cast<float>(scales[j] * gaussian_step(bits[j])));
    middles_.push_back(middle_of(bits[j]));
  }
  lay_out(sorted_bits);
}

void PlaneRows::lay_out(const std::vector<std::uint8_t>& sorted_bits) {
  if (plane_words(sorted_bits.size()) > max_plane_words) throw std::invalid_argument("dim does not fit into a row");
  const auto planes = static_cast<std::size_t>(query_quantizer_.bits());
  std::size_t in_query = 0;
  for (int p = sorted_bits.front() - 1; p >= 0; --p) {
    std::size_t dims = 0;
    while (dims < sorted_bits.size() && sorted_bits[dims] > p) ++dims;
    const std::size_t words = plane_words(dims);
    if (segments_.empty() || segments_.back().words != words) {
      segments_.push_back({dims, words, 0, 0, factors_at_, in_query});
      in_query += 8 * words * planes;
    }
    Segment& segment = segments_.back();
    segment.dims = dims;
    segment.shift = p;
    ++segment.planes;
    factors_at_ += 8 * words;
  }
  if (!symmetric_) return;
  std::uint64_t largest_sum = 0, total_bits = 0;
  for (const std::uint8_t bits : sorted_bits) largest_sum += (1u << bits) - 1, total_bits += bits;
  // Bits where they are worth most do as well as some more everywhere. Whole, so that every machine lays out alike.
  const auto mean_bits = static_cast<int>((total_bits + dim_ - 1) / dim_);
  sum_bits_ = spare_bits(largest_sum, mean_bits + (fixed() ? 2 : 0), dim_);
}

// The codes of the coded dimensions in their order, what they stand for in the order of v, and the grid; without a grid
// of its own the step is 1.
UniformGrid PlaneRows::encode_one(const float* v, std::uint8_t* codes, double* reconstruction) const {
  if (!fixed()) {
    const UniformGrid grid = quantizer_->encode(v, codes);
    const double lower = symmetric_ ? -middle_of(quantizer_->bits()) * static_cast<double>(grid.step) : grid.lower;
    for (std::size_t j = 0; j < dim_; ++j) reconstruction[j] = lower + static_cast<double>(grid.step) * codes[j];
    return grid;
  }
  std::fill(reconstruction, reconstruction + dim_, 0.0);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const double step = steps_[i], middle = middles_[i];
    const double position = step > 0 ? v[places_[i]] / step + middle : middle;
    codes[i] = static_cast<std::uint8_t>(std::clamp(std::floor(position + 0.5), 0.0, 2 * middle));
    reconstruction[places_[i]] = step * (codes[i] - middle);
  }
  return {0, 1};
}

void PlaneRows::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                       const MutableCodes& codes, std::size_t first) const {
  std::vector<std::uint8_t> one(coded()), shifted(coded());
  std::vector<double> reconstruction(dim_);
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = vectors + i * dim_;
    const UniformGrid grid = encode_one(v, one.data(), reconstruction.data());
    double rescale = rescale_ ? rescale_of(v, reconstruction.data(), dim_) : 1.0;
    float step = static_cast<float>(weight_ * rescale * grid.step);
    if (sum_bits_ > 0) {
      step = with_spare_bits(step, sum_bits_);
      if (grid.step > 0) rescale = step / (static_cast<double>(weight_) * grid.step);
    }
    const Rest rest = rest_of(v, reconstruction.data(), rescale, anchor, dim_);
    std::uint8_t* row = codes[0] + (first + i) * row_bytes();
    for (const Segment& segment : segments_) {
      for (std::size_t j = 0; j < segment.dims; ++j) shifted[j] = static_cast<std::uint8_t>(one[j] >> segment.shift);
      pack_planes(shifted.data(), segment.dims, segment.planes, row + segment.offset);
    }
    const auto sum = std::accumulate(one.begin(), one.end(), std::uint32_t{0});
    std::array<float, 4> factors = {static_cast<float>(bias[i] + weight_ * rest.correction), step,
                                    symmetric_ ? 0.0f : static_cast<float>(weight_ * rescale * grid.lower),
                                    static_cast<float>(sum)};
    if (sum_bits_ > 0) factors[1] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(step) | sum);
    std::memcpy(row + factors_at_, factors.data(), 4 * this->factors());
  }
}

PlaneRows::Factors PlaneRows::factors_of(const std::uint8_t* row) const {
  Factors found{};
  if (sum_bits_ == 0) {
    std::memcpy(&found, row + factors_at_, sizeof(found));
    return found;
  }
  const std::uint32_t mask = (1u << sum_bits_) - 1;
  std::uint32_t both;
  std::memcpy(&found.bias, row + factors_at_, 4);
  std::memcpy(&both, row + factors_at_ + 4, 4);
  found.step = std::bit_cast<float>(both & ~mask);
  found.sum = static_cast<float>(both & mask);
  return found;
}

void PlaneRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  std::memmove(codes[0] + to * row_bytes(), codes[0] + from * row_bytes(), row_bytes());
}

void PlaneRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> one(coded()), part(coded());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes[0] + (first + i) * row_bytes();
    std::fill(one.begin(), one.end(), std::uint8_t{0});
    for (const Segment& segment : segments_) {
      unpack_planes(row + segment.offset, segment.dims, segment.planes, part.data());
      for (std::size_t j = 0; j < segment.dims; ++j)
        one[j] = static_cast<std::uint8_t>(one[j] | part[j] << segment.shift);
    }
    const Factors factors = factors_of(row);
    float* v = vectors + i * dim_;
    if (fixed()) {
      std::fill(v, v + dim_, 0.0f);
      for (std::size_t j = 0; j < coded(); ++j)
        v[places_[j]] = factors.step * steps_[j] * (one[j] - middles_[j]) / weight_;
    } else {
      const float lower = symmetric_ ? -middle_of(quantizer_->bits()) * factors.step : factors.lower;
      for (std::size_t j = 0; j < dim_; ++j) v[j] = (lower + factors.step * one[j]) / weight_;
    }
  }
}

void PlaneRows::prepare(const KernelTable&, const float* query, Query& prepared) const {
  const auto planes = static_cast<std::size_t>(query_quantizer_.bits());
  const std::size_t plane_bytes = segments_.back().in_query + 8 * segments_.back().words * planes;
  if (prepared.planes.size() != plane_bytes) prepared.planes = AlignedBuffer<std::uint8_t>(plane_bytes);
  prepared.codes.resize(coded());
  const float* values = query;
  if (fixed()) {
    prepared.values.resize(coded());
    constexpr float most = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < coded(); ++i)
      prepared.values[i] = std::clamp(query[places_[i]] * steps_[i], -most, most);
    values = prepared.values.data();
  }
  prepared.grid = query_quantizer_.encode(values, prepared.codes.data());
  for (const Segment& segment : segments_)
    pack_planes(prepared.codes.data(), segment.dims, planes, prepared.planes.data() + segment.in_query);
  // Sums of the rounded values, not of the query's: its error then meets what the codes stand for, which is about 0.
  const double lower = prepared.grid.lower, step = prepared.grid.step;
  double sum = 0, middles = 0;
  for (std::size_t i = 0; i < coded(); ++i) {
    const double value = lower + step * prepared.codes[i];
    sum += value;
    if (fixed()) middles += value * middles_[i];
  }
  prepared.sum = static_cast<float>(sum);
  prepared.centre = fixed() ? -middles : symmetric_ ? -middle_of(quantizer_->bits()) * sum : 0.0;
}

void PlaneRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                      std::size_t first, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0] + first * row_bytes(), nullptr, count, scores);
}

void PlaneRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       const std::uint32_t* places, std::size_t count, float* scores) const {
  score_rows(kernels, query, probe.offset, codes[0], places, count, scores);
}

// Σ codes of the query · codes of the row.
void PlaneRows::count_block(const KernelTable& kernels, const Query& query, const std::uint8_t* base,
                            const std::uint32_t* places, std::size_t count, std::uint32_t* products) const {
  std::array<std::uint32_t, score_block> more;
  for (const Segment& segment : segments_) {
    const bool begins = segment.offset == 0;
    std::uint32_t* counts = begins ? products : more.data();
    const PlaneShape shape{segment.words, segment.planes, static_cast<std::size_t>(query_quantizer_.bits()),
                           row_bytes()};
    kernels.plane_dot(shape, query.planes.data() + segment.in_query, base + segment.offset, places, count, counts);
    if (begins && segment.shift == 0) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t weighted = counts[i] << segment.shift;
      products[i] = begins ? weighted : products[i] + weighted;
    }
  }
}

void PlaneRows::score_rows(const KernelTable& kernels, const Query& query, float offset, const std::uint8_t* rows,
                           const std::uint32_t* places, std::size_t count, float* scores) const {
  std::array<std::uint32_t, score_block> products;
  const double step = query.grid.step, lower = query.grid.lower;
  for (std::size_t first = 0; first < count; first += score_block) {
    const std::size_t block = std::min(score_block, count - first);
    const std::uint8_t* base = places == nullptr ? rows + first * row_bytes() : rows;
    const std::uint32_t* gathered = places == nullptr ? nullptr : places + first;
    count_block(kernels, query, base, gathered, block, products.data());
    for (std::size_t i = 0; i < block; ++i) {
      const Factors factors = factors_of(base + (gathered == nullptr ? i : gathered[i]) * row_bytes());
      // In double: the sums of unsigned codes are large, and all but little of them cancels.
      const double inner = step * products[i] + lower * factors.sum + query.centre;
      scores[first + i] = offset + factors.bias + factors.step * static_cast<float>(inner) + factors.lower * query.sum;
    }
  }
}

}  // namespace annbench
