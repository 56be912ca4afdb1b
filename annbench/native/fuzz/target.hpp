// What a fuzz target is to the programs that drive it: fuzz/driver.cpp, or libFuzzer by fuzz/libfuzzer.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace annbench::fuzz {

using Bytes = std::vector<std::uint8_t>;

// Every target defines these three.
// Inputs to begin with.
std::vector<Bytes> seeds();
// Tries one input; whatever is wrong ends the program.
void run(const std::uint8_t* data, std::size_t size);
// Makes a damaged input pass the first checks, so that what is behind them is tried too.
void repair(Bytes& input);

}  // namespace annbench::fuzz
