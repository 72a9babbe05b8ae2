#include "base/cpu_features.h"

#include <fstream>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lacuna {

#if defined(__x86_64__)
namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

// XCR0: which register states the operating system saves (Intel SDM volume 1, 13.3).
uint64_t saved_states() {
  constexpr unsigned osxsave = 1u << 27;
  if ((cpuid(1, 0).c & osxsave) == 0) return 0;
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// Linux gives tile registers to a process that asks for them (arch_prctl(2), since 5.16).
bool may_use_tiles() {
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

bool all(uint64_t bits, uint64_t wanted) { return (bits & wanted) == wanted; }

}  // namespace

// Bits of leaves 1 and 7: Intel SDM volume 2A, CPUID.
Isa detect_isa() {
  constexpr uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;
  constexpr unsigned fma_avx = (1u << 12) | (1u << 28);  // leaf 1 ecx
  constexpr unsigned avx2 = 1u << 5;                     // leaf 7 ebx
  constexpr unsigned avx512 = (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31);
  constexpr unsigned amx = (1u << 22) | (1u << 24);  // leaf 7 edx
  constexpr unsigned avx512_bf16 = 1u << 5;          // leaf 7.1 eax
  const uint64_t saved = saved_states();
  const Registers leaf7 = cpuid(7, 0);
  if (!all(saved, ymm) || !all(cpuid(1, 0).c, fma_avx) || !all(leaf7.b, avx2)) return Isa::baseline;
  if (!all(saved, zmm) || !all(leaf7.b, avx512)) return Isa::avx2;
  if (leaf7.a < 1 || !all(cpuid(7, 1).a, avx512_bf16)) return Isa::avx512;
  if (!all(saved, tiles) || !all(leaf7.d, amx) || !may_use_tiles()) return Isa::avx512_bf16;
  return Isa::amx;
}

Isa bf16_pays_from() {
  constexpr unsigned authentic_amd = 0x68747541;  // leaf 0 ebx: the name's first four letters
  return cpuid(0, 0).b == authentic_amd ? Isa::avx512_bf16 : Isa::amx;
}
#else
Isa detect_isa() { return Isa::baseline; }
Isa bf16_pays_from() { return Isa::amx; }
#endif

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace lacuna
