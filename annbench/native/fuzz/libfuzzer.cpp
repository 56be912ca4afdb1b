// A target as libFuzzer (clang) wants it.
#include <algorithm>
#include <random>

#include "fuzz/target.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  annbench::fuzz::run(data, size);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  static const std::vector<annbench::fuzz::Bytes> seeds = annbench::fuzz::seeds();
  std::minstd_rand random(seed);
  // libFuzzer begins with nothing, and never finds a whole index by itself.
  if (!seeds.empty() && (size <= 1 || random() % 64 == 0)) {
    const annbench::fuzz::Bytes& begun = seeds[random() % seeds.size()];
    size = std::min(begun.size(), most);
    std::copy_n(begun.begin(), size, data);
  }
  size = LLVMFuzzerMutate(data, size, most);
  if (random() % 2 == 0) return size;
  annbench::fuzz::Bytes repaired(data, data + size);
  annbench::fuzz::repair(repaired);
  std::copy(repaired.begin(), repaired.end(), data);
  return repaired.size();
}
