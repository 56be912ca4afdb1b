// What a fuzzer's bytes are read as: shapes, then values. Bytes that have run out go on as random numbers seeded by
// those there were, so that a few bytes are enough for a large input and all of them matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

namespace annbench::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {
    for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 0x100000001b3u;
  }

  std::uint8_t byte() {
    if (left_ > 0) return --left_, *data_++;
    state_ += 0x9e3779b97f4a7c15u;  // splitmix64
    std::uint64_t mixed = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint8_t>(mixed >> 56);
  }
  template <class T>
  T value() {
    std::make_unsigned_t<T> made = 0;
    constexpr std::size_t shift = 8 % (8 * sizeof(T));
    for (std::size_t i = 0; i < sizeof(T); ++i) made = static_cast<decltype(made)>(made << shift | byte());
    return static_cast<T>(made);
  }
  // From `least` to `most`.
  std::size_t between(std::size_t least, std::size_t most) {
    return least + value<std::uint32_t>() % (most - least + 1);
  }
  // Small far more often than large.
  std::size_t size(std::size_t least, std::size_t most) {
    const std::size_t bits = between(0, 16);
    return least + value<std::uint32_t>() % ((std::size_t{1} << bits) + 1) % (most - least + 1);
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> made(count);
    for (std::uint8_t& each : made) each = byte();
    return made;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

// Ends the program: the fuzzer keeps the bytes that led here.
[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "FOUND: %s\n", what.c_str());
  std::abort();
}

}  // namespace annbench::fuzz
