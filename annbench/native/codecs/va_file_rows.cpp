#include "codecs/va_file_rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace annbench {
namespace {

constexpr std::size_t tile_blocks = 4;         // that stay in L1 while tables pass by
constexpr std::size_t dense = 16;              // of 32 codes: where so many are wanted, all are looked up
constexpr double half_range = 255;             // of an entry for half bytes
constexpr double range = 65'000;               // of a table's sums: what rounding up adds stays below 2¹⁶
constexpr double bound_slack = 1 - 0x1p-36;    // more than 2¹⁵ dimensions can be off by in double
constexpr float never = -std::numeric_limits<float>::infinity();

using Parts = std::vector<int>;

// Numbers of at most `most` that sum to `capacity`, of those that are `left`, the largest first; they are taken out.
bool compose(std::array<std::size_t, va_max_bits + 1>& left, int capacity, int most, Parts& parts) {
  if (capacity == 0) return true;
  for (int part = std::min(capacity, most); part >= 1; --part) {
    if (left[static_cast<std::size_t>(part)] == 0) continue;
    --left[static_cast<std::size_t>(part)];
    parts.push_back(part);
    if (compose(left, capacity - part, part, parts)) return true;
    parts.pop_back();
    ++left[static_cast<std::size_t>(part)];
  }
  return false;
}

std::uint32_t two_bytes(const std::uint8_t* low, std::size_t apart) {
  return static_cast<std::uint32_t>(low[0] | low[apart] << 8);
}

double rounded(VaRank rank, double value) {
  return rank == VaRank::lower_bound ? std::floor(value) : std::nearbyint(value);
}

}  // namespace

std::size_t VaFileRows::centre_count(std::span<const std::uint8_t> bits) {
  std::size_t count = 0;
  for (const std::uint8_t b : bits) count += std::size_t{1} << std::min<int>(b, va_max_bits);
  return count;
}

VaFileRows::VaFileRows(std::span<const std::uint8_t> bits, std::span<const float> centres, VaRank rank, float weight,
                       const VaHamming& hamming)
    : dims_(bits.size()),
      centres_(centres.begin(), centres.end()),
      rank_(rank),
      keep_(hamming.keep),
      middles_(hamming.middles.begin(), hamming.middles.end()),
      sample_(hamming.sample.begin(), hamming.sample.end()) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument("va-file: " + what); };
  if (weight != 2)
    refuse("only L2 has lower bounds (weight 2): for cosine give vectors of length 1 and L2; ip has none");
  if (bits.empty() || bits.size() > va_max_dim) refuse("dim must be 1 to " + std::to_string(va_max_dim));
  for (const std::uint8_t b : bits)
    if (b > va_max_bits) refuse("bits must be 0 to 8, got " + std::to_string(b));
  if (centres.size() != centre_count(bits))
    refuse("these bits want " + std::to_string(centre_count(bits)) + " centres, got " + std::to_string(centres.size()));
  for (const float centre : centres)
    if (!std::isfinite(centre)) refuse("centres must be finite");
  if (!(keep_ > 0 && keep_ <= 1)) refuse("hamming_keep must be above 0 and at most 1");
  if (filtered() && (middles_.size() != dim() || sample_.empty() || sample_.size() % sign_bytes() != 0))
    refuse("hamming_keep below 1 needs dim middles and a sample of codes of ceil(dim/8) bytes");
  place_dims(bits);
  find_lookups();
  borders_.resize(centres_.size());
  for (const Dim& d : dims_)
    for (std::uint32_t c = d.centres; c + 1 < d.centres + (1u << d.bits); ++c) {
      if (!(centres_[c] <= centres_[c + 1])) refuse("centres must rise");
      borders_[c] = 0.5f * centres_[c] + 0.5f * centres_[c + 1];
    }
}

void VaFileRows::place_dims(std::span<const std::uint8_t> bits) {
  std::array<std::vector<std::uint32_t>, va_max_bits + 1> of_bits;  // dimensions, the first at the back
  std::array<std::size_t, va_max_bits + 1> left{};
  for (std::size_t j = dim(), centres = centre_count(bits); j-- > 0;) {
    centres -= std::size_t{1} << bits[j];
    dims_[j] = {bits[j], static_cast<std::uint32_t>(centres), 0};
    of_bits[bits[j]].push_back(static_cast<std::uint32_t>(j));
  }
  left[0] = 0;
  std::size_t total = 0;
  for (std::size_t b = 1; b <= va_max_bits; ++b) total += b * (left[b] = of_bits[b].size());
  if (total == 0) throw std::invalid_argument("va-file: no dimension has bits");
  row_bytes_ = (total + 7) / 8;
  // First what needs a byte gets company that fills it, then half bytes, then whole bytes of what is left.
  std::vector<Parts> full_bytes, half_bytes;
  Parts parts;
  for (int large = va_max_bits; large > 4; --large)
    while (left[static_cast<std::size_t>(large)] > 0) {
      --left[static_cast<std::size_t>(large)];
      parts = {large};
      if (!compose(left, 8 - large, 8 - large, parts)) {
        ++left[static_cast<std::size_t>(large)];
        break;
      }
      full_bytes.push_back(parts);
    }
  for (parts.clear(); half_bytes.size() < max_table_groups && compose(left, 4, 4, parts); parts.clear())
    half_bytes.push_back(parts);
  // The kernel takes half bytes by fours.
  for (; half_bytes.size() % 4 != 0; half_bytes.pop_back())
    for (const int part : half_bytes.back()) ++left[static_cast<std::size_t>(part)];
  for (parts.clear(); compose(left, 8, 8, parts); parts.clear()) full_bytes.push_back(parts);
  parts.clear();
  for (int b = va_max_bits; b >= 1; --b) parts.insert(parts.end(), left[static_cast<std::size_t>(b)], b);
  full_bytes.push_back(parts);

  std::uint32_t at = 0;
  const auto next = [&](int part) {
    std::vector<std::uint32_t>& from = of_bits[static_cast<std::size_t>(part)];
    const std::uint32_t j = from.back();
    from.pop_back();
    dims_[j].at = at;
    at += static_cast<std::uint32_t>(part);
    return j;
  };
  for (const Parts& half : half_bytes) {
    halves_.emplace_back();
    for (const int part : half) halves_.back().push_back(next(part));
  }
  for (const Parts& full : full_bytes)
    for (const int part : full) next(part);
}

void VaFileRows::find_lookups() {
  const std::size_t first_byte = halves_.size() / 2;
  std::vector<Lookup> bytes(row_bytes_ - first_byte), crossing;
  std::vector<std::uint32_t> order(dim());
  for (std::uint32_t j = 0; j < order.size(); ++j) order[j] = j;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return dims_[a].at < dims_[b].at; });
  for (const std::uint32_t j : order) {
    const Dim& d = dims_[j];
    if (d.bits == 0 || d.at < 8 * first_byte) continue;
    const auto byte = static_cast<std::uint32_t>(d.at / 8 - first_byte);
    if (d.at % 8 + d.bits <= 8)
      bytes[byte].dims.push_back(j);
    else
      crossing.push_back({byte, 0, d.at % 8, (1u << d.bits) - 1, {j}});
  }
  for (std::uint32_t byte = 0; byte < bytes.size(); ++byte) {
    if (bytes[byte].dims.empty()) continue;
    bytes[byte].byte = byte;
    bytes[byte].mask = 0;
    lookups_.push_back(bytes[byte]);
  }
  byte_lookups_ = lookups_.size();
  lookups_.insert(lookups_.end(), crossing.begin(), crossing.end());
  for (Lookup& lookup : lookups_) {
    lookup.table = static_cast<std::uint32_t>(table_entries_);
    table_entries_ += lookup.mask == 0 ? 256 : lookup.mask + 1;
  }
}

// ---- codes

void VaFileRows::encode(const float* vectors, const float*, const float* anchor, std::size_t count,
                        const MutableCodes& codes, std::size_t first) const {
  if (anchor != nullptr)
    throw std::invalid_argument("va-file: codes cannot be relative to an anchor; use a flat structure");
  std::vector<std::uint8_t> row(row_bytes_ + 1);
  for (std::size_t i = 0; i < count; ++i) {
    const float* v = vectors + i * dim();
    std::fill(row.begin(), row.end(), std::uint8_t{0});
    for (std::size_t j = 0; j < dim(); ++j) {
      const Dim& d = dims_[j];
      const float* borders = borders_.data() + d.centres;
      std::uint32_t cell = 0;  // how many borders are not above the component
      for (std::uint32_t half = (1u << d.bits) / 2; half > 0; half /= 2)
        cell += v[j] >= borders[cell + half - 1] ? half : 0;
      const std::uint32_t placed = cell << d.at % 8;
      row[d.at / 8] |= static_cast<std::uint8_t>(placed);
      if (d.at % 8 + d.bits > 8) row[d.at / 8 + 1] |= static_cast<std::uint8_t>(placed >> 8);
    }
    const std::size_t place = first + i;
    write_row(row.data(), place % table_block, codes[0] + place / table_block * block_bytes());
    if (filtered()) signs_of(v, codes[1] + place * sign_bytes());
  }
}

void VaFileRows::signs_of(const float* v, std::uint8_t* signs) const {
  std::fill_n(signs, sign_bytes(), std::uint8_t{0});
  for (std::size_t j = 0; j < middles_.size(); ++j)
    signs[j / 8] |= static_cast<std::uint8_t>((v[j] > middles_[j] ? 1 : 0) << j % 8);
}

void VaFileRows::write_row(const std::uint8_t* row, std::size_t at, std::uint8_t* block) const {
  std::array<std::uint8_t, max_table_groups> halves;
  for (std::size_t h = 0; h < halves_.size(); ++h)
    halves[h] = static_cast<std::uint8_t>((row[h / 2] >> 4 * (h % 2)) & 15);
  put_table_code(halves.data(), halves_.size(), at, block);
  for (std::size_t byte = halves_.size() / 2; byte < row_bytes_; ++byte) block[table_block * byte + at] = row[byte];
}

void VaFileRows::read_row(const std::uint8_t* block, std::size_t at, std::uint8_t* row) const {
  std::array<std::uint8_t, max_table_groups> halves;
  get_table_code(block, halves_.size(), at, halves.data());
  for (std::size_t h = 0; h < halves_.size(); h += 2)
    row[h / 2] = static_cast<std::uint8_t>(halves[h] | halves[h + 1] << 4);
  for (std::size_t byte = halves_.size() / 2; byte < row_bytes_; ++byte) row[byte] = block[table_block * byte + at];
}

void VaFileRows::move(const MutableCodes& codes, std::size_t from, std::size_t to) const {
  // Without memory of its own: a removal that has begun must not fail.
  const std::uint8_t* source = block_of({codes[0], codes[1]}, from);
  std::uint8_t* target = codes[0] + to / table_block * block_bytes();
  std::array<std::uint8_t, max_table_groups> halves;
  get_table_code(source, halves_.size(), from % table_block, halves.data());
  put_table_code(halves.data(), halves_.size(), to % table_block, target);
  for (std::size_t byte = halves_.size() / 2; byte < row_bytes_; ++byte)
    target[table_block * byte + to % table_block] = source[table_block * byte + from % table_block];
  if (filtered()) std::memmove(codes[1] + to * sign_bytes(), codes[1] + from * sign_bytes(), sign_bytes());
}

void VaFileRows::decode(const CodesView& codes, std::size_t first, std::size_t count, float* vectors) const {
  std::vector<std::uint8_t> in(dim());
  for (std::size_t i = 0; i < count; ++i) {
    cells(codes, first + i, in.data());
    for (std::size_t j = 0; j < dim(); ++j) vectors[i * dim() + j] = centres_[dims_[j].centres + in[j]];
  }
}

void VaFileRows::cells(const CodesView& codes, std::size_t place, std::uint8_t* cells) const {
  std::vector<std::uint8_t> row(row_bytes_ + 1);
  read_row(block_of(codes, place), place % table_block, row.data());
  for (std::size_t j = 0; j < dim(); ++j) {
    const Dim& d = dims_[j];
    const std::uint32_t both = d.bits == 0 ? 0 : two_bytes(row.data() + d.at / 8, 1);
    cells[j] = static_cast<std::uint8_t>((both >> d.at % 8) & ((1u << d.bits) - 1));
  }
}

// ---- queries

void VaFileRows::square_cells(VaRank rank, const float* query, Query& prepared) const {
  prepared.squares.resize(centres_.size());
  prepared.constant = 0;
  double norm = 0;
  for (std::size_t j = 0; j < dim(); ++j) {
    const Dim& d = dims_[j];
    const double q = query[j];
    norm += q * q;
    const std::uint32_t cells = 1u << d.bits;
    double* squares = prepared.squares.data() + d.centres;
    for (std::uint32_t c = 0; c < cells; ++c) {
      double gap = 0;
      if (rank == VaRank::estimate) {
        gap = q - centres_[d.centres + c];
      } else {
        if (c > 0) gap = std::max(gap, borders_[d.centres + c - 1] - q);
        if (c + 1 < cells) gap = std::max(gap, q - borders_[d.centres + c]);
      }
      squares[c] = gap * gap;
    }
    const double least = *std::min_element(squares, squares + cells);
    prepared.constant += least;
    for (std::uint32_t c = 0; c < cells; ++c) squares[c] -= least;
  }
  prepared.base = static_cast<float>(norm - prepared.constant);
}

void VaFileRows::fill_half_tables(VaRank rank, Query& prepared) const {
  std::array<double, 16> sums;
  const auto sum = [&](std::size_t h) {
    sums[0] = 0;
    std::size_t made = 1;
    for (const std::uint32_t j : halves_[h]) {
      const double* squares = prepared.squares.data() + dims_[j].centres;
      for (std::size_t c = 1u << dims_[j].bits; c-- > 0;)
        for (std::size_t i = 0; i < made; ++i) sums[made * c + i] = sums[i] + squares[c];
      made <<= dims_[j].bits;
    }
  };
  double widest = 0;
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    double most = 0;
    for (const std::uint32_t j : halves_[h]) {
      const double* squares = prepared.squares.data() + dims_[j].centres;
      most += *std::max_element(squares, squares + (1u << dims_[j].bits));
    }
    widest = std::max(widest, most);
  }
  prepared.half_step = widest / half_range;
  const double inverse = prepared.half_step > 0 ? 1 / prepared.half_step : 0;
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    sum(h);
    std::uint8_t* table = prepared.half_tables.data() + 16 * h;
    for (std::size_t e = 0; e < 16; ++e)
      table[e] = static_cast<std::uint8_t>(std::min(half_range, rounded(rank, sums[e] * inverse)));
  }
}

void VaFileRows::fill_tables(VaRank rank, Query& prepared) const {
  prepared.tables.resize(table_entries_);
  double widest = 0;
  for (const Lookup& lookup : lookups_) {
    double most = 0;
    for (const std::uint32_t j : lookup.dims) {
      const double* squares = prepared.squares.data() + dims_[j].centres;
      most += *std::max_element(squares, squares + (1u << dims_[j].bits));
    }
    widest = std::max(widest, most);
  }
  prepared.step = widest / range;
  const double inverse = prepared.step > 0 ? 1 / prepared.step : 0;
  std::array<std::uint16_t, 256> entries;
  for (const Lookup& lookup : lookups_) {
    std::uint16_t* table = prepared.tables.data() + lookup.table;
    std::size_t made = 1;
    table[0] = 0;
    // Bits that belong to no whole dimension of the byte may be anything: the entries are repeated for them.
    const auto widen = [&](std::size_t bits, bool known) {
      for (std::size_t c = std::size_t{1} << bits; c-- > 0;)
        for (std::size_t i = 0; i < made; ++i)
          table[made * c + i] = static_cast<std::uint16_t>(table[i] + (known ? entries[c] : 0));
      made <<= bits;
    };
    for (const std::uint32_t j : lookup.dims) {
      const Dim& d = dims_[j];
      const double* squares = prepared.squares.data() + d.centres;
      for (std::size_t c = 0; c < std::size_t{1} << d.bits; ++c)
        entries[c] = static_cast<std::uint16_t>(rounded(rank, squares[c] * inverse));
      if (lookup.mask == 0 && made < std::size_t{1} << d.at % 8)
        widen(d.at % 8 - static_cast<std::size_t>(std::countr_zero(made)), false);
      widen(d.bits, true);
    }
    if (lookup.mask == 0 && made < 256) widen(8 - static_cast<std::size_t>(std::countr_zero(made)), false);
  }
}

void VaFileRows::choose_limit(Query& prepared) const {
  const std::size_t count = sample_.size() / sign_bytes();
  prepared.places.resize(count);
  prepared.distances.resize(count);
  active_kernels().hamming_select(prepared.signs.data(), sample_.data(), sign_bytes(), count,
                                  std::numeric_limits<std::uint32_t>::max(), prepared.places.data(),
                                  prepared.distances.data());
  const auto wanted = static_cast<std::size_t>(std::ceil(static_cast<double>(keep_) * static_cast<double>(count)));
  const auto last = prepared.distances.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(wanted, 1) - 1);
  std::nth_element(prepared.distances.begin(), last, prepared.distances.end());
  prepared.limit = *last;
}

void VaFileRows::prepare_as(VaRank rank, const float* query, Query& prepared) const {
  if (prepared.half_tables.size() != 16 * halves_.size())
    prepared.half_tables = AlignedBuffer<std::uint8_t>(16 * halves_.size());
  square_cells(rank, query, prepared);
  fill_half_tables(rank, prepared);
  fill_tables(rank, prepared);
  if (!filtered()) return;
  prepared.signs.resize(sign_bytes());
  signs_of(query, prepared.signs.data());
  choose_limit(prepared);
}

// ---- scores

void VaFileRows::add_blocks(const KernelTable& kernels, const Query& query, const std::uint8_t* block,
                            std::size_t blocks, std::uint32_t* half_sums, std::uint32_t* sums) const {
  const std::size_t half_bytes = table_block_bytes(halves_.size());
  for (std::size_t b = 0; b < blocks; ++b)
    kernels.table_scan(query.half_tables.data(), block + b * block_bytes(), halves_.size(), table_block,
                       half_sums + b * table_block);
  std::fill_n(sums, blocks * table_block, 0u);
  const std::uint16_t* tables = query.tables.data();
  std::size_t l = 0;
  for (; l + 4 <= byte_lookups_; l += 4) {
    const Lookup* four = lookups_.data() + l;
    const std::uint16_t *t0 = tables + four[0].table, *t1 = tables + four[1].table, *t2 = tables + four[2].table,
                        *t3 = tables + four[3].table;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint8_t* bytes = block + b * block_bytes() + half_bytes;
      const std::uint8_t *b0 = bytes + table_block * four[0].byte, *b1 = bytes + table_block * four[1].byte,
                         *b2 = bytes + table_block * four[2].byte, *b3 = bytes + table_block * four[3].byte;
      std::uint32_t* into = sums + b * table_block;
      for (std::size_t i = 0; i < table_block; ++i)
        into[i] += static_cast<std::uint32_t>((t0[b0[i]] + t1[b1[i]]) + (t2[b2[i]] + t3[b3[i]]));
    }
  }
  for (; l < lookups_.size(); ++l) {
    const Lookup& lookup = lookups_[l];
    const std::uint16_t* table = tables + lookup.table;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint8_t* bytes = block + b * block_bytes() + half_bytes + table_block * lookup.byte;
      std::uint32_t* into = sums + b * table_block;
      if (lookup.mask == 0)
        for (std::size_t i = 0; i < table_block; ++i) into[i] += table[bytes[i]];
      else
        for (std::size_t i = 0; i < table_block; ++i)
          into[i] += table[(two_bytes(bytes + i, table_block) >> lookup.shift) & lookup.mask];
    }
  }
}

std::uint32_t VaFileRows::half_sum_of(const Query& query, const std::uint8_t* block, std::size_t at) const {
  std::uint32_t sum = 0;
  const std::uint8_t* half = block + at % 16;
  const int shift = at < 16 ? 0 : 4;
  for (std::size_t h = 0; h < halves_.size(); ++h) sum += query.half_tables[16 * h + ((half[16 * h] >> shift) & 15)];
  return sum;
}

std::uint32_t VaFileRows::sum_of(const Query& query, const std::uint8_t* block, std::size_t at) const {
  std::uint32_t sum = 0;
  const std::uint8_t* bytes = block + table_block_bytes(halves_.size()) + at;
  for (const Lookup& lookup : lookups_) {
    const std::uint8_t* byte = bytes + table_block * lookup.byte;
    const std::uint32_t entry = lookup.mask == 0 ? *byte : (two_bytes(byte, table_block) >> lookup.shift) & lookup.mask;
    sum += query.tables[lookup.table + entry];
  }
  return sum;
}

namespace {

float score_of(const VaFileRows::Query& query, const Probe& probe, std::uint32_t half, std::uint32_t whole) {
  // As signed integers, which become floats in one instruction; neither reaches 2³¹.
  const float square = static_cast<float>(query.half_step) * static_cast<float>(static_cast<std::int32_t>(half)) +
                       static_cast<float>(query.step) * static_cast<float>(static_cast<std::int32_t>(whole));
  return probe.offset + (query.base - square);
}

}  // namespace

void VaFileRows::score(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                       std::size_t first, std::size_t count, float* scores) const {
  constexpr std::size_t tile = tile_blocks * table_block;
  std::array<std::uint32_t, tile> half_sums, sums, passing, distances;
  for (std::size_t done = 0; done < count; done += tile) {
    const std::size_t some = std::min(tile, count - done);
    const std::uint8_t* block = block_of(codes, first + done);
    if (!filtered()) {
      add_blocks(kernels, query, block, (some + table_block - 1) / table_block, half_sums.data(), sums.data());
      for (std::size_t i = 0; i < some; ++i) scores[done + i] = score_of(query, probe, half_sums[i], sums[i]);
      continue;
    }
    std::fill_n(scores + done, some, never);
    const std::size_t found = kernels.hamming_select(query.signs.data(), codes[1] + (first + done) * sign_bytes(),
                                                     sign_bytes(), some, query.limit, passing.data(), distances.data());
    for (std::size_t p = 0, end; p < found; p = end) {
      const std::size_t b = passing[p] / table_block;
      for (end = p + 1; end < found && passing[end] / table_block == b;) ++end;
      const std::uint8_t* own = block + b * block_bytes();
      const bool all = end - p >= dense;
      if (all)
        add_blocks(kernels, query, own, 1, half_sums.data(), sums.data());
      else
        kernels.table_scan(query.half_tables.data(), own, halves_.size(), table_block, half_sums.data());
      for (std::size_t i = p; i < end; ++i) {
        const std::size_t at = passing[i] % table_block;
        const std::uint32_t sum = all ? sums[at] : sum_of(query, own, at);
        scores[done + passing[i]] = score_of(query, probe, half_sums[at], sum);
      }
    }
  }
}

void VaFileRows::refine(const KernelTable& kernels, const Query& query, const Probe& probe, const CodesView& codes,
                        const std::uint32_t* places, std::size_t count, float* scores) const {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t place = 0, distance = 0;
    if (filtered() && kernels.hamming_select(query.signs.data(), codes[1] + places[i] * sign_bytes(), sign_bytes(), 1,
                                             query.limit, &place, &distance) == 0) {
      scores[i] = never;
      continue;
    }
    const std::uint8_t* block = block_of(codes, places[i]);
    const std::size_t at = places[i] % table_block;
    scores[i] = score_of(query, probe, half_sum_of(query, block, at), sum_of(query, block, at));
  }
}

void VaFileRows::lower_bounds(const KernelTable& kernels, const float* q, const CodesView& codes, std::size_t first,
                              std::size_t count, float* bounds) const {
  Query query;
  prepare_as(VaRank::lower_bound, q, query);
  std::array<std::uint32_t, table_block> half_sums, sums;
  for (std::size_t done = 0; done < count; done += table_block) {
    add_blocks(kernels, query, block_of(codes, first + done), 1, half_sums.data(), sums.data());
    for (std::size_t i = 0; i < std::min(table_block, count - done); ++i) {
      const double exact = bound_slack * (query.constant + query.half_step * half_sums[i] + query.step * sums[i]);
      const auto near = static_cast<float>(exact);
      bounds[done + i] = near > exact ? std::nextafter(near, 0.0f) : near;
    }
  }
}

}  // namespace annbench
