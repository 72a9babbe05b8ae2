// Which instruction sets the vectorised kernels are compiled for. Each one costs a compilation of
// every kernel, so: AVX-512, AVX2 and the baseline on x86, NEON on Arm (SVE's vectors have no size
// that a struct or an array could hold). To be included before any header of Highway.
#pragma once

#if defined(__x86_64__)
// Bits of Highway's targets: 0 to 7 are refinements of AVX-512, 10 to 12 lie below AVX2.
#define HWY_DISABLED_TARGETS (0xFFLL | (7LL << 10))
#elif defined(__aarch64__)
#define HWY_DISABLED_TARGETS (0x1FFLL << 19)  // 19 to 27: SVE
#endif
