#include "kernels/half_values.hpp"

#include <cmath>
#include <cstring>

#include "tests/check.hpp"

namespace annbench::tests {

// Every half there is, whole and cut off at places that fill no register.
void test_half_values() {
  constexpr std::size_t all = 1 << 16;
  Guarded<std::uint16_t> halves(all);
  for (std::size_t i = 0; i < all; ++i) halves[i] = static_cast<std::uint16_t>(i);
  for (const KernelTable* kernels : available_kernels())
    for (const float scale : {1.0f, 0x1p-20f, 0x1p60f})
      for (const std::size_t left_out : {0, 1, 7, 8, 15, 16, 65535, 65536}) {
        const std::size_t count = all - left_out;
        Guarded<float> values(count);
        kernels->half_values(halves.data() + left_out, count, scale, values.data());
        bool same = true;
        for (std::size_t i = 0; i < count; ++i) {
          const float expected = scale * float_of_half(halves[left_out + i]);
          same = same && (std::isnan(expected) ? std::isnan(values[i]) : std::memcmp(&expected, &values[i], 4) == 0);
        }
        check(same, std::string("half_values, ") + isa_name(kernels->isa).data());
      }
}

}  // namespace annbench::tests
