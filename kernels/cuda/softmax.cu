// Softmax and its logarithm; a warp to a row, which it reads three times, twice from the cache:
// floor = 2 N K elements / bandwidth, the gradients 3 N K.
#include "kernels/softmax.h"

#include <array>

#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// nullptr: 1.
__device__ inline float inverse_of(const double* temperature) {
  return temperature == nullptr ? 1.f : static_cast<float>(1 / *temperature);
}

template <bool logarithm, typename T>
__global__ void __launch_bounds__(block_size)
    softmax_kernel(const T* x, const double* temperature, T* y, int64_t rows, int64_t size) {
  const float inverse = inverse_of(temperature);
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const T* of_x = x + row * size;
    T* of_y = y + row * size;
    float largest = -INFINITY;
    for (int64_t k = lane_of_warp(); k < size; k += warp_size)
      largest = fmaxf(largest, to_float(of_x[k]) * inverse);
    largest = warp_max(largest);
    double sum = 0;
    for (int64_t k = lane_of_warp(); k < size; k += warp_size)
      sum += static_cast<double>(expf(to_float(of_x[k]) * inverse - largest));
    sum = warp_sum(sum);
    const auto lse = static_cast<float>(static_cast<double>(largest) + log(sum));
    const auto factor = static_cast<float>(1 / sum);
    for (int64_t k = lane_of_warp(); k < size; k += warp_size) {
      const float value = to_float(of_x[k]) * inverse;
      of_y[k] = from_float<T>(logarithm ? value - lse : expf(value - largest) * factor);
    }
  }
}

template <bool logarithm, typename T>
__global__ void __launch_bounds__(block_size)
    softmax_gradient_kernel(const T* dy, const T* y, const double* temperature, T* dx, int64_t rows,
                            int64_t size) {
  const float inverse = inverse_of(temperature);
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const T* of_dy = dy + row * size;
    const T* of_y = y + row * size;
    double sum = 0;  // of dy, or of dy y
    for (int64_t k = lane_of_warp(); k < size; k += warp_size) {
      const double slope = static_cast<double>(to_float(of_dy[k]));
      sum += logarithm ? slope : slope * static_cast<double>(to_float(of_y[k]));
    }
    const auto along = static_cast<float>(warp_sum(sum));
    for (int64_t k = lane_of_warp(); k < size; k += warp_size) {
      const float slope = to_float(of_dy[k]);
      const float value = to_float(of_y[k]);
      const float g = logarithm ? slope - expf(value) * along : value * (slope - along);
      dx[row * size + k] = from_float<T>(g * inverse);
    }
  }
}

const double* temperature_of(const Call& call, size_t operand) {
  return call.in.size() > operand ? input<double>(call, operand) : nullptr;
}

template <bool logarithm>
void forward(const Call& call, const char* operation) {
  const int64_t size = call.out[0].shape[-1];
  const int64_t rows = call.out[0].count() / size;
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, operation, rows * warp_size, softmax_kernel<logarithm, T>, input<T>(call, 0),
           temperature_of(call, operands::Softmax::temperature), output<T>(call), rows, size);
  });
}

template <bool logarithm>
void backward(const Call& call, const char* operation) {
  using Operand = operands::SoftmaxGradient;
  const int64_t size = call.out[0].shape[-1];
  const int64_t rows = call.out[0].count() / size;
  with_float(call.in[Operand::dy].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, operation, rows * warp_size, softmax_gradient_kernel<logarithm, T>,
           input<T>(call, Operand::dy), input<T>(call, Operand::y),
           temperature_of(call, Operand::temperature), output<T>(call), rows, size);
  });
}

void softmax(const Call& call) { forward<false>(call, "softmax"); }
void log_softmax(const Call& call) { forward<true>(call, "log_softmax"); }
void softmax_gradient(const Call& call) { backward<false>(call, "softmax_gradient"); }
void log_softmax_gradient(const Call& call) { backward<true>(call, "log_softmax_gradient"); }

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax", {f32, bf16, f16}, softmax},
    KernelEntry{"softmax_gradient", {f32, bf16, f16}, softmax_gradient},
    KernelEntry{"log_softmax", {f32, bf16, f16}, log_softmax},
    KernelEntry{"log_softmax_gradient", {f32, bf16, f16}, log_softmax_gradient},
};

}  // namespace

std::span<const KernelEntry> softmax_kernels() { return table; }

}  // namespace lacuna::cuda
