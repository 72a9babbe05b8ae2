// Losses. Rows of logits are read by one warp each, three times, of which two come from the cache:
// floor = 4 N K bytes / bandwidth, backward 8 N K. Squared error reads 8 bytes an element, its
// gradient 8 and writes 4.
#include "kernels/losses.h"

#include <array>

#include "kernels/cuda/support/reduce.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

__global__ void __launch_bounds__(block_size)
    cross_entropy_kernel(const float* logits, const int64_t* labels, int64_t rows, int64_t classes,
                         float* lse, double* losses) {
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
    if (lane_of_warp() != 0) continue;
    lse[row] = static_cast<float>(of_all);
    losses[row] = labels[row] < 0 ? 0 : of_all - static_cast<double>(of_row[labels[row]]);
  }
}

__global__ void __launch_bounds__(block_size)
    cross_entropy_gradient_kernel(const float* dloss, const float* logits, const int64_t* labels,
                                  const float* lse, int64_t count, int64_t classes, double factor,
                                  float* dlogits) {
  const auto whole = static_cast<float>(factor * static_cast<double>(*dloss));
  for (GridCursor at(classes); at.element < count; at.next()) {
    const int64_t label = labels[at.row];
    const float p = expf(logits[at.element] - lse[at.row]);
    dlogits[at.element] = label < 0 ? 0.f : whole * (p - (at.column == label ? 1.f : 0.f));
  }
}

// `weights` [count / channels], or nullptr.
__global__ void __launch_bounds__(block_size)
    squared_error_kernel(const float* a, const float* b, const float* weights, int64_t count,
                         int64_t channels, double* of_block) {
  double sum = 0;
  for (GridCursor at(channels); at.element < count; at.next()) {
    const double difference =
        static_cast<double>(a[at.element]) - static_cast<double>(b[at.element]);
    const double weight = weights == nullptr ? 1. : static_cast<double>(weights[at.row]);
    sum += weight * difference * difference;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) of_block[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(block_size)
    squared_error_gradient_kernel(const float* dloss, const float* a, const float* b,
                                  const float* weights, int64_t count, int64_t channels,
                                  double factor, float* da) {
  const auto whole = static_cast<float>(2 * factor * static_cast<double>(*dloss));
  for (GridCursor at(channels); at.element < count; at.next()) {
    const float weight = weights == nullptr ? 1.f : weights[at.row];
    da[at.element] = whole * weight * (a[at.element] - b[at.element]);
  }
}

void softmax_cross_entropy(const Call& call) {
  const int64_t rows = call.in[0].shape[0];
  double* losses = scratch_doubles(call, rows);
  launch(call, "softmax_cross_entropy", rows * warp_size, cross_entropy_kernel,
         input<float>(call, 0), input<int64_t>(call, 1), rows, call.in[0].shape[1],
         output<float>(call, 1), losses);
  launch_total(call, "softmax_cross_entropy", losses, rows,
               call.attributes.as<CrossEntropy>().factor, output<float>(call));
}

void softmax_cross_entropy_gradient(const Call& call) {
  using Operand = operands::SoftmaxCrossEntropyGradient;
  const int64_t count = call.in[Operand::logits].count();
  launch(call, "softmax_cross_entropy_gradient", count, cross_entropy_gradient_kernel,
         input<float>(call, Operand::dloss), input<float>(call, Operand::logits),
         input<int64_t>(call, Operand::labels), input<float>(call, Operand::lse), count,
         call.in[Operand::logits].shape[1], call.attributes.as<CrossEntropy>().factor,
         output<float>(call));
}

void squared_error(const Call& call) {
  using Operand = operands::SquaredError;
  const auto parameters = call.attributes.as<SquaredError>();
  const int64_t count = call.in[Operand::a].count();
  const int64_t blocks = blocks_for(call, count);
  double* of_block = scratch_doubles(call, blocks);
  launch(call, "squared_error", count, squared_error_kernel, input<float>(call, Operand::a),
         input<float>(call, Operand::b),
         parameters.weighted ? input<float>(call, Operand::weights) : nullptr, count,
         call.in[Operand::a].shape[-1], of_block);
  launch_total(call, "squared_error", of_block, blocks, parameters.factor, output<float>(call));
}

void squared_error_gradient(const Call& call) {
  using Operand = operands::SquaredErrorGradient;
  const auto parameters = call.attributes.as<SquaredError>();
  const int64_t count = call.in[Operand::a].count();
  launch(call, "squared_error_gradient", count, squared_error_gradient_kernel,
         input<float>(call, Operand::dloss), input<float>(call, Operand::a),
         input<float>(call, Operand::b),
         parameters.weighted ? input<float>(call, Operand::weights) : nullptr, count,
         call.in[Operand::a].shape[-1], parameters.factor, output<float>(call));
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax_cross_entropy", {f32}, softmax_cross_entropy},
    KernelEntry{"softmax_cross_entropy_gradient", {f32}, softmax_cross_entropy_gradient},
    KernelEntry{"squared_error", {f32}, squared_error},
    KernelEntry{"squared_error_gradient", {f32}, squared_error_gradient},
};

}  // namespace

std::span<const KernelEntry> losses_kernels() { return table; }

}  // namespace lacuna::cuda
