// bfloat16 of CUDA's device code, on the host (CUDA Math API, bfloat16 precision intrinsics).
#pragma once

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 x) {
  const uint32_t u = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &u, 4);
  return value;
}

// To nearest, ties to even; NaN becomes the canonical one.
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  uint32_t u;
  std::memcpy(&u, &value, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}
