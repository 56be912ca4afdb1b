#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>

#include "tests/check.hpp"

namespace annbench::tests {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
const std::vector<float> corners = {0.0f, -0.0f, inf, -inf, nan_value, FLT_MAX, -FLT_MAX, FLT_MIN, FLT_TRUE_MIN, 1.0f};

struct Selection {
  std::vector<std::uint32_t> indices;
  std::vector<std::uint32_t> value_bits;
  bool operator==(const Selection&) const = default;
};

// Inputs end at a guard page; outputs too, with room for exactly what the reference selects.
Selection run(const KernelTable& kernels, const Guarded<float>& scores, const Guarded<float>& terms, Adjust adjust,
              float threshold, std::size_t capacity) {
  Guarded<std::uint32_t> indices(capacity);
  Guarded<float> values(capacity);
  const std::size_t found = kernels.threshold_select(scores.data(), adjust == Adjust::none ? nullptr : terms.data(),
                                                     adjust, scores.size(), threshold, indices.data(), values.data());
  Selection selection;
  for (std::size_t i = 0; i < found; ++i) {
    selection.indices.push_back(indices[i]);
    selection.value_bits.push_back(std::bit_cast<std::uint32_t>(values[i]));
  }
  return selection;
}

void compare(const std::vector<float>& scores, const std::vector<float>& terms, float threshold) {
  const Guarded<float> guarded_scores(scores), guarded_terms(terms);
  const KernelTable& reference = kernels_named("scalar");
  for (const Adjust adjust : {Adjust::none, Adjust::add, Adjust::multiply}) {
    const Selection expected = run(reference, guarded_scores, guarded_terms, adjust, threshold, scores.size());
    for (const KernelTable* kernels : available_kernels()) {
      const std::size_t room = expected.indices.size();
      check(run(*kernels, guarded_scores, guarded_terms, adjust, threshold, room) == expected,
            "threshold_select " + std::string(isa_name(kernels->isa)) + " count " + std::to_string(scores.size()) +
                " threshold " + std::to_string(threshold) + " adjust " + std::to_string(static_cast<int>(adjust)));
    }
  }
}

void check_reference_by_hand() {
  const float scores[] = {1.0f, nan_value, 3.0f, -inf, 2.0f, inf};
  std::uint32_t indices[6];
  float values[6];
  const std::size_t found =
      kernels_named("scalar").threshold_select(scores, nullptr, Adjust::none, 6, 2.0f, indices, values);
  check(found == 3 && indices[0] == 2 && indices[1] == 4 && indices[2] == 5, "the reference selects 3, 2 and inf");
}

}  // namespace

void test_threshold_select() {
  check_reference_by_hand();
  std::mt19937 random(20240611);
  std::normal_distribution<float> normal;
  std::vector<std::size_t> counts(258);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = i;
  counts.insert(counts.end(), {509, 1021, 4099});
  for (const std::size_t count : counts) {
    std::vector<float> scores(count), terms(count), corner_scores(count), equal(count, 0.25f);
    for (float& score : scores) score = normal(random);
    for (float& term : terms) term = normal(random);
    for (float& score : corner_scores) score = corners[random() % corners.size()];
    for (const float threshold : {-inf, -1.0f, 2.0f, inf, nan_value}) compare(scores, terms, threshold);
    for (const float threshold : corners) compare(corner_scores, corner_scores, threshold);
    compare(equal, equal, 0.25f);
    compare(equal, equal, std::nextafter(0.25f, 1.0f));
  }
}

}  // namespace annbench::tests
