#include <algorithm>
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

// One line a test, in the order they run: what others stand on first.
struct Test {
  std::string_view name;
  void (*run)();
};
constexpr Test tests[] = {
    {"dispatch", annbench::tests::test_dispatch},
    {"threshold_select", annbench::tests::test_threshold_select},
    {"exact_distance", annbench::tests::test_exact_distance},
    {"fast_rotation", annbench::tests::test_fast_rotation},
    {"float_distance", annbench::tests::test_float_distance},
    {"half_values", annbench::tests::test_half_values},
    {"hamming", annbench::tests::test_hamming},
    {"table_select", annbench::tests::test_table_select},
    {"code_dot", annbench::tests::test_code_dot},
    {"nibble_scores", annbench::tests::test_nibble_scores},
    {"packed_dot", annbench::tests::test_packed_dot},
    {"plane_dot", annbench::tests::test_plane_dot},
    {"table_scan", annbench::tests::test_table_scan},
    {"sign_scan", annbench::tests::test_sign_scan},
    {"query_values", annbench::tests::test_query_values},
    {"nearest_keys", annbench::tests::test_nearest_keys},
    {"byte_projection", annbench::tests::test_byte_projection},
    {"fixed_projection", annbench::tests::test_fixed_projection},
    {"projection", annbench::tests::test_projection},
    {"crc32c", annbench::tests::test_crc32c},
    {"uniform_rows", annbench::tests::test_uniform_rows},
    {"staged_rows", annbench::tests::test_staged_rows},
#if !defined(ANNBENCH_KERNEL_TESTS_ONLY)
    {"neighbor_collector", annbench::tests::test_neighbor_collector},
    {"uniform", annbench::tests::test_uniform},
    {"float_rows", annbench::tests::test_float_rows},
    {"plane_rows", annbench::tests::test_plane_rows},
    {"plane_estimates", annbench::tests::test_plane_estimates},
    {"two_level_rows", annbench::tests::test_two_level_rows},
    {"sign_tables", annbench::tests::test_sign_tables},
    {"product_codes", annbench::tests::test_product_codes},
    {"levels", annbench::tests::test_levels},
    {"va_file_rows", annbench::tests::test_va_file_rows},
    {"graph", annbench::tests::test_graph},
    {"query_links", annbench::tests::test_query_links},
    {"gap_links", annbench::tests::test_gap_links},
    {"id_list", annbench::tests::test_id_list},
    {"index_file", annbench::tests::test_index_file},
    {"block_cache", annbench::tests::test_block_cache},
    {"stored_sections", annbench::tests::test_stored_sections},
    {"spares", annbench::tests::test_spares},
    {"thread_pool", annbench::tests::test_thread_pool},
    {"composed", annbench::tests::test_composed},
    {"composed_threads", annbench::tests::test_composed_threads},
    {"on_disk", annbench::tests::test_on_disk},
    {"graph_updates", annbench::tests::test_graph_updates},
    {"graph_walk", annbench::tests::test_graph_walk},
    {"memory_failures", annbench::tests::test_memory_failures},
#endif
};

}  // namespace

// Runs every test, or those that the arguments name.
int main(int count, char** arguments) {
  print_coverage();
  const std::vector<std::string_view> wanted(arguments + 1, arguments + count);
  std::size_t found = 0;
  for (const Test& test : tests) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), test.name) == wanted.end()) continue;
    ++found;
    test.run();
  }
  annbench::tests::check(wanted.empty() || found == wanted.size(), "every test that was named exists");
  std::printf("%d failed checks\n", annbench::tests::failures);
  return annbench::tests::failures == 0 ? 0 : 1;
}
