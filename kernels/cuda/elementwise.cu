// Element-wise kernels. Each reads every operand once and writes the result once: floor = bytes /
// copy bandwidth (16 bits: 2 bytes an element and operand), by a loop over 16-byte packs. By count
// nothing else bounds them (gelu: some 30 instructions an element, 0.4 of the floor's time in f32
// on an H100, 0.8 in bf16); not measured. hide, add_to_each and casts of integers, which run once a
// step, go element by element.
#include "kernels/elementwise.h"

#include <array>

#include "kernels/cuda/support/map.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/cuda/support/tensors.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// The sum of all terms, in their order, in f32.
template <typename T>
struct Terms {
  static constexpr int most = 256;
  const T* in[most];
  T* out;
  int size;

  template <int width>
  __device__ void at(int64_t element) const {
    float sum[width], values[width];
    load_group(in[0] + element, sum);
    for (int t = 1; t < size; ++t) {
      load_group(in[t] + element, values);
      for (int e = 0; e < width; ++e) sum[e] += values[e];
    }
    store_group(sum, out + element);
  }
};

template <typename From, typename To>
struct Convert {
  const From* in;
  To* out;

  template <int width>
  __device__ void at(int64_t element) const {
    float values[width];
    load_group(in + element, values);
    store_group(values, out + element);
  }
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

__global__ void scale_double_kernel(const double* x, double factor, double* y, int64_t count) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid()) y[e] = factor * x[e];
}

// Rows of few channels under a mask of one.
template <typename T>
__global__ void __launch_bounds__(block_size)
    hide_kernel(const T* x, const T* mask, T* y, int64_t count, int64_t channels) {
  for (GridCursor at(channels); at.element < count; at.next())
    y[at.element] = from_float<T>(to_float(x[at.element]) * (1 - to_float(mask[at.row])));
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    add_to_each_kernel(const T* x, const float* p, T* y, int64_t count, int64_t size) {
  for (GridCursor at(size); at.element < count; at.next())
    y[at.element] = from_float<T>(to_float(x[at.element]) + p[at.column]);
}

// By way of double: any type to any other.
template <typename T>
__device__ double to_double(T x) {
  return static_cast<double>(x);
}
__device__ inline double to_double(Bf16 x) { return static_cast<double>(to_float(x)); }
__device__ inline double to_double(Half x) { return static_cast<double>(to_float(x)); }
template <typename T>
__device__ T from_double(double x) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(rint(x));
  } else if constexpr (std::is_same_v<T, Bf16> || std::is_same_v<T, Half>) {
    return from_float<T>(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}
template <typename From, typename To>
__global__ void __launch_bounds__(block_size) cast_kernel(const From* x, To* y, int64_t count) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid())
    y[e] = from_double<To>(to_double(x[e]));
}

template <typename F>
void with_any(DType dtype, F f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(Bf16{});
    case DType::f16:
      return f(Half{});
    case DType::i64:
      return f(int64_t{});
    case DType::i32:
      return f(int32_t{});
    case DType::u16:
      return f(uint16_t{});
    case DType::i16:
      return f(int16_t{});
    case DType::u8:
      return f(uint8_t{});
  }
}

bool has_packs(DType dtype) { return is_float(dtype) && dtype != DType::f64; }

// Of each chunk the sum of squares.
template <typename T>
__global__ void __launch_bounds__(block_size)
    squares_kernel(const __grid_constant__ Tensors<1> tensors, int chunks, double* squares) {
  for (int number = static_cast<int>(blockIdx.x); number < chunks;
       number += static_cast<int>(gridDim.x)) {
    const Chunk chunk(tensors, number);
    const auto* x = tensors.at<T>(0, chunk.tensor);
    double sum = 0;
    for (int64_t e = chunk.begin + threadIdx.x; e < chunk.end; e += block_size) {
      const double value = to_float(x[e]);
      sum = fma(value, value, sum);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) squares[number] = sum;
  }
}

// 1 for each row whose first largest logit is at the label. A warp to a row.
template <typename T>
__global__ void __launch_bounds__(block_size)
    correct_kernel(const T* logits, const int64_t* labels, int64_t rows, int64_t classes,
                   double* correct) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const T* of_row = logits + row * classes;
    float largest = -INFINITY;
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size)
      largest = fmaxf(largest, to_float(of_row[k]));
    largest = warp_max(largest);
    const int64_t label = labels[row];
    int before = 0;  // as large ones before the label
    for (int64_t k = lane_of_warp(); k < label; k += warp_size)
      before += to_float(of_row[k]) == largest ? 1 : 0;
    before = warp_sum(before);
    if (lane_of_warp() == 0)
      correct[row] = label >= 0 && before == 0 && to_float(of_row[label]) == largest ? 1 : 0;
  }
}

void accumulate(const Call& call) {
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    Terms<T> terms{};
    LACUNA_CHECK(call.in.size() <= terms.most, call.in.size(), " terms");
    terms.size = static_cast<int>(call.in.size());
    for (size_t t = 0; t < call.in.size(); ++t) terms.in[t] = input<T>(call, t);
    terms.out = output<T>(call);
    launch_groups<Pack<T>::size>(call, "accumulate", terms);
  });
}

void scale(const Call& call) {
  if (call.in[0].dtype == DType::f64) {  // a figure to watch
    const int64_t count = call.out[0].count();
    return launch(call, "scale", count, scale_double_kernel, input<double>(call, 0),
                  call.attributes.as<Scale>().factor, output<double>(call), count);
  }
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

void cast(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t count = y.count();
  if (has_packs(x.dtype) && has_packs(y.dtype)) {
    with_float(x.dtype, [&](auto from) {
      with_float(y.dtype, [&](auto to) {
        using From = decltype(from);
        using To = decltype(to);
        constexpr int width = 4;  // 16 bytes of f32, 8 of others
        launch_groups<width>(call, "cast",
                             Convert<From, To>{input<From>(call, 0), output<To>(call)});
      });
    });
    return;
  }
  with_any(x.dtype, [&](auto from) {
    with_any(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      launch(call, "cast", count, cast_kernel<From, To>, input<From>(call, 0), output<To>(call),
             count);
    });
  });
}

void squared_norm(const Call& call) {
  int64_t all = 0;
  for (const View& x : call.in) all += (x.count() + chunk_size - 1) / chunk_size;
  double* squares = scratch_doubles(call, all);
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    for_tensors<1>(
        call.in.size(), [&](int, size_t t) -> const View& { return call.in[t]; },
        [&](const Tensors<1>& tensors, int chunks, int before) {
          launch(call, "squared_norm", int64_t{chunks} * block_size, squares_kernel<T>, tensors,
                 chunks, squares + before);
        });
  });
  launch_total(call, "squared_norm", squares, all, 1, output<double>(call));
}

void count_correct(const Call& call) {
  const int64_t rows = call.in[0].shape[0];
  double* correct = scratch_doubles(call, rows);
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "count_correct", rows * warp_size, correct_kernel<T>, input<T>(call, 0),
           input<int64_t>(call, 1), rows, call.in[0].shape[1], correct);
  });
  launch_total(call, "count_correct", correct, rows, 1, output<double>(call));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"accumulate", {f32, bf16, f16}, accumulate},
    KernelEntry{"cast", {f64, f32, bf16, f16, i64, i32, u16, i16, u8}, cast},
    KernelEntry{"scale", {f64, f32, bf16, f16}, scale},
    KernelEntry{"multiply", {f32, bf16, f16}, multiply},
    KernelEntry{"hide", {f32, bf16, f16}, hide},
    KernelEntry{"relu", {f32, bf16, f16}, relu},
    KernelEntry{"relu_gradient", {f32, bf16, f16}, relu_gradient},
    KernelEntry{"gelu", {f32, bf16, f16}, gelu},
    KernelEntry{"gelu_gradient", {f32, bf16, f16}, gelu_gradient},
    KernelEntry{"add_to_each", {f32, bf16, f16}, add_to_each},
    KernelEntry{"squared_norm", {f32, bf16, f16}, squared_norm},
    KernelEntry{"count_correct", {f32, bf16, f16}, count_correct},
};

}  // namespace

std::span<const KernelEntry> elementwise_kernels() { return table; }

}  // namespace lacuna::cuda
