// Which places have the same value, as chains from each to the next: sums over them in one order,
// without atomics. Making the chains compares places with places, K^2 comparisons a group at most,
// by one thread a place that reads what its neighbours read.
#pragma once

#include "kernels/cuda/support/launch.h"

namespace lacuna::cuda {

// A place's next one of the same value in its group of `taken`, 0: none; negated and less 1 where
// one before it has the same value, so that it is not the first, or where it is negative, which
// stands for none.
template <typename Place>
__global__ void __launch_bounds__(block_size)
    chain_kernel(const Place* places, int64_t* chain, int64_t count, int64_t taken) {
  for (int64_t i = first_of_grid(); i < count; i += threads_of_grid()) {
    const int64_t begin = i / taken * taken;
    const Place own = places[i];
    bool first = own >= 0;
    for (int64_t k = begin; k < i && first; ++k) first = places[k] != own;
    int64_t next = i + 1;
    while (next < begin + taken && places[next] != own) ++next;
    if (next == begin + taken) next = 0;
    chain[i] = first ? next : -next - 1;
  }
}

// The sum of feature `column` over the chain that begins at `first`, whose next one is `next`.
template <typename T>
__device__ float chain_sum(const T* x, const int64_t* chain, int64_t first, int64_t next,
                           int64_t column, int64_t features) {
  float sum = to_float(x[first * features + column]);
  while (next > 0) {
    sum += to_float(x[next * features + column]);
    next = chain[next];
    if (next < 0) next = -next - 1;
  }
  return sum;
}

inline int64_t* scratch_chain(const Call& call, int64_t count) {
  return static_cast<int64_t*>(
      call.context.scratch(static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(int64_t)));
}

}  // namespace lacuna::cuda
