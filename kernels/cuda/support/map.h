// Element-wise kernels: loops over 16-byte packs of every operand.
#pragma once

#include "kernels/cuda/support/columns.h"

namespace lacuna::cuda {

// Calls body.at<width>(element) for whole groups of `width` elements, then body.at<1>(element) for
// those that are left. A body reads all of its operands at these elements before it writes there:
// the output may be any of them.
template <int width, typename Body>
__global__ void __launch_bounds__(block_size)
    groups_kernel(const __grid_constant__ Body body, int64_t groups, int64_t count) {
  for (int64_t g = first_of_grid(); g < groups; g += threads_of_grid())
    body.template at<width>(g * width);
  for (int64_t e = groups * width + first_of_grid(); e < count; e += threads_of_grid())
    body.template at<1>(e);
}

template <int width, typename Body>
void launch_groups(const Call& call, const char* operation, const Body& body) {
  const int64_t count = call.out[0].count();
  const int64_t groups = takes_packs(call) ? count / width : 0;
  launch(call, operation, std::max(groups, count - groups * width), groups_kernel<width, Body>,
         body, groups, count);
}

// y[i] = f(x_0[i], …)
template <typename T, int inputs, typename F>
struct Map {
  const T* in[inputs];
  T* out;
  F f;

  template <int width>
  __device__ void at(int64_t element) const {
    float x[inputs][width], y[width];
    for (int i = 0; i < inputs; ++i) load_group(in[i] + element, x[i]);
    for (int e = 0; e < width; ++e) {
      float values[inputs];
      for (int i = 0; i < inputs; ++i) values[i] = x[i][e];
      y[e] = f(values);
    }
    store_group(y, out + element);
  }
};

template <int inputs, typename F>
void map(const Call& call, const char* operation, F f) {
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    Map<T, inputs, F> body{{}, output<T>(call), f};
    for (int i = 0; i < inputs; ++i) body.in[i] = input<T>(call, static_cast<size_t>(i));
    launch_groups<Pack<T>::size>(call, operation, body);
  });
}

// The same of f64, element by element; f takes doubles.
template <int inputs, typename F>
struct MapDoubles {
  const double* in[inputs];
  double* out;
  F f;
};
template <int inputs, typename F>
__global__ void __launch_bounds__(block_size)
    map_doubles_kernel(const __grid_constant__ MapDoubles<inputs, F> map, int64_t count) {
#pragma unroll 1  // a few numbers: copies of the loop's body would spill registers
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid()) {
    double values[inputs];
    for (int i = 0; i < inputs; ++i) values[i] = map.in[i][e];
    map.out[e] = map.f(values);
  }
}

// Of any float type or f64, by an f that takes floats as well as doubles.
template <int inputs, typename F>
void map_any(const Call& call, const char* operation, F f) {
  if (call.in[0].dtype != DType::f64) return map<inputs>(call, operation, f);
  MapDoubles<inputs, F> body{{}, output<double>(call), f};
  for (int i = 0; i < inputs; ++i) body.in[i] = input<double>(call, static_cast<size_t>(i));
  const int64_t count = call.out[0].count();
  launch(call, operation, count, map_doubles_kernel<inputs, F>, body, count);
}

}  // namespace lacuna::cuda
