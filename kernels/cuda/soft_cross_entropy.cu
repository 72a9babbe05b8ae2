// Cross entropy with soft targets; a warp to a row, whose logits it reads three times, twice from
// the cache: floor = 8 N K bytes / bandwidth, backward 12 N K.
#include "kernels/soft_cross_entropy.h"

#include <array>

#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

__global__ void __launch_bounds__(block_size)
    soft_cross_entropy_kernel(const float* logits, const float* targets, int64_t rows,
                              int64_t classes, float* lse, double* losses) {
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    const float* of_row = logits + row * classes;
    float largest = -INFINITY;
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size)
      largest = fmaxf(largest, of_row[k]);
    largest = warp_max(largest);
    double sum = 0;
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size)
      sum += static_cast<double>(expf(of_row[k] - largest));
    const double of_all = static_cast<double>(largest) + log(warp_sum(sum));
    double loss = 0;
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size) {
      loss += static_cast<double>(targets[row * classes + k]) *
              (of_all - static_cast<double>(of_row[k]));
    }
    loss = warp_sum(loss);
    if (lane_of_warp() != 0) continue;
    lse[row] = static_cast<float>(of_all);
    losses[row] = loss;
  }
}

__global__ void __launch_bounds__(block_size)
    soft_cross_entropy_gradient_kernel(const float* dloss, const float* logits,
                                       const float* targets, const float* lse, int64_t rows,
                                       int64_t classes, float* gradient) {
  const float factor = *dloss;
  for (int64_t row = first_warp(); row < rows; row += warp_step()) {
    double sum = 0;
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size)
      sum += static_cast<double>(targets[row * classes + k]);
    const auto weight = static_cast<float>(warp_sum(sum));
    for (int64_t k = lane_of_warp(); k < classes; k += warp_size) {
      const int64_t at = row * classes + k;
      gradient[at] = factor * (expf(logits[at] - lse[row]) * weight - targets[at]);
    }
  }
}

void soft_cross_entropy(const Call& call) {
  using Operand = operands::SoftCrossEntropy;
  const Shape& shape = call.in[Operand::logits].shape;
  double* losses = scratch_doubles(call, shape[0]);
  launch(call, "soft_cross_entropy", shape[0] * warp_size, soft_cross_entropy_kernel,
         input<float>(call, Operand::logits), input<float>(call, Operand::targets), shape[0],
         shape[1], output<float>(call, Operand::lse), losses);
  launch_total(call, "soft_cross_entropy", losses, shape[0], 1, output<float>(call, Operand::loss));
}

void soft_cross_entropy_gradient(const Call& call) {
  using Operand = operands::SoftCrossEntropyGradient;
  const Shape& shape = call.in[Operand::logits].shape;
  launch(call, "soft_cross_entropy_gradient", shape[0] * warp_size,
         soft_cross_entropy_gradient_kernel, input<float>(call, Operand::dloss),
         input<float>(call, Operand::logits), input<float>(call, Operand::targets),
         input<float>(call, Operand::lse), shape[0], shape[1], output<float>(call));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"soft_cross_entropy", {f32}, soft_cross_entropy},
    KernelEntry{"soft_cross_entropy_gradient", {f32}, soft_cross_entropy_gradient},
};

}  // namespace

std::span<const KernelEntry> soft_cross_entropy_kernels() { return table; }

}  // namespace lacuna::cuda
