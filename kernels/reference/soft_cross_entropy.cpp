#include "kernels/soft_cross_entropy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void soft_cross_entropy(const Call& call) {
  using Operand = operands::SoftCrossEntropy;
  const Shape& shape = call.in[Operand::logits].shape;
  double loss = 0;
  for (int64_t i = 0; i < shape[0]; ++i) {
    const double* logits = call.in[Operand::logits].as<double>() + i * shape[1];
    const double* targets = call.in[Operand::targets].as<double>() + i * shape[1];
    const double largest = *std::max_element(logits, logits + shape[1]);
    double sum = 0;
    for (int64_t k = 0; k < shape[1]; ++k) sum += std::exp(logits[k] - largest);
    const double lse = call.out[Operand::lse].as<double>()[i] = largest + std::log(sum);
    for (int64_t k = 0; k < shape[1]; ++k) loss += targets[k] * (lse - logits[k]);
  }
  *call.out[Operand::loss].as<double>() = loss;
}

void soft_cross_entropy_gradient(const Call& call) {
  using Operand = operands::SoftCrossEntropyGradient;
  const double dloss = *call.in[Operand::dloss].as<double>();
  const Shape& shape = call.in[Operand::logits].shape;
  for (int64_t i = 0; i < shape[0]; ++i) {
    const double* logits = call.in[Operand::logits].as<double>() + i * shape[1];
    const double* targets = call.in[Operand::targets].as<double>() + i * shape[1];
    const double lse = call.in[Operand::lse].as<double>()[i];
    const double weight = std::accumulate(targets, targets + shape[1], 0.0);
    double* gradient = call.out[Operand::dlogits].as<double>() + i * shape[1];
    for (int64_t k = 0; k < shape[1]; ++k)
      gradient[k] = dloss * (std::exp(logits[k] - lse) * weight - targets[k]);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"soft_cross_entropy", {f64}, soft_cross_entropy},
    KernelEntry{"soft_cross_entropy_gradient", {f64}, soft_cross_entropy_gradient},
};

}  // namespace

std::span<const KernelEntry> soft_cross_entropy_kernels() { return table; }

}  // namespace lacuna::reference
