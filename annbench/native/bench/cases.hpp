// What native_bench measures: each kernel on rows that stay in a cache and on rows that do not.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"

namespace annbench::bench {

struct Case {
  std::string name;
  std::size_t units;            // candidates, vectors or rows of one call
  std::size_t bytes;            // of stored data that one call reads once; 0 where its rate says nothing
  const void* data;             // those bytes, for a plain read of the same memory
  std::function<void(const KernelTable&)> call;
  std::shared_ptr<void> keeps;  // what the call works on
};

// The names, without making anything.
std::vector<std::string> case_names();
// One case with about `bytes` of stored data. Throws std::invalid_argument for an unknown name.
Case make_case(const std::string& name, std::size_t bytes);

}  // namespace annbench::bench
