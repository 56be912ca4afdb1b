// A very small test harness: a failed check prints what it saw and the program exits with 1.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"

namespace annbench::tests {

inline int failures = 0;

inline void check(bool condition, const std::string& what) {
  if (condition) return;
  if (++failures <= 20) std::printf("FAILED: %s\n", what.c_str());
}

// `count` values that end exactly where unreadable memory begins: one element too far is a crash, not a lucky read.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t count) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t readable = (count * sizeof(T) + page - 1) / page * page + page;
    bytes_ = readable + page;
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(static_cast<char*>(memory) + readable, page, PROT_NONE) != 0) std::abort();
    start_ = static_cast<char*>(memory);
    data_ = reinterpret_cast<T*>(start_ + readable - count * sizeof(T));
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(start_, bytes_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  std::size_t size() const { return count_; }

 private:
  char* start_ = nullptr;
  T* data_ = nullptr;
  std::size_t count_ = 0, bytes_ = 0;
};

inline std::vector<const KernelTable*> available_kernels() {
  std::vector<const KernelTable*> found;
  for (const Isa isa : available_isas()) found.push_back(&kernels_named(isa_name(isa)));
  return found;
}

void test_block_cache();
void test_block_cache_threads();
void test_code_dot();
void test_on_disk();
void test_on_disk_threads();
void test_packed_dot();
void test_crc32c();
void test_composed();
void test_composed_threads();
void test_dispatch();
void test_spares();
void test_thread_pool();
void test_threshold_select();
void test_exact_distance();
void test_fast_rotation();
void test_float_distance();
void test_float_rows();
void test_graph();
void test_graph_threads();
void test_query_link_threads();
void test_gap_links();
void test_query_links();
void test_graph_update_threads();
void test_graph_updates();
void test_graph_walk();
void test_half_values();
void test_hamming();
void test_table_select();
void test_id_list();
void test_index_file();
void test_memory_failures();
void test_neighbor_collector();
void test_plane_dot();
void test_plane_estimates();
void test_plane_rows();
void test_product_codes();
void test_byte_projection();
void test_fixed_projection();
void test_nearest_keys();
void test_nibble_scores();
void test_query_values();
void test_projection();
void test_sign_scan();
void test_sign_tables();
void test_staged_rows();
void test_stored_section_threads();
void test_stored_sections();
void test_table_scan();
void test_two_level_rows();
void test_uniform();
void test_uniform_rows();
void test_levels();
void test_va_file_rows();

}  // namespace annbench::tests
