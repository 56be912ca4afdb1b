// Which instruction sets this build contains, and how a function asks for one.
//
// Functions carry `target` attributes instead of files carrying -m flags: a flag on a file lets the compiler put AVX
// code into inline functions of the standard library, which the linker may then pick for everybody, and an older
// machine dies of SIGILL far from here.
#pragma once

#include <cstddef>

// Before every loop over an array of registers: GCC gives each element a register of its own only where it unrolls these
// loops early; else it writes all of them to memory at every step of the loop around. A projection ran at a third of its
// speed so.
#define ANNBENCH_UNROLL _Pragma("GCC unroll 16")

namespace annbench {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2, neon = 3 };
inline constexpr std::size_t isa_count = 4;

}  // namespace annbench

#if defined(ANNBENCH_EMULATE_AVX512)
// The AVX-512 code on a machine without it: SIMDe spells every intrinsic out in plain C++. Tests only.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include "tests/simde_missing.hpp"
#define ANNBENCH_HAS_AVX2 0
#define ANNBENCH_HAS_AVX512 1
#define ANNBENCH_TARGET_AVX512
#define ANNBENCH_TARGET_VNNI
#elif defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define ANNBENCH_HAS_AVX2 1
#define ANNBENCH_HAS_AVX512 1
#define ANNBENCH_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define ANNBENCH_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt,bmi2")))
#define ANNBENCH_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,popcnt,bmi2")))
#else
#define ANNBENCH_HAS_AVX2 0
#define ANNBENCH_HAS_AVX512 0
#endif

// Every AArch64 processor has it: neither a target attribute nor a question to the processor is needed.
#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include <arm_neon.h>
#define ANNBENCH_HAS_NEON 1
#else
#define ANNBENCH_HAS_NEON 0
#endif
