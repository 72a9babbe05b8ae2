// float16 of CUDA's device code, on the host (CUDA Math API, half precision intrinsics).
#pragma once

#include "base/dtype.h"

struct __half {
  uint16_t bits;
};

inline float __half2float(__half x) {
  lacuna::Float16 half;
  half.bits = x.bits;
  return static_cast<float>(half);
}
// To nearest, ties to even; beyond the range infinity.
inline __half __float2half_rn(float value) { return {lacuna::Float16(value).bits}; }
