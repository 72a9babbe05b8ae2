// The part of CUDA that kernels/cuda uses, on the host, for tests: the language's words and built-in
// functions, and the launch. Found in the place of the toolkit's header of the same name.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "simt.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
// 7.2.3: memory of the block. One block runs at a time, its threads on one system thread. What the block
// before has left is still there: data must differ from block to block for stale values to be seen.
#define __shared__ static thread_local

inline void __syncthreads(const simt::Place& place = simt::Place::current()) {
  simt::barrier(place);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32,
                  const simt::Place& place = simt::Place::current()) {
  const unsigned source = simt::lane() ^ static_cast<unsigned>(with);
  const bool inside =
      source / static_cast<unsigned>(width) == simt::lane() / static_cast<unsigned>(width);
  return simt::exchange_value(mask, value, inside ? source : simt::lane(), place);
}
// A product that is not joined with a sum, whatever the compiler may join.
inline double __dmul_rn(double a, double b) {
  const volatile double product = a * b;
  return product;
}
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1 };
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "invalid argument";
}
using cudaStream_t = struct CudaStreamDouble*;

struct cudaLaunchAttribute;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  const std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
  simt::run_grid(config->gridDim, config->blockDim, [&] { std::apply(kernel, values); });
  return cudaSuccess;
}
