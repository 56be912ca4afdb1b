// A fuzzer for every compiler: mutates inputs with a seeded generator and keeps those that reach code no other one did.
//
//   fuzz_kernels_agree [--seconds S] [--runs N] [--seed X] [input file …]
//
// With files, those alone are tried, once each. The input of a crash is left in crash-<target> of the current folder.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "fuzz/target.hpp"

// By -fsanitize-coverage=trace-pc the compiler calls this on every edge.
namespace {
std::uint8_t reached[1 << 16];
}
extern "C" __attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc() {
  const auto from = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  reached[(from ^ (from >> 16)) & 0xffff] = 1;
}
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace annbench::fuzz {
namespace {

constexpr std::size_t longest_input = 1 << 16;
constexpr unsigned longest_seconds = 20;  // of one input; beyond, it is a hang

Bytes current;
std::string crash_name;

void keep_current() {
  if (std::FILE* file = std::fopen(crash_name.c_str(), "wb")) {
    if (!current.empty()) std::fwrite(current.data(), 1, current.size(), file);
    std::fclose(file);
  }
  std::fprintf(stderr, "the input is in %s\n", crash_name.c_str());
}

void on_signal(int number) {
  signal(number, SIG_DFL);
  if (number == SIGALRM) std::fprintf(stderr, "FOUND: an input takes longer than %u s\n", longest_seconds);
  keep_current();
  raise(number);
}

// What was reached now and never before.
std::size_t count_new() {
  static std::uint8_t known[sizeof(reached)];
  std::size_t fresh = 0;
  for (std::size_t i = 0; i < sizeof(reached); ++i) {
    fresh += reached[i] > known[i] ? 1 : 0;
    known[i] |= reached[i];
  }
  std::memset(reached, 0, sizeof(reached));
  return fresh;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t count) { return random_() % count; }

  void mutate(Bytes& input, const std::vector<Bytes>& corpus) {
    for (std::size_t times = 1 + below(4); times > 0; --times) once(input, corpus);
    if (input.size() > longest_input) input.resize(longest_input);
  }

 private:
  void once(Bytes& input, const std::vector<Bytes>& corpus) {
    if (input.empty()) input.resize(1);
    switch (below(8)) {
      case 0: input[below(input.size())] ^= static_cast<std::uint8_t>(1 << below(8)); break;
      case 1: input[below(input.size())] = static_cast<std::uint8_t>(random_()); break;
      case 2: put_number<std::uint8_t>(input); break;
      case 3: put_number<std::uint32_t>(input); break;
      case 4: put_number<std::uint64_t>(input); break;
      case 5: input.resize(below(input.size() + 1)); break;
      case 6: splice(input, corpus[below(corpus.size())]); break;
      default: input.insert(input.begin() + offset(input), input.begin(), input.begin() + offset(input)); break;
    }
  }

  std::ptrdiff_t offset(const Bytes& input) { return static_cast<std::ptrdiff_t>(below(input.size())); }

  // A number that is 0, at a border, or a little away from what was there; mostly where numbers begin.
  template <class T>
  void put_number(Bytes& input) {
    if (input.size() < sizeof(T)) return;
    std::size_t at = below(input.size() - sizeof(T) + 1);
    if (below(4) != 0) at -= at % sizeof(T);
    T value;
    std::memcpy(&value, input.data() + at, sizeof(T));
    const int bits = 8 * static_cast<int>(sizeof(T));
    switch (below(4)) {
      case 0: value = static_cast<T>(value + below(9) - 4); break;
      case 1: value = static_cast<T>((std::uint64_t{1} << below(static_cast<std::size_t>(bits))) + below(3) - 1); break;
      case 2: value = static_cast<T>(below(17)); break;
      default: value = static_cast<T>(-1 - static_cast<std::int64_t>(below(3))); break;
    }
    std::memcpy(input.data() + at, &value, sizeof(T));
  }

  void splice(Bytes& input, const Bytes& other) {
    if (other.empty()) return;
    const std::size_t from = below(other.size()), to = below(input.size());
    const std::size_t length = 1 + below(std::min(other.size() - from, input.size() - to));
    std::copy_n(other.data() + from, length, input.data() + to);
  }

  std::mt19937_64 random_;
};

void try_current() {
  alarm(longest_seconds);
  run(current.data(), current.size());
  alarm(0);
}

struct Options {
  double seconds = 10;
  std::size_t runs = static_cast<std::size_t>(-1);
  std::uint64_t seed = 1;
  std::vector<std::string> files;
};

Options options_of(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    const bool followed = i + 1 < count;
    if (name == "--seconds" && followed) options.seconds = std::atof(arguments[++i]);
    else if (name == "--runs" && followed) options.runs = std::strtoull(arguments[++i], nullptr, 10);
    else if (name == "--seed" && followed) options.seed = std::strtoull(arguments[++i], nullptr, 10);
    else if (!name.starts_with("--")) options.files.push_back(name);
    else std::fputs("usage: [--seconds S] [--runs N] [--seed X] [file …]\n", stderr), std::exit(2);
  }
  return options;
}

void fuzz(const Options& options) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  std::vector<Bytes> corpus = seeds();
  std::size_t edges = 0;
  for (const Bytes& seed : corpus) {
    current = seed;
    try_current();
    edges += count_new();
  }
  Mutator mutator(options.seed);
  std::size_t runs = 0;
  for (; runs < options.runs && Clock::now() < until; ++runs) {
    current = corpus[mutator.below(corpus.size())];
    mutator.mutate(current, corpus);
    if (mutator.below(2) == 0) repair(current);
    try_current();
    const std::size_t fresh = count_new();
    edges += fresh;
    if (fresh > 0) corpus.push_back(current);
  }
  std::printf("%zu inputs tried, %zu kept, %zu edges reached, seed %llu, nothing found\n", runs, corpus.size(), edges,
              static_cast<unsigned long long>(options.seed));
}

}  // namespace
}  // namespace annbench::fuzz

int main(int count, char** arguments) {
  using namespace annbench::fuzz;
  const Options options = options_of(count, arguments);
  const std::string program = arguments[0];
  crash_name = "crash-" + program.substr(program.rfind('/') + 1);
  // Not SIGSEGV and the like where a sanitizer has something to say about them.
  for (const int number : {SIGABRT, SIGALRM}) signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(keep_current);
  if (options.files.empty()) fuzz(options);
  for (const std::string& name : options.files) {
    std::ifstream file(name, std::ios::binary);
    current.assign(std::istreambuf_iterator<char>(file), {});
    try_current();
    std::printf("%s: nothing found\n", name.c_str());
  }
}
