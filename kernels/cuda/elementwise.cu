// Element-wise kernels. Each reads every operand once and writes the result once: floor = bytes / copy
// bandwidth (bf16: 2 bytes an element and operand), by a loop over 16-byte packs. By count nothing else bounds
// them (gelu: some 30 instructions an element, 0.4 of the floor's time in f32 on an H100, 0.8 in bf16); not
// measured. hide and add_to_each, which run once a step, go element by element with a division each, which
// bounds them.
#include "kernels/elementwise.h"

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"

namespace lacuna::cuda {

namespace {

template <typename T, int inputs>
struct Operands {
  const T* in[inputs];
  T* out;
};

// y[i] = f(x_0[i], …): whole packs first, then the elements that are left. In place where `out` is one of
// the inputs: each thread reads what it overwrites, before.
template <typename T, int inputs, typename F>
__global__ void __launch_bounds__(block_size)
    map_kernel(Operands<T, inputs> operands, int64_t count, F f) {
  const int64_t packs = count / Pack<T>::size;
  for (int64_t p = first_of_grid(); p < packs; p += threads_of_grid()) {
    Pack<T> x[inputs];
    for (int i = 0; i < inputs; ++i) x[i] = reinterpret_cast<const Pack<T>*>(operands.in[i])[p];
    Pack<T> y;
    for (int e = 0; e < Pack<T>::size; ++e) {
      float values[inputs];
      for (int i = 0; i < inputs; ++i) values[i] = to_float(x[i].values[e]);
      y.values[e] = from_float<T>(f(values));
    }
    reinterpret_cast<Pack<T>*>(operands.out)[p] = y;
  }
  for (int64_t e = packs * Pack<T>::size + first_of_grid(); e < count; e += threads_of_grid()) {
    float values[inputs];
    for (int i = 0; i < inputs; ++i) values[i] = to_float(operands.in[i][e]);
    operands.out[e] = from_float<T>(f(values));
  }
}

template <int inputs, typename F>
void map(const Call& call, const char* operation, F f) {
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    Operands<T, inputs> operands;
    for (int i = 0; i < inputs; ++i) operands.in[i] = input<T>(call, static_cast<size_t>(i));
    operands.out = output<T>(call);
    const int64_t count = call.out[0].count();
    const int64_t threads = (count + Pack<T>::size - 1) / Pack<T>::size;
    launch(call, operation, threads, map_kernel<T, inputs, F>, operands, count, f);
  });
}

struct Sum {
  __device__ float operator()(const float* x) const { return x[0] + x[1]; }
};
struct Times {
  float factor;
  __device__ float operator()(const float* x) const { return factor * x[0]; }
};
struct Product {
  __device__ float operator()(const float* x) const { return x[0] * x[1]; }
};
// NaN stays NaN.
struct Relu {
  __device__ float operator()(const float* x) const { return x[0] < 0 ? 0.f : x[0]; }
};
struct ReluGradient {
  __device__ float operator()(const float* x) const { return x[1] > 0 ? x[0] : 0.f; }
};

__device__ inline float normal_distribution(float x) {
  return 0.5f * erfcf(-0.70710678118654752f * x);
}
struct Gelu {
  __device__ float operator()(const float* x) const { return x[0] * normal_distribution(x[0]); }
};
struct GeluGradient {
  __device__ float operator()(const float* x) const {
    const float density = 0.39894228040143268f * expf(-0.5f * x[1] * x[1]);
    return x[0] * (normal_distribution(x[1]) + x[1] * density);
  }
};

// Rows of few channels under a mask of one.
template <typename T>
__global__ void __launch_bounds__(block_size)
    hide_kernel(const T* x, const T* mask, T* y, int64_t count, int64_t channels) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid())
    y[e] = from_float<T>(to_float(x[e]) * (1 - to_float(mask[e / channels])));
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    add_to_each_kernel(const T* x, const float* p, T* y, int64_t count, int64_t size) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid())
    y[e] = from_float<T>(to_float(x[e]) + p[e % size]);
}

}  // namespace

// Two terms at a time: residuals and forks have two, and more are rare.
void accumulate(const Call& call) {
  LACUNA_CHECK(call.in.size() >= 2);
  map<2>(call, "accumulate", Sum{});
  for (size_t term = 2; term < call.in.size(); ++term) {
    const View in[2] = {call.out[0], call.in[term]};
    map<2>({in, call.out, call.attributes, call.context}, "accumulate", Sum{});
  }
}

void scale(const Call& call) {
  map<1>(call, "scale", Times{static_cast<float>(call.attributes.as<Scale>().factor)});
}

void multiply(const Call& call) { map<2>(call, "multiply", Product{}); }

void relu(const Call& call) { map<1>(call, "relu", Relu{}); }

void relu_gradient(const Call& call) { map<2>(call, "relu_gradient", ReluGradient{}); }

void gelu(const Call& call) { map<1>(call, "gelu", Gelu{}); }

void gelu_gradient(const Call& call) { map<2>(call, "gelu_gradient", GeluGradient{}); }

void hide(const Call& call) {
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t count = call.in[0].count();
    launch(call, "hide", count, hide_kernel<T>, input<T>(call, 0), input<T>(call, 1),
           output<T>(call), count, call.in[0].shape[-1]);
  });
}

void add_to_each(const Call& call) {
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t count = call.in[0].count();
    launch(call, "add_to_each", count, add_to_each_kernel<T>, input<T>(call, 0),
           input<float>(call, 1), output<T>(call), count, call.in[1].count());
  });
}

}  // namespace lacuna::cuda
