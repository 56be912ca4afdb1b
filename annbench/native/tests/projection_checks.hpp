// What the tests of projections in integers share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"
#include "tests/check.hpp"

namespace annbench::tests {

struct IntegerProjection {
  std::string name;
  FixedProjectionFn KernelTable::* kernel;
  std::size_t together;  // values in a 32-bit integer
  // The value at a place of such an integer, of a matrix and of a row.
  std::int64_t (*of_matrix)(std::int32_t, std::size_t), (*of_row)(std::int32_t, std::size_t);
};

struct ProjectionCase {
  std::size_t groups, dim_out, count;  // 32-bit integers of a row
};

// Every ISA, for all rows together and for one alone, against sums in 64 bits. All memory ends at a guard page.
inline void compare(const IntegerProjection& p, const ProjectionCase& c, const std::vector<std::int32_t>& w,
                    const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> expected(c.count * c.dim_out);
  for (std::size_t r = 0; r < c.count; ++r)
    for (std::size_t i = 0; i < c.dim_out; ++i) {
      std::int64_t sum = 0;
      for (std::size_t k = 0; k < p.together * c.groups; ++k) {
        const std::size_t group = k / p.together, place = k % p.together;
        sum += p.of_matrix(w[i * c.groups + group], place) * p.of_row(rows[r * c.groups + group], place);
      }
      expected[r * c.dim_out + i] = static_cast<std::int32_t>(sum);
      check(expected[r * c.dim_out + i] == sum, "sums of a test are within 32 bits");
    }
  std::vector<std::int32_t> panels(packed_projection_size(c.groups, c.dim_out));
  pack_projection(w.data(), c.groups, c.dim_out, panels.data());
  const Guarded<std::int32_t> packed(panels), x(rows);
  Guarded<std::int32_t> sums(expected.size());
  for (const KernelTable* kernels : available_kernels()) {
    const std::string name = p.name + " " + std::string(isa_name(kernels->isa)) + " " + std::to_string(c.groups) + " to " +
                             std::to_string(c.dim_out) + ", " + std::to_string(c.count) + " rows";
    std::fill_n(sums.data(), sums.size(), -1);
    (kernels->*p.kernel)(packed.data(), c.groups, c.dim_out, x.data(), c.count, sums.data());
    check(std::equal(expected.begin(), expected.end(), sums.data()), name);
    if (c.count == 0) continue;
    std::int32_t* last = sums.data() + (c.count - 1) * c.dim_out;
    std::fill_n(last, c.dim_out, -1);
    (kernels->*p.kernel)(packed.data(), c.groups, c.dim_out, x.data() + (c.count - 1) * c.groups, 1, last);
    check(std::equal(last, last + c.dim_out, expected.end() - static_cast<std::ptrdiff_t>(c.dim_out)), name + ": one alone");
  }
}

// All tiles of every ISA, with rows as `made` makes them: so many integers of each.
template <class Rows>
void compare_shapes(const IntegerProjection& p, const Rows& made, std::mt19937& random) {
  const auto one = [&](const ProjectionCase& c) { compare(p, c, made(c.dim_out, c.groups, true), made(c.count, c.groups, false)); };
  for (std::size_t groups = 0; groups <= 130; ++groups) one({groups, 1 + random() % 70, 1 + random() % 3});
  for (std::size_t dim_out = 0; dim_out <= 140; ++dim_out) one({1 + random() % 20, dim_out, 1 + random() % 9});
  for (std::size_t count = 0; count <= 20; ++count) one({19, 50, count});
  one({12, 17, 201});  // several portions of rows
}

}  // namespace annbench::tests
