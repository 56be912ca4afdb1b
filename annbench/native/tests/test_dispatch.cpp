#include <cstdlib>
#include <stdexcept>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

std::string error_of(const std::string& name) {
  try {
    kernels_named(name);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

void test_dispatch() {
  check(!available_isas().empty() && available_isas().front() == Isa::scalar, "scalar is always available");
  const std::string error = error_of("avx3");
  check(error.find("'avx3'") != std::string::npos && error.find("scalar") != std::string::npos,
        "an unknown name is refused with the available ones: " + error);
  for (const KernelTable* kernels : available_kernels())
    check(kernels->threshold_select && kernels->exact_dot && kernels->exact_squared_l2 && kernels->hamming_select && kernels->nibble_dot && kernels->byte_dot && kernels->nibble_scores &&
              kernels->float32_dot && kernels->float32_squared_l2 && kernels->float16_dot && kernels->float16_squared_l2 &&
              kernels->hadamard && kernels->plane_dot &&
              kernels->table_scan && kernels->projection && kernels->fixed_projection && kernels->byte_projection && kernels->offer_keys &&
              kernels->wide_dot && kernels->scaled && kernels->largest && kernels->centred && kernels->round_rests && kernels->round_bytes && kernels->round_shorts &&
              kernels->crc32c,
          "no hole in the table of " + std::string(isa_name(kernels->isa)));

  const char* wanted = std::getenv("ANNBENCH_ISA");
  if (wanted == nullptr) {
    check(active_kernels().isa == available_isas().back(), "the fastest is chosen");
    return;
  }
  std::string chosen, refused;
  try {
    chosen = isa_name(active_kernels().isa);
  } catch (const std::invalid_argument& failure) {
    refused = failure.what();
  }
  if (error_of(wanted).empty()) {
    check(chosen == wanted, "ANNBENCH_ISA is obeyed");
  } else {
    check(refused.find("ANNBENCH_ISA") != std::string::npos, "an unusable ANNBENCH_ISA is refused at use: " + refused);
  }
}

}  // namespace annbench::tests
