#include "kernels/elementwise.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/kernels.h"

namespace lacuna::cpu {

void accumulate(const Call& call) {
  float* y = call.out[0].as<float>();
  const int64_t n = call.out[0].count();
  const int threads = static_cast<CpuContext&>(call.context).threads();
  const size_t terms = call.in.size();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    float sum = call.in[0].as<float>()[i];
    for (size_t t = 1; t < terms; ++t) sum += call.in[t].as<float>()[i];
    y[i] = sum;
  }
}

}  // namespace lacuna::cpu
