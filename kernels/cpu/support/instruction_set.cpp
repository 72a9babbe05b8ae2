#include "kernels/cpu/support/instruction_set.h"

#include <hwy/targets.h>

#include "base/error.h"
#include "kernels/cpu/support/onednn.h"

namespace lacuna {

namespace {

#if defined(__x86_64__)
dnnl::cpu_isa onednn_isa(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return dnnl::cpu_isa::sse41;
    case Isa::avx2:
      return dnnl::cpu_isa::avx2;
    case Isa::avx512:
      return dnnl::cpu_isa::avx512_core;
    case Isa::avx512_bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case Isa::amx:
      break;
  }
  return dnnl::cpu_isa::all;
}

// Highway's targets above the level. Its AVX3 and better are our AVX-512, its AVX2 has FMA as ours.
int64_t highway_targets_above(Isa isa) {
  constexpr int64_t avx512 = HWY_AVX3 | (HWY_AVX3 - 1);
  if (isa >= Isa::avx512) return 0;
  return isa == Isa::avx2 ? avx512 : avx512 | HWY_AVX2;
}
#endif

}  // namespace

void limit_instruction_set(Isa most) {
  if (most >= detect_isa()) return;
#if defined(__x86_64__)
  LACUNA_CHECK(dnnl::set_max_cpu_isa(onednn_isa(most)) == dnnl::status::success);
  hwy::DisableTargets(highway_targets_above(most));
#endif
}

}  // namespace lacuna
