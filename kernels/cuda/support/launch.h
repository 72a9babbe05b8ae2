// How kernels are launched, and the loops that they share. Every kernel is a loop over the grid, so
// that its results do not depend on how many blocks there are, but for sums, whose order the launch
// fixes.
//
// Launches go through cudaLaunchKernelEx and not <<<...>>>, so that the sources are C++: tests run
// them on the host (docs/gpu.md).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/errors.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

constexpr int block_size = 256;

inline CudaContext& context_of(const Call& call) { return static_cast<CudaContext&>(call.context); }

// `blocks` of block_size threads on the device's stream.
template <typename... Parameters, typename... Arguments>
void launch_grid(const Call& call, const char* operation, dim3 blocks,
                 void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (!context_of(call).starts_kernels()) return;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(block_size);
  config.stream = context_of(call).stream();
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), operation);
}

// How many blocks launch() takes.
inline int64_t blocks_for(const Call& call, int64_t threads) {
  const int64_t needed = (threads + block_size - 1) / block_size;
  return std::min(needed, context_of(call).blocks());
}

// At least one thread for each of `threads`, but no more blocks than fill the device.
template <typename... Parameters, typename... Arguments>
void launch(const Call& call, const char* operation, int64_t threads, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  if (threads <= 0) return;
  launch_grid(call, operation, dim3(static_cast<unsigned>(blocks_for(call, threads))), kernel,
              std::forward<Arguments>(arguments)...);
}

__device__ inline int64_t first_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t threads_of_grid() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Where a thread is in rows of `size` elements while it goes along the grid; divides only at the
// start.
struct GridCursor {
  int64_t element, row, column;

  __device__ explicit GridCursor(int64_t size)
      : element(first_of_grid()),
        row(element / size),
        column(element % size),
        size_(size),
        rows_(threads_of_grid() / size),
        columns_(threads_of_grid() % size) {}
  __device__ void next() {
    element += threads_of_grid();
    row += rows_;
    column += columns_;
    if (column < size_) return;
    column -= size_;
    ++row;
  }

 private:
  int64_t size_, rows_, columns_;
};

// Element types: what tensors hold, and the float that is computed with.
using Bf16 = __nv_bfloat16;
using Half = __half;
__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) { return __bfloat162float(x); }
__device__ inline float to_float(Half x) { return __half2float(x); }
template <typename T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline Bf16 from_float<Bf16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline Half from_float<Half>(float x) {
  return __float2half_rn(x);
}

// 16 bytes that are read and written by one instruction.
template <typename T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T values[size];
};

// Whether all operands begin where packs can: views of rows may begin anywhere.
inline bool takes_packs(const Call& call) {
  uintptr_t places = 0;
  for (const View& view : call.in) places |= reinterpret_cast<uintptr_t>(view.data);
  for (const View& view : call.out) places |= reinterpret_cast<uintptr_t>(view.data);
  return places % 16 == 0;
}

// Calls f(T{}) with the CUDA type of a float dtype.
template <typename F>
void with_float(DType dtype, F f) {
  if (dtype == DType::bf16) {
    f(Bf16{});
  } else if (dtype == DType::f16) {
    f(Half{});
  } else {
    LACUNA_CHECK(dtype == DType::f32, name_of(dtype));
    f(float{});
  }
}

template <typename T>
const T* input(const Call& call, size_t i) {
  return static_cast<const T*>(call.in[i].data);
}
template <typename T>
T* output(const Call& call, size_t i = 0) {
  return static_cast<T*>(call.out[i].data);
}

}  // namespace lacuna::cuda
