// The tests in which threads meet: what ThreadSanitizer watches. The others have one thread and would only take longer.
#include "tests/check.hpp"

int main() {
  annbench::tests::test_spares();
  annbench::tests::test_thread_pool();
  annbench::tests::test_block_cache_threads();
  annbench::tests::test_stored_section_threads();
  annbench::tests::test_composed_threads();
  annbench::tests::test_on_disk_threads();
  annbench::tests::test_graph_threads();
  annbench::tests::test_query_link_threads();
  annbench::tests::test_graph_update_threads();
  std::printf("%d failed checks\n", annbench::tests::failures);
  return annbench::tests::failures == 0 ? 0 : 1;
}
