// Layer norm where the library has no engine (f32 rows of odd sizes, rows that begin anywhere).
//
// A warp has a row, which it reads three times, from memory once: 2 n bytes an element forward (n
// of x, n of y), 3 n for dx, another 2 n for the sums over rows of dgamma and dbeta. Bound by
// memory.
#include "kernels/layer_norm.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename T>
__global__ void __launch_bounds__(block_size)
    layer_norm_kernel(const T* x, const float* gamma, const float* beta, T* y, float* means,
                      float* rstds, int64_t rows, int64_t features, double epsilon) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const T* of_row = x + row * features;
    double sum = 0;
    for (int64_t d = lane_of_warp(); d < features; d += warp_size)
      sum += static_cast<double>(to_float(of_row[d]));
    const double mean = warp_sum(sum) / static_cast<double>(features);
    double squares = 0;
    for (int64_t d = lane_of_warp(); d < features; d += warp_size) {
      const double off = static_cast<double>(to_float(of_row[d])) - mean;
      squares = fma(off, off, squares);
    }
    const double variance = warp_sum(squares) / static_cast<double>(features);
    const double rstd = 1 / sqrt(variance + epsilon);
    for (int64_t d = lane_of_warp(); d < features; d += warp_size) {
      const auto xhat =
          static_cast<float>((static_cast<double>(to_float(of_row[d])) - mean) * rstd);
      y[row * features + d] = from_float<T>(fmaf(gamma[d], xhat, beta[d]));
    }
    if (lane_of_warp() != 0) continue;
    means[row] = static_cast<float>(mean);
    rstds[row] = static_cast<float>(rstd);
  }
}

template <typename T>
struct Rows {
  const T *dy, *x;
  const float *means, *rstds;
  int64_t features;
  __device__ float xhat(int64_t element, int64_t row) const {
    return (to_float(x[element]) - means[row]) * rstds[row];
  }
};

template <typename T>
__global__ void __launch_bounds__(block_size)
    layer_norm_gradient_kernel(Rows<T> rows, const float* gamma, T* dx, int64_t count) {
  for (int64_t row = first_warp(); row < count; row += warp_step()) {
    const int64_t begin = row * rows.features;
    double sum = 0;
    double along = 0;
    for (int64_t d = lane_of_warp(); d < rows.features; d += warp_size) {
      const auto g = static_cast<double>(to_float(rows.dy[begin + d]) * gamma[d]);
      sum += g;
      along = fma(g, static_cast<double>(rows.xhat(begin + d, row)), along);
    }
    const auto mean = static_cast<float>(warp_sum(sum) / static_cast<double>(rows.features));
    const auto slope = static_cast<float>(warp_sum(along) / static_cast<double>(rows.features));
    for (int64_t d = lane_of_warp(); d < rows.features; d += warp_size) {
      const float g = to_float(rows.dy[begin + d]) * gamma[d];
      dx[begin + d] =
          from_float<T>(rows.rstds[row] * (g - mean - rows.xhat(begin + d, row) * slope));
    }
  }
}

// sum dy xhat, sum dy
template <typename T>
struct ParameterTerms : PlainTerms {
  static constexpr int count = 2;
  Rows<T> rows;

  template <int width>
  __device__ void add(Nothing, int64_t first, double (&sums)[count][width]) const {
    const int64_t row = first / rows.features;
    for (int e = 0; e < width; ++e) {
      const auto gradient = static_cast<double>(to_float(rows.dy[first + e]));
      sums[0][e] = fma(gradient, static_cast<double>(rows.xhat(first + e, row)), sums[0][e]);
      sums[1][e] += gradient;
    }
  }
};

struct WriteParameters {
  float *dgamma, *dbeta;
  int64_t features;
  __device__ void operator()(int64_t number, const DoubleDouble& sum) const {
    const auto value = static_cast<float>(sum.value());
    if (number < features) {
      dgamma[number] = value;
    } else {
      dbeta[number - features] = value;
    }
  }
};

void layer_norm(const Call& call) {
  using Operand = operands::LayerNorm;
  const int64_t features = call.in[Operand::x].shape[-1];
  const int64_t rows = call.out[Operand::mean].count();
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  with_float(call.in[Operand::x].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "layer_norm", rows * warp_size, layer_norm_kernel<T>, input<T>(call, Operand::x),
           input<float>(call, Operand::gamma), input<float>(call, Operand::beta), output<T>(call),
           output<float>(call, Operand::mean), output<float>(call, Operand::rstd), rows, features,
           epsilon);
  });
}

void layer_norm_gradient(const Call& call) {
  using Operand = operands::LayerNormGradient;
  const Shape& shape = call.in[Operand::x].shape;
  const int64_t count = call.in[Operand::mean].count();
  with_float(call.in[Operand::dy].dtype, [&](auto type) {
    using T = decltype(type);
    const Rows<T> rows{input<T>(call, Operand::dy), input<T>(call, Operand::x),
                       input<float>(call, Operand::mean), input<float>(call, Operand::rstd),
                       shape[-1]};
    launch(call, "layer_norm_gradient", count * warp_size, layer_norm_gradient_kernel<T>, rows,
           input<float>(call, Operand::gamma), output<T>(call), count);
    sum_columns<1>(call, "layer_norm_gradient", Shape{count, shape[-1]},
                   ParameterTerms<T>{{}, rows},
                   WriteParameters{output<float>(call, Operand::dgamma),
                                   output<float>(call, Operand::dbeta), shape[-1]});
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"layer_norm", {f32, bf16, f16}, layer_norm},
    KernelEntry{"layer_norm_gradient", {f32, bf16, f16}, layer_norm_gradient},
};

}  // namespace

std::span<const KernelEntry> layer_norm_kernels() { return table; }

}  // namespace lacuna::cuda
