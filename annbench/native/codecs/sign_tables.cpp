#include "codecs/sign_tables.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "support/wide_dot.hpp"

namespace annbench {
namespace {

// √(1 − s²) for the mean s² = 2/π of s = ⟨w, v⟩/(‖w‖·‖v‖): a code's error is about this times its scale, per √(m/dim).
constexpr double mean_sine = 0.6028;
// A scale is rounded to 10 bits of fraction: by this much of itself at most.
constexpr double scale_rounding = 0x1p-11;
constexpr double largest = 3e38;  // of a factor: all but the largest float
constexpr std::size_t select_codes = 512;  // whose bounds wait in L1 for their comparison

// The eight groups of a stretch whose entries are added as bytes are those of one parity: unit 2·stretch + parity.
struct Units {
  std::size_t groups;

  std::size_t count() const { return (groups + sign_stretch - 1) / sign_stretch * 2; }
  // Groups of a unit: fewer in the last stretch.
  std::size_t size(std::size_t unit) const {
    return std::min(sign_stretch, groups - unit / 2 * sign_stretch) / 2;
  }
  std::size_t group(std::size_t unit, std::size_t i) const { return unit / 2 * sign_stretch + unit % 2 + 2 * i; }
};

// Deals `dims` dimensions out to the units, to and fro, while there is room in them.
std::vector<std::uint16_t> deal(std::size_t dims, std::size_t groups) {
  const Units units{groups};
  std::vector<std::uint16_t> slots;
  slots.reserve(dims);
  for (std::size_t round = 0; slots.size() < dims; ++round)
    for (std::size_t u = 0; u < units.count() && slots.size() < dims; ++u) {
      const std::size_t unit = round % 2 == 0 ? u : units.count() - 1 - u;
      if (round < 4 * units.size(unit))
        slots.push_back(static_cast<std::uint16_t>(4 * units.group(unit, round / 4) + round % 4));
    }
  return slots;
}

// The nearest word to `scale` that holds `error`, rounded up: see kernels/sign_scan.hpp. Neither is negative.
std::uint32_t word_of(float scale, float error) {
  constexpr std::uint32_t most = (std::bit_cast<std::uint32_t>(std::numeric_limits<float>::max()) >> sign_error_shift);
  constexpr std::uint32_t round_up = (1u << sign_error_shift) - 1;
  const std::uint32_t held = std::min((std::bit_cast<std::uint32_t>(error) + round_up) >> sign_error_shift, most);
  const std::uint32_t below = (std::bit_cast<std::uint32_t>(scale) & ~sign_error_mask) | held;
  std::uint32_t best = below;
  for (const std::uint32_t near : {below - (sign_error_mask + 1), below + (sign_error_mask + 1)}) {
    const float value = std::bit_cast<float>(near);
    if (!(value >= 0) || !std::isfinite(value)) continue;
    if (std::fabs(value - scale) < std::fabs(std::bit_cast<float>(best) - scale)) best = near;
  }
  return best;
}

float slack_of(const SignTables::Query& query, const Probe& probe) {
  return probe.epsilon * std::sqrt(probe.distance * probe.distance + query.noise * query.noise);
}

}  // namespace

SignTables::SignTables(std::size_t dim, float weight) : dim_(dim), weight_(weight) {
  if (dim < 1 || dim > max_dim)
    throw std::invalid_argument("signs are scanned for 1 to " + std::to_string(max_dim) + " dimensions, got " +
                                std::to_string(dim));
  groups_ = table_groups((dim + 3) / 4);
  used_groups_ = (dim + 7) / 8 * 2;
  slots_ = deal(dim, used_groups_);
}

std::size_t SignTables::bytes(std::size_t part, std::size_t count) const {
  return part == 0 ? (count + table_block - 1) / table_block * sign_block_bytes(groups_) : 0;
}

const std::uint8_t* SignTables::block_of(const CodesView& codes, std::size_t place) const {
  return codes[0] + place / table_block * sign_block_bytes(groups_);
}

std::uint8_t* SignTables::block_of(const MutableCodes& codes, std::size_t place) const {
  return codes[0] + place / table_block * sign_block_bytes(groups_);
}

void SignTables::encode(const float* vectors, const float* bias, const float* anchor, std::size_t count,
                        const MutableCodes& codes, std::size_t first) const {
  std::vector<std::uint8_t> code(groups_), bits(4 * used_groups_);
  std::vector<float> signs(dim_);
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = vectors + i * dim_;
    // Without branches: signs cannot be foreseen.
    for (std::size_t j = 0; j < dim_; ++j) signs[j] = static_cast<float>(2 * static_cast<int>(v[j] > 0) - 1);
    for (std::size_t j = 0; j < dim_; ++j) bits[slots_[j]] = static_cast<std::uint8_t>(v[j] > 0);
    for (std::size_t g = 0; g < used_groups_; ++g)
      code[g] = static_cast<std::uint8_t>(bits[4 * g] | bits[4 * g + 1] << 1 | bits[4 * g + 2] << 2 | bits[4 * g + 3] << 3);
    const double squares = wide_dot(v, v, dim_), product = wide_dot(signs.data(), v, dim_);
    const float scale = product > 0 ? static_cast<float>(std::min(weight_ * squares / product, largest)) : 0.0f;
    // Without signs to go by, the estimate is 0 and all of ⟨q, v⟩ its error.
    const double inverse = product > 0 ? squares * static_cast<double>(dim_) / (product * product) : 2.0;
    const double spread = dim_ > 1 ? std::max(0.0, inverse - 1) / static_cast<double>(dim_ - 1) : 0.0;
    const double error = weight_ * std::sqrt(squares * (spread + scale_rounding * scale_rounding * inverse));
    const std::uint32_t word = word_of(scale, static_cast<float>(std::min(error, largest)));
    double correction = 0;
    if (anchor != nullptr)
      correction = weight_ * wide_dot(anchor, v, dim_) -
                   std::bit_cast<float>(word) * wide_dot(anchor, signs.data(), dim_);
    const auto corrected = static_cast<float>(bias[i] + correction);
    std::uint8_t* block = block_of(codes, first + i);
    const std::size_t j = (first + i) % table_block;
    put_table_code(code.data(), groups_, j, block);
    std::memcpy(block + sign_bias_offset(groups_) + 4 * j, &corrected, 4);
    std::memcpy(block + sign_word_offset(groups_) + 4 * j, &word, 4);
  }
}

void SignTables::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  std::array<std::uint8_t, max_table_groups> code;  // no memory of its own: a removal that has begun must not fail
  const std::size_t i = from % table_block, j = to % table_block;
  const std::uint8_t* source = block_of(codes, from);
  std::uint8_t* target = block_of(codes, to);
  get_table_code(source, groups_, i, code.data());
  put_table_code(code.data(), groups_, j, target);
  std::memmove(target + sign_bias_offset(groups_) + 4 * j, source + sign_bias_offset(groups_) + 4 * i, 4);
  std::memmove(target + sign_word_offset(groups_) + 4 * j, source + sign_word_offset(groups_) + 4 * i, 4);
}

void SignTables::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::array<std::uint8_t, max_table_groups> code;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* block = block_of(codes, first + i);
    const std::size_t lane = (first + i) % table_block;
    get_table_code(block, groups_, lane, code.data());
    float scale;
    std::memcpy(&scale, block + sign_word_offset(groups_) + 4 * lane, 4);
    for (std::size_t j = 0; j < dim_; ++j)
      vectors[i * dim_ + j] = (code[slots_[j] / 4] >> slots_[j] % 4 & 1 ? scale : -scale) / weight_;
  }
}

void SignTables::prepare(const KernelTable&, const float* query, Query& prepared) const {
  const Units units{used_groups_};
  if (prepared.tables.size() != 16 * groups_) prepared.tables = AlignedBuffer<std::uint8_t>(16 * groups_);
  prepared.dealt.assign(4 * used_groups_, 0.0f);
  for (std::size_t j = 0; j < dim_; ++j) prepared.dealt[slots_[j]] = query[j];
  // The range of a group's sums is 2·Σ|q_j|. Rounding adds at most ½ an entry, and a little is left for that of floats.
  float inverse = std::numeric_limits<float>::infinity();
  for (std::size_t u = 0; u < units.count(); ++u) {
    float sizes[4] = {};
    for (std::size_t i = 0; i < units.size(u); ++i)
      for (std::size_t b = 0; b < 4; ++b) sizes[b] += std::fabs(prepared.dealt[4 * units.group(u, i) + b]);
    const float range = 2 * ((sizes[0] + sizes[1]) + (sizes[2] + sizes[3]));
    inverse = std::min(inverse, (254.9f - 0.5f * static_cast<float>(units.size(u))) / range);
  }
  const bool usable = std::isfinite(inverse) && std::isfinite(1 / inverse);
  prepared.step = usable ? 1 / inverse : 0.0f;
  prepared.base = prepared.step * fill_tables(prepared, usable ? inverse : 0.0f);
  // Each entry is off by a value from −½ to ½ of a step.
  const double rounding = prepared.step * std::sqrt(static_cast<double>(used_groups_) / 12);
  const double part = static_cast<double>(dim_) / static_cast<double>(std::max<std::size_t>(dim_, 2) - 1);
  prepared.noise = static_cast<float>(rounding / (mean_sine * std::sqrt(part)));
}

float SignTables::fill_tables(Query& prepared, float inverse) const {
  // Sums of 16 bits, 7 of them of fraction, eight in a vector. What is cut off makes entries no larger.
  using Eight = std::uint16_t __attribute__((vector_size(16)));
  constexpr int fraction = 7;
  constexpr Eight first = {0, 1, 0, 1, 0, 1, 0, 1}, second = {0, 0, 1, 1, 0, 0, 1, 1}, third = {0, 0, 0, 0, 1, 1, 1, 1};
  const float unit = 2 * inverse * (1 << fraction);
  const float* q = prepared.dealt.data();
  std::uint8_t* table = prepared.tables.data();
  std::int64_t sizes = 0;
  for (std::size_t g = 0; g < used_groups_; ++g, q += 4, table += 16) {
    // A bit that is set adds 2·q_j to the sum; the smallest sum has the bits of the negative ones.
    std::uint16_t set[4];
    int smallest = 0;
    for (std::size_t b = 0; b < 4; ++b) {
      const int twice = static_cast<int>(unit * q[b]);
      smallest += std::min(twice, 0);
      sizes += std::abs(twice);
      set[b] = static_cast<std::uint16_t>(twice);
    }
    const auto start = static_cast<std::uint16_t>((1 << (fraction - 1)) - smallest);
    const Eight low = start + first * set[0] + second * set[1] + third * set[2];
    const Eight halves[2] = {low >> fraction, (low + set[3]) >> fraction};
    for (std::size_t c = 0; c < 16; ++c) table[c] = static_cast<std::uint8_t>(halves[c / 8][c % 8]);
  }
  return -0.5f * static_cast<float>(sizes) / (1 << fraction);
}

void SignTables::prepare_halves(Query& prepared) const {
  if (prepared.halves.size() != 16 * used_groups_) prepared.halves = AlignedBuffer<float>(16 * used_groups_);
  const float* q = prepared.dealt.data();
  float* table = prepared.halves.data();
  for (std::size_t g = 0; g < used_groups_; ++g, q += 4, table += 16) {
    float pairs[2][4];  // of the lower and of the upper two dimensions
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t c = 0; c < 4; ++c)
        pairs[p][c] = 0.5f * ((c % 2 == 1 ? q[2 * p] : -q[2 * p]) + (c / 2 == 1 ? q[2 * p + 1] : -q[2 * p + 1]));
    for (std::size_t c = 0; c < 16; ++c) table[c] = pairs[0][c % 4] + pairs[1][c / 4];
  }
}

void SignTables::halves(const Query& query, const CodesView& codes, const std::uint32_t* places, std::size_t count,
                        float* sums) const {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t lane = places[i] % table_block;
    const std::uint8_t* byte = block_of(codes, places[i]) + lane % 16;
    const int shift = lane < 16 ? 0 : 4;
    const float* table = query.halves.data();
    const auto entry = [&](std::size_t g) { return table[16 * g + ((byte[16 * g] >> shift) & 15)]; };
    float four[4] = {};  // because an addition has to wait for the one before
    std::size_t g = 0;
    for (; g + 4 <= used_groups_; g += 4)
      for (std::size_t k = 0; k < 4; ++k) four[k] += entry(g + k);
    for (; g < used_groups_; ++g) four[g % 4] += entry(g);
    sums[i] = (four[0] + four[1]) + (four[2] + four[3]);
  }
}

void SignTables::scan(const KernelTable& kernels, const Query& query, float offset, float slack, const CodesView& codes,
                      std::size_t first, std::size_t count, float* bounds) const {
  const SignScan scan{query.tables.data(), groups_, used_groups_, query.step, query.base, offset, slack};
  kernels.sign_bounds(scan, block_of(codes, first), count, bounds);
}

std::size_t SignTables::scan_select(const KernelTable& kernels, const Query& query, float offset, float slack,
                                    const CodesView& codes, std::size_t first, std::size_t count, float threshold,
                                    std::uint32_t* places, float* bounds) const {
  std::array<float, select_codes> all;
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += select_codes) {
    const std::size_t some = std::min(select_codes, count - i);
    scan(kernels, query, offset, slack, codes, first + i, some, all.data());
    const std::size_t passing = kernels.threshold_select(all.data(), nullptr, Adjust::none, some, threshold,
                                                         places + found, bounds + found);
    for (std::size_t p = found; p < found + passing; ++p) places[p] += static_cast<std::uint32_t>(first + i);
    found += passing;
  }
  return found;
}

void SignTables::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       std::size_t first, std::size_t count, float* scores) const {
  scan(kernels, query, probe.offset, 0, codes, first, count, scores);
}

void SignTables::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        const std::uint32_t* places, std::size_t count, float* scores) const {
  // A block is scored for one code of it: what lies side by side is not made to be taken one by one.
  float block[table_block];
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t lane = places[i] % table_block;
    scan(kernels, query, probe.offset, 0, codes, places[i] - lane, lane + 1, block);
    scores[i] = block[lane];
  }
}

std::size_t SignTables::select(const KernelTable& kernels, const Query& query, const Probe& probe,
                               const CodesView& codes, std::size_t first, std::size_t count, float threshold,
                               std::uint32_t* places, float* scores) const {
  return scan_select(kernels, query, probe.offset, 0, codes, first, count, threshold, places, scores);
}

void SignTables::bounds(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        std::size_t first, std::size_t count, float* bounds) const {
  scan(kernels, query, probe.offset, slack_of(query, probe), codes, first, count, bounds);
}

std::size_t SignTables::select_bounds(const KernelTable& kernels, const Query& query, const Probe& probe,
                                      const CodesView& codes, std::size_t first, std::size_t count, float threshold,
                                      std::uint32_t* places, float* bounds) const {
  return scan_select(kernels, query, probe.offset, slack_of(query, probe), codes, first, count, threshold, places, bounds);
}

}  // namespace annbench
