// Products with a scalar that is a tensor: each element read and written once, floor = bytes /
// bandwidth.
#include "kernels/scalars.h"

#include <array>

#include "kernels/cuda/support/map.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// The scalar lies on the device.
template <typename Scalar>
struct TimesScalar {
  const Scalar* factor;
  template <typename X>
  __device__ X operator()(const X* x) const {
    return static_cast<X>(*factor) * x[0];
  }
};

// map() takes all operands of one type; the scalar travels in the function.
template <typename F>
void map_first(const Call& call, const char* operation, F f) {
  map_any<1>({call.in.first(1), call.out, call.attributes, call.context}, operation, f);
}

void scale_by(const Call& call) {
  if (call.in[1].dtype == DType::f64)
    return map_first(call, "scale_by", TimesScalar<double>{input<double>(call, 1)});
  map_first(call, "scale_by", TimesScalar<float>{input<float>(call, 1)});
}

__device__ inline double number(double x) { return x; }
template <typename T>
__device__ double number(T x) {
  return static_cast<double>(to_float(x));
}

// Of each block the sum of its products.
template <typename T>
__global__ void __launch_bounds__(block_size)
    products_kernel(const T* a, const T* b, int64_t count, double* sums) {
  double sum = 0;
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid())
    sum = fma(number(a[e]), number(b[e]), sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <typename T>
void sum_products(const Call& call) {
  const int64_t count = call.in[0].count();
  const int64_t blocks = blocks_for(call, count);
  double* sums = scratch_doubles(call, blocks);
  launch(call, "dot", count, products_kernel<T>, input<T>(call, 0), input<T>(call, 1), count, sums);
  if (call.out[0].dtype == DType::f64)
    return launch_total(call, "dot", sums, blocks, 1, output<double>(call));
  launch_total(call, "dot", sums, blocks, 1, output<float>(call));
}

void dot(const Call& call) {
  if (call.in[0].dtype == DType::f64) return sum_products<double>(call);
  with_float(call.in[0].dtype, [&](auto type) { sum_products<decltype(type)>(call); });
}

__global__ void __launch_bounds__(block_size)
    inverse_count_kernel(const double* n, double* y, int64_t count) {
#pragma unroll 1  // a few numbers
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid())
    y[e] = n[e] == 0 ? 0 : 1 / n[e];
}

void inverse_count(const Call& call) {
  launch(call, "inverse_count", call.out[0].count(), inverse_count_kernel, input<double>(call, 0),
         output<double>(call), call.out[0].count());
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"scale_by", {f64, f32, bf16, f16}, scale_by},
    KernelEntry{"dot", {f64, f32, bf16, f16}, dot},
    KernelEntry{"inverse_count", {f64}, inverse_count},
};

}  // namespace

std::span<const KernelEntry> scalars_kernels() { return table; }

}  // namespace lacuna::cuda
