// Sums and maxima over a warp, a block, the grid; in a fixed order, so that a run repeats bit for
// bit on devices of as many multiprocessors.
#pragma once

#include "kernels/cuda/support/launch.h"

namespace lacuna::cuda {

constexpr int warp_size = 32;
constexpr unsigned whole_warp = 0xffffffffu;

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % warp_size; }
// Warps of the grid: first, first + step, …
__device__ inline int64_t first_warp() { return first_of_grid() / warp_size; }
__device__ inline int64_t warp_step() { return threads_of_grid() / warp_size; }

// Every lane gets the sum; of the whole warp, or of `width` lanes side by side (a power of two).
template <typename T>
__device__ T warp_sum(T x, int width = warp_size) {
  for (int with = width / 2; with > 0; with /= 2) x += __shfl_xor_sync(whole_warp, x, with);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int with = warp_size / 2; with > 0; with /= 2)
    x = fmaxf(x, __shfl_xor_sync(whole_warp, x, with));
  return x;
}

// The sum over the block, in thread 0. All threads call it.
__device__ inline double block_sum(double x) {
  constexpr int warps = block_size / warp_size;
  __shared__ double of_warp[warps];
  x = warp_sum(x);
  __syncthreads();  // what thread 0 read of the sum before
  if (lane_of_warp() == 0) of_warp[threadIdx.x / warp_size] = x;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0)
    for (int warp = 0; warp < warps; ++warp) sum += of_warp[warp];
  return sum;
}

// *out = factor times the sum of the terms; one block.
template <typename Out>
__global__ void __launch_bounds__(block_size)
    total_kernel(const double* terms, int64_t count, double factor, Out* out) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += block_size) sum += terms[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *out = static_cast<Out>(factor * sum);
}

template <typename Out>
void launch_total(const Call& call, const char* operation, const double* terms, int64_t count,
                  double factor, Out* out) {
  launch_grid(call, operation, dim3(1), total_kernel<Out>, terms, count, factor, out);
}

inline double* scratch_doubles(const Call& call, int64_t count) {
  return static_cast<double*>(call.context.scratch(static_cast<size_t>(count) * sizeof(double)));
}

}  // namespace lacuna::cuda
