// Arithmetic on sizes that come from a file: nothing, where the result does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace annbench {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional(sum);
}

inline std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional(product);
}

// The product of all factors; 1 of none.
inline std::optional<std::uint64_t> checked_product(std::span<const std::uint64_t> factors) {
  std::optional<std::uint64_t> product = 1;
  for (const std::uint64_t factor : factors)
    if (product) product = checked_mul(*product, factor);
  return product;
}

// The next multiple of `step`, a power of two.
inline std::optional<std::uint64_t> checked_round_up(std::uint64_t value, std::uint64_t step) {
  const std::optional<std::uint64_t> raised = checked_add(value, step - 1);
  return raised ? std::optional(*raised & ~(step - 1)) : std::nullopt;
}

}  // namespace annbench
