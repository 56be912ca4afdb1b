// The one place where an instruction set is chosen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/byte_projection.hpp"
#include "kernels/code_dot.hpp"
#include "kernels/crc32c.hpp"
#include "kernels/exact_distance.hpp"
#include "kernels/fixed_projection.hpp"
#include "kernels/float_distance.hpp"
#include "kernels/hadamard.hpp"
#include "kernels/half_values.hpp"
#include "kernels/hamming.hpp"
#include "kernels/isa.hpp"
#include "kernels/nearest_keys.hpp"
#include "kernels/nibble_scores.hpp"
#include "kernels/packed_dot.hpp"
#include "kernels/plane_dot.hpp"
#include "kernels/projection.hpp"
#include "kernels/query_values.hpp"
#include "kernels/sign_scan.hpp"
#include "kernels/table_scan.hpp"
#include "kernels/table_select.hpp"
#include "kernels/threshold_select.hpp"

namespace annbench {

// Every kernel at one instruction set.
struct KernelTable {
  Isa isa;
  ThresholdSelectFn threshold_select;
  ExactDistanceFn exact_dot;
  ExactDistanceFn exact_squared_l2;
  HammingSelectFn hamming_select;
  CodeDotFn nibble_dot;
  CodeDotFn byte_dot;
  NibbleScoresFn nibble_scores;
  PackedDotFn packed_dot;
  FloatDistanceFn float32_dot;
  FloatDistanceFn float32_squared_l2;
  FloatDistanceFn float16_dot;
  FloatDistanceFn float16_squared_l2;
  HalfValuesFn half_values;
  HadamardFn hadamard;
  PlaneDotFn plane_dot;
  TableScanFn table_scan;
  TableSelectFn table_select;
  SignBoundsFn sign_bounds;
  ProjectionFn projection;
  FixedProjectionFn fixed_projection;
  ByteProjectionFn byte_projection;
  WideDotFn wide_dot;
  ScaledFn scaled;
  LargestFn largest;
  CentredFn centred;
  RoundBytesFn round_bytes;
  RoundShortsFn round_shorts;
  RoundRestsFn round_rests;
  OfferKeysFn offer_keys;
  Crc32cFn crc32c;
};

std::string_view isa_name(Isa isa);

// Instruction sets that this build contains and that both the processor and the operating system support,
// slowest first. Always begins with scalar.
const std::vector<Isa>& available_isas();

// The kernels chosen once at load: those that ANNBENCH_ISA names, else the fastest available.
// Throws std::invalid_argument when ANNBENCH_ISA names no available instruction set.
const KernelTable& active_kernels();

// The kernels of one named instruction set, for differential tests.
// Throws std::invalid_argument, listing the available names, when it is unknown or unavailable here.
const KernelTable& kernels_named(std::string_view name);

}  // namespace annbench
