// The instruction set of this processor, as far as kernels differ by it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace lacuna {

// Each level includes the ones before it. Anything but x86-64 is `baseline`.
enum class Isa : int64_t {
  baseline = 0,     // SSE2, or another architecture's own minimum (NEON)
  avx2 = 1,         // with FMA
  avx512 = 2,       // F, BW, CD, DQ, VL
  avx512_bf16 = 3,  // bf16 products
  amx = 4,          // bf16 matrix tiles
};

// As the key train.instruction_set has them, in the order of Isa.
constexpr std::array<std::string_view, 5> isa_keys = {"baseline", "avx2", "avx512", "avx512_bf16",
                                                      "amx"};

constexpr std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "AVX2";
    case Isa::avx512:
      return "AVX-512";
    case Isa::avx512_bf16:
      return "AVX-512 BF16";
    case Isa::amx:
      return "AMX";
  }
  return "?";
}

// What the processor has and the operating system saves across task switches. On several ranks the
// least of all counts: comm/placement.h.
Isa detect_isa();

// The least level at which bf16 products are faster than f32's on this processor's make:
// AVX512-BF16 on AMD (twice, measured on Zen 4), matrix units elsewhere (Intel's AVX512-BF16 is
// half as fast, measured on Emerald Rapids). Whether the processor has that level is another
// question.
Isa bf16_pays_from();

// The processor's own name, or "unknown processor".
std::string processor_name();

}  // namespace lacuna
