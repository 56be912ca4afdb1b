// native_bench: nanoseconds a candidate of every kernel on every instruction set of this machine.
//
//   native_bench [--only TEXT] [--bytes N]... [--rounds N]
//
// Times are of the processor, for this thread; each figure is the median over rounds, in which the instruction sets take
// turns. Ratios are medians of ratios within a round, so that what disturbs a round disturbs both sides. Only ratios are
// to be compared between runs: pin the program to one quiet core (taskset -c 1) before believing any figure.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "bench/cases.hpp"

namespace {

using annbench::KernelTable;
using annbench::bench::Case;

struct Options {
  std::string only;
  std::vector<std::size_t> bytes;  // of stored data: within the second cache, and beyond all caches of most machines
  int rounds = 7;
};

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Adds up memory as fast as plain code does: what a scan of the same bytes could reach.
#if ANNBENCH_HAS_AVX2
__attribute__((target("avx2"))) std::uint64_t read_by_vectors(const unsigned char* from, std::size_t bytes) {
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t b = 0; b + sizeof(sums) <= bytes; b += sizeof(sums))
    for (int i = 0; i < 4; ++i)
      sums[i] = _mm256_add_epi64(sums[i], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + b + 32 * static_cast<std::size_t>(i))));
  const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return static_cast<std::uint64_t>(_mm256_extract_epi64(sum, 0) + _mm256_extract_epi64(sum, 1) +
                                    _mm256_extract_epi64(sum, 2) + _mm256_extract_epi64(sum, 3));
}
#endif

std::uint64_t read_all(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(data);
#if ANNBENCH_HAS_AVX2
  if (annbench::available_isas().size() > 1) return read_by_vectors(from, bytes);
#endif
  std::uint64_t sums[8] = {}, total = 0;
  for (std::size_t b = 0; b + sizeof(sums) <= bytes; b += sizeof(sums)) {
    std::uint64_t words[8];
    std::memcpy(words, from + b, sizeof(words));
    for (int i = 0; i < 8; ++i) sums[i] += words[i];
  }
  for (const std::uint64_t sum : sums) total += sum;
  return total;
}

volatile std::uint64_t sink;

// Seconds of one call, from as many as take about 4 ms.
template <class Call>
double seconds_of(Call call, std::size_t& repeats) {
  for (;; repeats *= 2) {
    const double begin = thread_seconds();
    for (std::size_t i = 0; i < repeats; ++i) call();
    const double seconds = thread_seconds() - begin;
    if (seconds >= 4e-3) return seconds / static_cast<double>(repeats);
  }
}

void measure(const Case& what, const Options& options) {
  std::vector<const KernelTable*> tables;
  for (const annbench::Isa isa : annbench::available_isas()) tables.push_back(&annbench::kernels_named(annbench::isa_name(isa)));
  std::vector<std::size_t> repeats(tables.size() + 1, 1);
  std::vector<std::vector<double>> seconds(tables.size()), to_scalar(tables.size()), to_read(tables.size());
  for (int round = 0; round <= options.rounds; ++round) {  // the first one warms up
    double read = 0, scalar = 0;
    for (std::size_t t = 0; t < tables.size(); ++t) {
      // Right before each of them: what memory gives to one core changes from one tenth of a second to the next.
      if (what.bytes > 0) read = seconds_of([&] { sink = read_all(what.data, what.bytes); }, repeats.back());
      const double taken = seconds_of([&] { what.call(*tables[t]); }, repeats[t]);
      if (t == 0) scalar = taken;
      if (round == 0) continue;
      seconds[t].push_back(taken);
      to_scalar[t].push_back(scalar / taken);
      to_read[t].push_back(read / taken);
    }
  }
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const double taken = median(seconds[t]);
    std::printf("%-37s %8zu KiB  %-6s %10.2f ns %8.2f×", what.name.c_str(), what.bytes / 1024,
                std::string(annbench::isa_name(tables[t]->isa)).c_str(), 1e9 * taken / static_cast<double>(what.units),
                median(to_scalar[t]));
    if (what.bytes > 0)
      std::printf(" %8.2f GB/s %6.0f %% of a plain read", static_cast<double>(what.bytes) / taken / 1e9, 100 * median(to_read[t]));
    std::printf("\n");
  }
}

bool parse(int count, char** words, Options& options) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = words[i], value = words[i + 1];
    char* end = nullptr;
    const unsigned long long number = std::strtoull(value.c_str(), &end, 10);
    const bool is_number = !value.empty() && *end == '\0' && number > 0;
    if (name == "--only") options.only = value;
    else if (name == "--bytes" && is_number && number >= 65536) options.bytes.push_back(number);
    else if (name == "--rounds" && is_number && number < 1000) options.rounds = static_cast<int>(number);
    else return false;
  }
  if (options.bytes.empty()) options.bytes = {std::size_t{256} << 10, std::size_t{128} << 20};
  return count % 2 == 1;
}

}  // namespace

int main(int count, char** words) {
  Options options;
  if (!parse(count, words, options)) {
    std::fprintf(stderr, "usage: native_bench [--only TEXT] [--bytes N (at least 65536)]... [--rounds N]\n");
    return 2;
  }
  bool found = false;
  try {
    std::printf("%-37s %12s  %-6s %13s %9s %13s\n", "kernel", "stored data", "ISA", "per unit", "scalar", "rate");
    for (const std::string& name : annbench::bench::case_names()) {
      if (name.find(options.only) == std::string::npos) continue;
      found = true;
      for (const std::size_t bytes : options.bytes) {
        const Case what = annbench::bench::make_case(name, bytes);
        measure(what, options);
        if (what.bytes == 0) break;  // not a scan: one size says it all
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "native_bench: %s\n", error.what());
    return 1;
  }
  if (found) return 0;
  std::fprintf(stderr, "native_bench: no kernel has '%s' in its name; there are:\n", options.only.c_str());
  for (const std::string& name : annbench::bench::case_names()) std::fprintf(stderr, "  %s\n", name.c_str());
  return 2;
}
