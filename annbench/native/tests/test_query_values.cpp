#include "kernels/query_values.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "codecs/byte_query.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

using Floats = std::vector<float>;

// Every ISA, up to a guard page, against its words in plain arithmetic.
void compare(const Floats& a, const Floats& b) {
  const std::size_t n = a.size();
  double all[32] = {}, sums[8];
  for (std::size_t j = 0; j < n; ++j) all[j < n / 8 * 8 ? j % 32 : 0] += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  for (std::size_t k = 0; k < 8; ++k) sums[k] = (all[k] + all[k + 8]) + (all[k + 16] + all[k + 24]);
  const double expected = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
  float largest = 0;
  for (const float x : a) largest = std::max(largest, std::fabs(x));
  check(std::bit_cast<std::uint64_t>(wide_dot(a.data(), b.data(), n)) == std::bit_cast<std::uint64_t>(expected), "wide dot");
  const Guarded<float> x(a), y(b);
  for (const KernelTable* kernels : available_kernels()) {
    const std::string name = " " + std::string(isa_name(kernels->isa)) + " of " + std::to_string(n);
    check(std::bit_cast<std::uint64_t>(kernels->wide_dot(x.data(), y.data(), n)) == std::bit_cast<std::uint64_t>(expected), "wide dot" + name);
    check(kernels->largest(x.data(), n) == largest, "largest" + name);
    Guarded<float> out(n);
    kernels->scaled(x.data(), n, 1.0 / 3, out.data());
    bool thirds = true;
    for (std::size_t j = 0; j < n; ++j) thirds = thirds && out.data()[j] == static_cast<float>(static_cast<double>(a[j]) * (1.0 / 3));
    check(thirds, "scaled" + name);
    std::vector<std::int8_t> some(n);
    for (std::size_t j = 0; j < n; ++j) some[j] = static_cast<std::int8_t>(static_cast<int>(j * 37 % 255) - 127);
    const Guarded<std::int8_t> taken(some);
    const float step = largest / 2000;  // so that no rest is infinite
    Floats rests(n);
    float farthest = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const float product = step * static_cast<float>(some[j]);
      rests[j] = a[j] - product;
      farthest = std::max(farthest, std::fabs(rests[j]));
    }
    const float finer = farthest > 1e-30f ? 127 / farthest : 0;
    Guarded<std::int8_t> rounded(n);
    const std::int32_t of_rests = kernels->round_rests(x.data(), taken.data(), n, step, finer, rounded.data());
    std::int32_t all_rests = 0;
    bool left = true;
    for (std::size_t j = 0; j < n; ++j) {
      const auto nearest = static_cast<std::int32_t>(std::nearbyint(rests[j] * finer));
      left = left && rounded.data()[j] == nearest;
      all_rests += nearest;
    }
    check(left && of_rests == all_rests, "rounded rests" + name);
    const double square = kernels->centred(x.data(), y.data(), n, out.data());
    Floats apart(n);
    for (std::size_t j = 0; j < n; ++j) apart[j] = a[j] - b[j];
    check(std::equal(apart.begin(), apart.end(), out.data()) && square == wide_dot(apart.data(), apart.data(), n), "centred" + name);
    for (const bool bytes : {true, false}) {
      const float factor = largest > 1e-30f ? (bytes ? 127 : 32767) / largest : 0;
      Guarded<std::int8_t> small(bytes ? n : 0);
      Guarded<std::int16_t> wide(bytes ? 0 : n);
      const std::int32_t sum = bytes ? kernels->round_bytes(x.data(), n, factor, small.data()) : 0;
      if (!bytes) kernels->round_shorts(x.data(), n, factor, wide.data());
      std::int32_t total = 0;
      bool same = true;
      for (std::size_t j = 0; j < n; ++j) {
        const auto nearest = static_cast<std::int32_t>(std::nearbyint(a[j] * factor));  // ties to even
        same = same && (bytes ? small.data()[j] : wide.data()[j]) == nearest;
        total += nearest;
      }
      check(same, "rounded values" + name);
      check(!bytes || sum == total, "their sum" + name);
    }
  }
}

void check_ties() {
  const Floats halves = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f, 0.49999997f, 127, -127, 0, 3.5f, 4.5f, 5.5f, 6.5f};
  const std::int8_t expected[] = {0, 2, 2, 0, -2, -2, 126, -126, 0, 127, -127, 0, 4, 4, 6, 6};
  for (const KernelTable* kernels : available_kernels()) {
    std::int8_t out[16];
    kernels->round_bytes(halves.data(), 16, 1, out);
    check(std::equal(out, out + 16, expected), "ties go to even " + std::string(isa_name(kernels->isa)));
  }
}

void check_byte_query() {
  for (const KernelTable* kernels : available_kernels()) {
    ByteQuery query, rest;
    const Floats x = {-2.54f, 0.011f, 1.27f};
    query.round(*kernels, x.data(), 3);
    check(query.values == std::vector<std::int8_t>({-127, 1, 64}) && query.step == 0.02f, "a query in bytes");
    check(std::fabs(query.sum - 0.02f * -62) < 1e-6f, "the sum of what it is rounded to");
    rest.round_rest(*kernels, x.data(), 3, query);
    check(rest.values[2] < 0 && std::fabs(query.step * 64 + rest.step * static_cast<float>(rest.values[2]) - 1.27f) < 2e-4f, "and what that leaves");
    const Floats tiny(3, 1e-42f);
    query.round(*kernels, tiny.data(), 3);
    check(query.step == 0 && query.sum == 0 && query.values == std::vector<std::int8_t>(3), "a query of next to nothing");
  }
}

}  // namespace

void test_query_values() {
  check_ties();
  check_byte_query();
  std::mt19937 random(79);
  std::normal_distribution<float> normal;
  for (std::size_t n = 0; n <= 130; ++n) {
    Floats a(n), b(n);
    for (float& x : a) x = normal(random) * std::ldexp(1.0f, static_cast<int>(random() % 5) * 4);
    for (float& x : b) x = normal(random);
    compare(a, b);
  }
  compare(Floats(40, 1e-40f), Floats(40, 1e-40f));
  compare(Floats(40, 3e38f), Floats(40, -3e38f));
  compare(Floats(40, 0.0f), Floats(40, -0.0f));
}

}  // namespace annbench::tests
