#include "kernels/dispatch.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(ANNBENCH_EMULATE_AVX512)
#include <cpuid.h>
#define ANNBENCH_PROBE_X86 1
#else
#define ANNBENCH_PROBE_X86 0
#endif

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace annbench {
namespace {

constexpr std::array<std::string_view, isa_count> names = {"scalar", "avx2", "avx512", "neon"};

// A kernel without a NEON version runs its reference there: the table has no holes.
template <class Function>
Function version_of(const Function (&table)[isa_count], Isa isa) {
  const Function own = table[static_cast<std::size_t>(isa)];
  return own == nullptr && isa == Isa::neon ? table[static_cast<std::size_t>(Isa::scalar)] : own;
}

bool machine_has_vpopcntdq();
bool machine_has_vnni();
bool machine_has_vbmi();
bool machine_has_arm_crc();

// The AVX-512 versions of some kernels need what the first processors with AVX-512 lack; those run the AVX2 version.
Isa only_with(bool extension, Isa isa) { return isa == Isa::avx512 && !extension ? Isa::avx2 : isa; }

KernelTable table_of(Isa isa) {
  const auto row = static_cast<std::size_t>(isa);
  const Isa counting = only_with(machine_has_vpopcntdq(), isa), multiplying = only_with(machine_has_vnni(), isa);
  const Isa permuting = only_with(machine_has_vbmi() && machine_has_vnni(), isa);
  const Isa summing = isa == Isa::neon && !machine_has_arm_crc() ? Isa::scalar : isa;
  return {isa,
          threshold_select_table[row],
          exact_dot_table[row],
          exact_squared_l2_table[row],
          version_of(hamming_select_table, counting),
          version_of(nibble_dot_table, multiplying),
          version_of(byte_dot_table, multiplying),
          version_of(nibble_scores_table, multiplying),
          version_of(packed_dot_table, multiplying),
          float32_dot_table[row],
          float32_squared_l2_table[row],
          float16_dot_table[row],
          float16_squared_l2_table[row],
          half_values_table[row],
          hadamard_table[row],
          version_of(plane_dot_table, counting),
          version_of(table_scan_table, permuting),
          version_of(table_select_table, permuting),
          version_of(sign_bounds_table, permuting),
          version_of(projection_table, multiplying),
          version_of(fixed_projection_table, multiplying),
          version_of(byte_projection_table, multiplying),
          version_of(wide_dot_table, isa),
          version_of(scaled_table, isa),
          version_of(largest_table, isa),
          version_of(centred_table, isa),
          version_of(round_bytes_table, isa),
          version_of(round_shorts_table, isa),
          version_of(round_rests_table, isa),
          version_of(offer_keys_table, isa),
          version_of(crc32c_table, summing)};
}

const std::array<KernelTable, isa_count>& tables() {
  static const std::array<KernelTable, isa_count> all = {table_of(Isa::scalar), table_of(Isa::avx2),
                                                         table_of(Isa::avx512), table_of(Isa::neon)};
  return all;
}

#if ANNBENCH_PROBE_X86

struct Cpuid {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

  Cpuid(std::uint32_t leaf, std::uint32_t subleaf) { __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx); }
};

constexpr bool all_bits(std::uint64_t value, std::uint64_t mask) { return (value & mask) == mask; }

// Which register states the operating system saves on a context switch; the processor's own flags say nothing of it.
std::uint64_t enabled_register_states(const Cpuid& features) {
  constexpr std::uint32_t osxsave = 1u << 27;
  if (!all_bits(features.ecx, osxsave)) return 0;
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

bool machine_has(Isa isa) {
  if (isa == Isa::scalar) return true;
  const Cpuid features(1, 0);
  const Cpuid extended(7, 0);
  const std::uint64_t states = enabled_register_states(features);
  constexpr std::uint64_t ymm_state = 0x6;  // XMM and YMM
  constexpr std::uint32_t fma = 1u << 12, sse42 = 1u << 20, popcnt = 1u << 23, avx = 1u << 28, f16c = 1u << 29;
  constexpr std::uint32_t avx2 = 1u << 5, bmi2 = 1u << 8;
  if (!all_bits(states, ymm_state) || !all_bits(features.ecx, fma | sse42 | popcnt | avx | f16c) || !all_bits(extended.ebx, avx2))
    return false;
  if (isa == Isa::avx2) return true;
  constexpr std::uint64_t zmm_state = 0xe6;  // … and the mask registers, the upper halves, the upper sixteen
  constexpr std::uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
  return all_bits(states, zmm_state) && all_bits(extended.ebx, bmi2 | f | dq | bw | vl);
}

bool machine_has_vpopcntdq() { return all_bits(Cpuid(7, 0).ecx, 1u << 14); }
bool machine_has_vnni() { return all_bits(Cpuid(7, 0).ecx, 1u << 11); }
bool machine_has_vbmi() { return all_bits(Cpuid(7, 0).ecx, 1u << 1); }

#else

bool machine_has(Isa) { return true; }
bool machine_has_vpopcntdq() { return true; }
bool machine_has_vnni() { return true; }
bool machine_has_vbmi() { return true; }

#endif

#if defined(__aarch64__) && defined(__linux__)
bool machine_has_arm_crc() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#else
bool machine_has_arm_crc() { return true; }
#endif

bool compiled(const KernelTable& table) { return table.threshold_select != nullptr; }

std::string listing() {
  std::string text;
  for (const Isa isa : available_isas()) text += (text.empty() ? "" : ", ") + std::string(isa_name(isa));
  return text;
}

// What ANNBENCH_ISA led to: a table, or the message of the error that every use raises.
// Loading must not fail: importing a package has to work so that it can say what is wrong.
struct Choice {
  const KernelTable* table = nullptr;
  std::string error;
};

Choice choose() {
  const char* wanted = std::getenv("ANNBENCH_ISA");
  if (wanted == nullptr || *wanted == '\0') return {&tables()[static_cast<std::size_t>(available_isas().back())], ""};
  try {
    return {&kernels_named(wanted), ""};
  } catch (const std::invalid_argument& error) {
    return {nullptr, std::string("ANNBENCH_ISA: ") + error.what()};
  }
}

const Choice& choice() {
  static const Choice chosen = choose();
  return chosen;
}

[[maybe_unused]] const Choice& chosen_at_load = choice();

}  // namespace

std::string_view isa_name(Isa isa) { return names[static_cast<std::size_t>(isa)]; }

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> available = [] {
    std::vector<Isa> found;
    for (const KernelTable& table : tables())
      if (compiled(table) && machine_has(table.isa)) found.push_back(table.isa);
    return found;
  }();
  return available;
}

const KernelTable& active_kernels() {
  if (choice().table == nullptr) throw std::invalid_argument(choice().error);
  return *choice().table;
}

const KernelTable& kernels_named(std::string_view name) {
  for (const Isa isa : available_isas())
    if (isa_name(isa) == name) return tables()[static_cast<std::size_t>(isa)];
  bool known = false;
  for (const std::string_view candidate : names) known = known || candidate == name;
  std::string message = known ? "this machine lacks the instruction set '" : "unknown instruction set '";
  message.append(name).append("'; available: ").append(listing());
  throw std::invalid_argument(message);
}

}  // namespace annbench
