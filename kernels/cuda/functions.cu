// Functions of one number: each operand read once, the result written once; floor = bytes /
// bandwidth. Some 20 instructions an element: by count nothing else bounds them.
#include "kernels/functions.h"

#include <array>

#include "kernels/cuda/support/map.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }
__device__ inline float log_of(float x) { return logf(x); }
__device__ inline double log_of(double x) { return log(x); }
__device__ inline float root_of(float x) { return sqrtf(x); }
__device__ inline double root_of(double x) { return sqrt(x); }
__device__ inline float tanh_of(float x) { return tanhf(x); }
__device__ inline double tanh_of(double x) { return tanh(x); }
template <typename X>
__device__ X sigmoid_of(X x) {
  return 1 / (1 + exp_of(-x));
}

struct Exp {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return exp_of(x[0]);
  }
};
struct Log {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return log_of(x[0]);
  }
};
struct SquareRoot {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return root_of(x[0]);
  }
};
struct Tanh {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return tanh_of(x[0]);
  }
};
struct Sigmoid {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return sigmoid_of(x[0]);
  }
};
struct Silu {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return x[0] * sigmoid_of(x[0]);
  }
};
// Of dy and y, or of dy and x.
struct SquareRootGradient {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return x[0] / (2 * x[1]);
  }
};
struct TanhGradient {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return x[0] * (1 - x[1] * x[1]);
  }
};
struct SigmoidGradient {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return x[0] * x[1] * (1 - x[1]);
  }
};
struct SiluGradient {
  template <typename X>
  __device__ X operator()(const X* x) const {
    const X s = sigmoid_of(x[1]);
    return x[0] * s * (1 + x[1] * (1 - s));
  }
};
struct Quotient {
  template <typename X>
  __device__ X operator()(const X* x) const {
    return x[0] / x[1];
  }
};

void exp(const Call& call) { map_any<1>(call, "exp", Exp{}); }
void log(const Call& call) { map_any<1>(call, "log", Log{}); }
void square_root(const Call& call) { map_any<1>(call, "square_root", SquareRoot{}); }
void tanh(const Call& call) { map_any<1>(call, "tanh", Tanh{}); }
void sigmoid(const Call& call) { map_any<1>(call, "sigmoid", Sigmoid{}); }
void silu(const Call& call) { map_any<1>(call, "silu", Silu{}); }
void square_root_gradient(const Call& call) {
  map_any<2>(call, "square_root_gradient", SquareRootGradient{});
}
void tanh_gradient(const Call& call) { map_any<2>(call, "tanh_gradient", TanhGradient{}); }
void sigmoid_gradient(const Call& call) { map_any<2>(call, "sigmoid_gradient", SigmoidGradient{}); }
void silu_gradient(const Call& call) { map_any<2>(call, "silu_gradient", SiluGradient{}); }
void divide(const Call& call) { map_any<2>(call, "divide", Quotient{}); }

template <typename T>
struct QuotientGradient {
  const T *dy, *b, *y;
  T *da, *db;

  template <int width>
  __device__ void at(int64_t element) const {
    float of_a[width], of_b[width], values[width];
    load_group(dy + element, of_a);
    load_group(b + element, values);
    for (int e = 0; e < width; ++e) of_a[e] = of_a[e] / values[e];
    load_group(y + element, values);
    for (int e = 0; e < width; ++e) of_b[e] = -of_a[e] * values[e];
    store_group(of_a, da + element);
    store_group(of_b, db + element);
  }
};

__global__ void divide_doubles_gradient_kernel(const double* dy, const double* b, const double* y,
                                               double* da, double* db, int64_t count) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid()) {
    const double of_a = dy[e] / b[e];
    const double of_b = -of_a * y[e];
    da[e] = of_a;
    db[e] = of_b;
  }
}

void divide_gradient(const Call& call) {
  using Operand = operands::DivideGradient;
  if (call.in[Operand::dy].dtype == DType::f64) {
    const int64_t count = call.out[Operand::da].count();
    return launch(call, "divide_gradient", count, divide_doubles_gradient_kernel,
                  input<double>(call, Operand::dy), input<double>(call, Operand::b),
                  input<double>(call, Operand::y), output<double>(call, Operand::da),
                  output<double>(call, Operand::db), count);
  }
  with_float(call.in[Operand::dy].dtype, [&](auto type) {
    using T = decltype(type);
    launch_groups<Pack<T>::size>(
        call, "divide_gradient",
        QuotientGradient<T>{input<T>(call, Operand::dy), input<T>(call, Operand::b),
                            input<T>(call, Operand::y), output<T>(call, Operand::da),
                            output<T>(call, Operand::db)});
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"exp", {f64, f32, bf16, f16}, exp},
    KernelEntry{"log", {f64, f32, bf16, f16}, log},
    KernelEntry{"square_root", {f64, f32, bf16, f16}, square_root},
    KernelEntry{"tanh", {f64, f32, bf16, f16}, tanh},
    KernelEntry{"sigmoid", {f64, f32, bf16, f16}, sigmoid},
    KernelEntry{"silu", {f64, f32, bf16, f16}, silu},
    KernelEntry{"square_root_gradient", {f64, f32, bf16, f16}, square_root_gradient},
    KernelEntry{"tanh_gradient", {f64, f32, bf16, f16}, tanh_gradient},
    KernelEntry{"sigmoid_gradient", {f64, f32, bf16, f16}, sigmoid_gradient},
    KernelEntry{"silu_gradient", {f64, f32, bf16, f16}, silu_gradient},
    KernelEntry{"divide", {f64, f32, bf16, f16}, divide},
    KernelEntry{"divide_gradient", {f64, f32, bf16, f16}, divide_gradient},
};

}  // namespace

std::span<const KernelEntry> functions_kernels() { return table; }

}  // namespace lacuna::cuda
