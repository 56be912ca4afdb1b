#include <string_view>

#include "tests/check.hpp"

namespace {

// Says which instruction sets this program could try: a pass means nothing for the others.
void print_coverage() {
#if defined(ANNBENCH_EMULATE_AVX512)
  std::printf("scalar: native; avx2: not run here (see native_tests); avx512: emulated by SIMDe\n");
#else
  using annbench::Isa;
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon}) {
    bool available = false;
    for (const Isa candidate : annbench::available_isas()) available = available || candidate == isa;
    std::printf("%s: %s\n", std::string(annbench::isa_name(isa)).c_str(),
                available ? "native" : "NOT RUN, this machine or build lacks it");
  }
#endif
}

}  // namespace

// With the argument `dispatch` only the choice of an instruction set is tested.
int main(int count, char** arguments) {
  print_coverage();
  annbench::tests::test_dispatch();
  if (count > 1 && std::string_view(arguments[1]) == "dispatch") {
    std::printf("%d failed checks\n", annbench::tests::failures);
    return annbench::tests::failures == 0 ? 0 : 1;
  }
  annbench::tests::test_threshold_select();
  annbench::tests::test_exact_distance();
  annbench::tests::test_fast_rotation();
  annbench::tests::test_float_distance();
  annbench::tests::test_hamming();
  annbench::tests::test_neighbor_collector();
  annbench::tests::test_code_dot();
  annbench::tests::test_plane_dot();
  annbench::tests::test_table_scan();
  annbench::tests::test_projection();
  annbench::tests::test_uniform();
  annbench::tests::test_uniform_rows();
  std::printf("%d failed checks\n", annbench::tests::failures);
  return annbench::tests::failures == 0 ? 0 : 1;
}
