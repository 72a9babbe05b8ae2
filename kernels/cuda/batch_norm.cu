// Batch normalisation. Bound by memory, like the CPU's; bytes per element of F (n = 4 or 2):
//
//   statistics            n read                     floor  n / bandwidth
//   apply                 n (+ n residual) read, n written
//   gradient statistics   2 n (+ n of y with a residual and ReLU) read
//   gradient apply        2 n (+ n of y) read, n (+ n of the residual's gradient) written
//
// Sums take per element and sum one conversion to double and one fused multiply-add in it. At half
// of f32's rate (A100, H100, B200) that stays below the floor's time: on an H100 0.3 of it in bf16.
// Without a residual the gradients do not read y, as on the CPU: whether ReLU let an element
// through is computed again, operation by operation.
#include "kernels/batch_norm.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// One f64 vector: count, mean [C], M2 [C].
struct Moments {
  const double* all;
  int64_t channels;
  double epsilon;

  __device__ double count() const { return all[0] > 1 ? all[0] : 1; }
  __device__ double mean(int64_t c) const { return all[1 + c]; }
  __device__ double rstd(int64_t c) const {
    return 1 / sqrt(all[1 + channels + c] / count() + epsilon);
  }
};

struct Scaling {
  Moments moments;
  const float *gamma, *beta;
};

// y = (x - mean) slope + offset. What the mean loses as f32 is made good in the offset.
struct Forward {
  float mean, slope, offset;

  Forward() = default;
  __device__ Forward(const Scaling& s, int64_t c) {
    const double exact_slope = static_cast<double>(s.gamma[c]) * s.moments.rstd(c);
    mean = static_cast<float>(s.moments.mean(c));
    slope = static_cast<float>(exact_slope);
    offset = static_cast<float>(static_cast<double>(s.beta[c]) -
                                (s.moments.mean(c) - static_cast<double>(mean)) * exact_slope);
  }
  __device__ float operator()(float x) const { return fmaf(x - mean, slope, offset); }
};

// dx = slope g + linear (x - mean) + constant
struct Backward {
  Forward forward;
  float linear, constant;

  Backward() = default;
  // Without `sums`, the moments do not depend on x.
  __device__ Backward(const Scaling& s, const double* sums, int64_t c) : forward(s, c) {
    linear = constant = 0;
    if (sums == nullptr) return;
    const double rstd = s.moments.rstd(c);
    const double slope = static_cast<double>(s.gamma[c]) * rstd;
    const double exact = -slope * rstd * sums[s.moments.channels + c] / s.moments.count();
    const double lost = s.moments.mean(c) - static_cast<double>(forward.mean);
    linear = static_cast<float>(exact);
    constant = static_cast<float>(-slope * sums[c] / s.moments.count() - exact * lost);
  }
};

// What lets a gradient through: everything, y > 0 as the forward pass had it, or the same made from
// x.
enum class Mask { none, from_y, from_x };

template <typename F>
void with_mask(const BatchNormAttributes& options, F f) {
  if (!options.relu) return f(std::integral_constant<Mask, Mask::none>());
  if (options.residual) return f(std::integral_constant<Mask, Mask::from_y>());
  f(std::integral_constant<Mask, Mask::from_x>());
}

// g of a group of elements.
template <Mask mask, int width, typename T>
__device__ void masked(const T* dy, const T* y, const float (&x)[width],
                       const Forward (&forward)[width], float (&g)[width]) {
  load_group(dy, g);
  float value[width];
  if constexpr (mask == Mask::from_y) load_group(y, value);
  for (int e = 0; e < width; ++e) {
    if constexpr (mask == Mask::from_x) value[e] = forward[e](x[e]);
    if constexpr (mask != Mask::none) g[e] = value[e] > 0 ? g[e] : 0.f;
  }
}

// sum x, sum x^2
template <typename T>
struct MomentTerms : PlainTerms {
  static constexpr int count = 2;
  const T* x;

  template <int width>
  __device__ void add(Nothing, int64_t first, double (&sums)[count][width]) const {
    float values[width];
    load_group(x + first, values);
    for (int e = 0; e < width; ++e) {
      const double value = values[e];
      sums[0][e] += value;
      sums[1][e] = fma(value, value, sums[1][e]);
    }
  }
};

// sum g, sum g (x - mean)
template <typename T, Mask mask>
struct GradientTerms {
  static constexpr int count = 2;
  const T *dy, *x, *y;
  Scaling scaling;

  template <int width>
  struct Known {
    Forward forward[width];
  };
  template <int width>
  __device__ Known<width> of(int64_t channel) const {
    Known<width> known;
    for (int e = 0; e < width; ++e) known.forward[e] = Forward(scaling, channel + e);
    return known;
  }
  template <int width>
  __device__ void add(const Known<width>& known, int64_t first,
                      double (&sums)[count][width]) const {
    float values[width];
    float g[width];
    load_group(x + first, values);
    masked<mask>(dy + first, y + first, values, known.forward, g);
    for (int e = 0; e < width; ++e) {
      const double gradient = g[e];
      sums[0][e] += gradient;
      sums[1][e] =
          fma(gradient, static_cast<double>(values[e] - known.forward[e].mean), sums[1][e]);
    }
  }
};

struct WriteMoments {
  double* sums;  // [1 + 4C]
  int64_t channels;
  double rows;
  __device__ void operator()(int64_t number, const DoubleDouble& sum) const {
    if (number == 0) sums[0] = rows;
    sums[1 + number] = sum.high;
    sums[1 + 2 * channels + number] = sum.low;
  }
};

struct WriteGradients {
  double* sums;  // [2C]
  Moments moments;
  // The terms were taken from the mean as f32; sum g xhat = rstd (sum g (x - mean)).
  __device__ void operator()(int64_t number, const DoubleDouble& sum) const {
    const int64_t c = number - moments.channels;
    sums[number] = c < 0 ? sum.value() : moments.rstd(c) * sum.value();
  }
};

// Double-double arithmetic, each product with what rounding left off it.
__device__ inline void add_product(DoubleDouble& sum, double a, double b) {
  const double product = __dmul_rn(a, b);
  sum.add(product);
  sum.add(fma(a, b, -product));
}

__global__ void __launch_bounds__(block_size)
    merge_kernel(const double* parts, int64_t ranks, int64_t channels, double* moments) {
  const int64_t width = 1 + 4 * channels;
  double count = 0;
  for (int64_t r = 0; r < ranks; ++r) count += parts[r * width];
  if (first_of_grid() == 0) moments[0] = count;
  for (int64_t c = first_of_grid(); c < channels; c += threads_of_grid()) {
    DoubleDouble sum;
    DoubleDouble square;
    for (int64_t r = 0; r < ranks; ++r) {
      const double* part = parts + r * width + 1 + c;
      sum.add(DoubleDouble{part[0], part[2 * channels]});
      square.add(DoubleDouble{part[channels], part[3 * channels]});
    }
    // sum (x - mean)^2 = sum x^2 - 2 mean sum x + count mean^2, whatever the mean
    const double mean = count == 0 ? 0 : sum.value() / count;
    add_product(square, -2 * mean, sum.high);
    add_product(square, -2 * mean, sum.low);
    DoubleDouble mean_square;
    add_product(mean_square, mean, mean);
    add_product(square, count, mean_square.high);
    add_product(square, count, mean_square.low);
    moments[1 + c] = mean;
    moments[1 + channels + c] = square.value() < 0 ? 0 : square.value();  // NaN stays NaN
  }
}

__global__ void __launch_bounds__(block_size)
    fixed_moments_kernel(const float* mean, const float* variance, int64_t channels,
                         double* moments) {
  if (first_of_grid() == 0) moments[0] = 1;
  for (int64_t c = first_of_grid(); c < channels; c += threads_of_grid()) {
    moments[1 + c] = mean[c];
    moments[1 + channels + c] = variance[c];
  }
}

// What all rows of the block's tile need of each channel, made once by the first threads.
template <typename Known, typename Make>
__device__ void make_known(const Columns& columns, Known* known, const Make& make) {
  const int tile = columns.across * columns.width;
  for (int slot = static_cast<int>(threadIdx.x); slot < tile; slot += block_size) {
    const int64_t channel = columns.tile_begin() + slot;
    if (channel < columns.channels) known[slot] = make(channel);
  }
  __syncthreads();
}

template <int width, typename T>
__global__ void __launch_bounds__(block_size)
    apply_kernel(const T* x, Scaling scaling, const T* residual, T* y, int64_t rows, bool relu,
                 Columns columns) {
  __shared__ Forward of_tile[Columns::most_channels];
  make_known(columns, of_tile, [&](int64_t c) { return Forward(scaling, c); });
  if (columns.channel() >= columns.channels) return;
  Forward forward[width];
  for (int e = 0; e < width; ++e) forward[e] = of_tile[columns.column() * width + e];
  for (int64_t row = columns.first_row(); row < rows; row += columns.row_step()) {
    const int64_t first = row * columns.channels + columns.channel();
    float values[width];
    load_group(x + first, values);
    for (int e = 0; e < width; ++e) values[e] = forward[e](values[e]);
    if (residual != nullptr) {
      float added[width];
      load_group(residual + first, added);
      for (int e = 0; e < width; ++e) values[e] += added[e];
    }
    if (relu)
      for (int e = 0; e < width; ++e) values[e] = values[e] < 0 ? 0.f : values[e];
    store_group(values, y + first);
  }
}

template <typename T>
struct GradientOperands {
  const T *dy, *x, *y;
  Scaling scaling;
  const double* sums;  // or nullptr
  T *dx, *dresidual;   // or nullptr
};

template <int width, Mask mask, typename T>
__global__ void __launch_bounds__(block_size)
    gradient_kernel(GradientOperands<T> operands, int64_t rows, Columns columns) {
  __shared__ Backward of_tile[Columns::most_channels];
  make_known(columns, of_tile,
             [&](int64_t c) { return Backward(operands.scaling, operands.sums, c); });
  if (columns.channel() >= columns.channels) return;
  Forward forward[width];
  float linear[width], constant[width];
  for (int e = 0; e < width; ++e) {
    const Backward& backward = of_tile[columns.column() * width + e];
    forward[e] = backward.forward;
    linear[e] = backward.linear;
    constant[e] = backward.constant;
  }
  for (int64_t row = columns.first_row(); row < rows; row += columns.row_step()) {
    const int64_t first = row * columns.channels + columns.channel();
    float x[width], g[width], dx[width];
    load_group(operands.x + first, x);
    masked<mask>(operands.dy + first, operands.y + first, x, forward, g);
    for (int e = 0; e < width; ++e)
      dx[e] = fmaf(g[e], forward[e].slope, fmaf(x[e] - forward[e].mean, linear[e], constant[e]));
    store_group(dx, operands.dx + first);
    if (operands.dresidual != nullptr) store_group(g, operands.dresidual + first);
  }
}

__global__ void __launch_bounds__(block_size)
    parameter_gradient_kernel(const double* sums, int64_t channels, float* dgamma, float* dbeta) {
  for (int64_t c = first_of_grid(); c < channels; c += threads_of_grid()) {
    dgamma[c] = static_cast<float>(sums[channels + c]);
    dbeta[c] = static_cast<float>(sums[c]);
  }
}

__global__ void __launch_bounds__(block_size)
    running_update_kernel(const double* moments, int64_t channels, double momentum, float* mean,
                          float* variance) {
  const double count = moments[0];
  if (count == 0) return;
  for (int64_t c = first_of_grid(); c < channels; c += threads_of_grid()) {
    const double unbiased = moments[1 + channels + c] / (count > 2 ? count - 1 : 1);
    mean[c] = static_cast<float>(mean[c] + momentum * (moments[1 + c] - mean[c]));
    variance[c] = static_cast<float>(variance[c] + momentum * (unbiased - variance[c]));
  }
}

int64_t rows_of(const Shape& x) { return x.slice(0, x.rank() - 1).count(); }

// Inputs `first` on: moments; and gamma and beta from `parameters` on.
Scaling scaling_of(const Call& call, size_t first, size_t parameters, double epsilon) {
  const Moments moments{input<double>(call, first), call.in[parameters].count(), epsilon};
  return {moments, input<float>(call, parameters), input<float>(call, parameters + 1)};
}

void batch_norm_statistics(const Call& call) {
  const Shape& shape = call.in[0].shape;
  with_width<most_summed>(call, call.in[0].dtype, shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    sum_columns<width()>(
        call, "batch_norm_statistics", shape, MomentTerms<T>{{}, input<T>(call, 0)},
        WriteMoments{output<double>(call), shape[-1], static_cast<double>(rows_of(shape))});
  });
}

void batch_norm_merge(const Call& call) {
  const int64_t channels = (call.in[0].shape[1] - 1) / 4;
  launch(call, "batch_norm_merge", channels, merge_kernel, input<double>(call, 0),
         call.in[0].shape[0], channels, output<double>(call));
}

void batch_norm_fixed_moments(const Call& call) {
  const int64_t channels = call.in[0].count();
  launch(call, "batch_norm_fixed_moments", channels, fixed_moments_kernel, input<float>(call, 0),
         input<float>(call, 1), channels, output<double>(call));
}

void batch_norm_apply(const Call& call) {
  using Operand = operands::BatchNormApply;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const Shape& shape = call.in[Operand::x].shape;
  const Scaling scaling = scaling_of(call, 1, 2, options.epsilon);
  with_width(call, call.in[Operand::x].dtype, shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const Columns columns(shape[-1], width());
    launch_columns(call, "batch_norm_apply", columns, rows_of(shape), apply_kernel<width(), T>,
                   input<T>(call, Operand::x), scaling,
                   options.residual ? input<T>(call, Operand::residual) : nullptr, output<T>(call),
                   rows_of(shape), options.relu != 0, columns);
  });
}

void batch_norm_gradient_statistics(const Call& call) {
  using Operand = operands::BatchNormGradientStatistics;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const Shape& shape = call.in[Operand::x].shape;
  const Scaling scaling = scaling_of(call, 3, 4, options.epsilon);
  with_width<most_summed>(call, call.in[Operand::dy].dtype, shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    with_mask(options, [&](auto mask) {
      const GradientTerms<T, mask()> terms{input<T>(call, Operand::dy), input<T>(call, Operand::x),
                                           input<T>(call, Operand::y), scaling};
      sum_columns<width()>(call, "batch_norm_gradient_statistics", shape, terms,
                           WriteGradients{output<double>(call), scaling.moments});
    });
  });
}

void batch_norm_gradient_apply(const Call& call) {
  using Operand = operands::BatchNormGradientApply;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const Shape& shape = call.in[Operand::x].shape;
  with_width(call, call.in[Operand::dy].dtype, shape[-1], [&](auto type, auto width) {
    using T = decltype(type);
    const GradientOperands<T> operands{
        input<T>(call, Operand::dy),
        input<T>(call, Operand::x),
        input<T>(call, Operand::y),
        scaling_of(call, 3, 5, options.epsilon),
        options.fixed ? nullptr : input<double>(call, Operand::sums),
        output<T>(call),
        options.residual ? output<T>(call, Operand::dresidual) : nullptr};
    with_mask(options, [&](auto mask) {
      const Columns columns(shape[-1], width());
      launch_columns(call, "batch_norm_gradient_apply", columns, rows_of(shape),
                     gradient_kernel<width(), mask(), T>, operands, rows_of(shape), columns);
    });
  });
}

void batch_norm_parameter_gradient(const Call& call) {
  const int64_t channels = call.out[0].count();
  launch(call, "batch_norm_parameter_gradient", channels, parameter_gradient_kernel,
         input<double>(call, 0), channels, output<float>(call, 0), output<float>(call, 1));
}

void batch_norm_running_update(const Call& call) {
  const int64_t channels = call.out[0].count();
  launch(call, "batch_norm_running_update", channels, running_update_kernel, input<double>(call, 0),
         channels, call.attributes.as<RunningUpdate>().momentum, output<float>(call, 0),
         output<float>(call, 1));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"batch_norm_statistics", {f32, bf16, f16}, batch_norm_statistics},
    KernelEntry{"batch_norm_merge", {f64}, batch_norm_merge},
    KernelEntry{"batch_norm_fixed_moments", {f32}, batch_norm_fixed_moments},
    KernelEntry{"batch_norm_apply", {f32, bf16, f16}, batch_norm_apply},
    KernelEntry{"batch_norm_gradient_statistics", {f32, bf16, f16}, batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_apply", {f32, bf16, f16}, batch_norm_gradient_apply},
    KernelEntry{"batch_norm_parameter_gradient", {f64}, batch_norm_parameter_gradient},
    KernelEntry{"batch_norm_running_update", {f64}, batch_norm_running_update},
};

}  // namespace

std::span<const KernelEntry> batch_norm_kernels() { return table; }

}  // namespace lacuna::cuda
