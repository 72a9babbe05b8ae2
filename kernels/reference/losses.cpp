#include "kernels/losses.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void softmax_cross_entropy(const Call& call) {
  const int64_t rows = call.in[0].shape[0];
  const int64_t classes = call.in[0].shape[1];
  const int64_t* labels = call.in[1].as<int64_t>();
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double* logits = call.in[0].as<double>() + i * classes;
    const double largest = *std::max_element(logits, logits + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(logits[k] - largest);
    const double lse = call.out[1].as<double>()[i] = largest + std::log(sum);
    if (labels[i] >= 0) loss += lse - logits[labels[i]];
  }
  *call.out[0].as<double>() = call.attributes.as<CrossEntropy>().factor * loss;
}

void softmax_cross_entropy_gradient(const Call& call) {
  using Operand = operands::SoftmaxCrossEntropyGradient;
  const double factor =
      *call.in[Operand::dloss].as<double>() * call.attributes.as<CrossEntropy>().factor;
  const int64_t rows = call.in[Operand::logits].shape[0];
  const int64_t classes = call.in[Operand::logits].shape[1];
  const int64_t* labels = call.in[Operand::labels].as<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    const double* logits = call.in[Operand::logits].as<double>() + i * classes;
    const double lse = call.in[Operand::lse].as<double>()[i];
    double* gradient = call.out[Operand::dlogits].as<double>() + i * classes;
    for (int64_t k = 0; k < classes; ++k) {
      const double p = std::exp(logits[k] - lse);
      gradient[k] = labels[i] < 0 ? 0 : factor * (p - (k == labels[i] ? 1 : 0));
    }
  }
}

void squared_error(const Call& call) {
  using Operand = operands::SquaredError;
  const auto parameters = call.attributes.as<SquaredError>();
  const double* a = call.in[Operand::a].as<double>();
  const double* b = call.in[Operand::b].as<double>();
  const int64_t channels = call.in[Operand::a].shape[-1];
  double sum = 0;
  for (int64_t i = 0; i < call.in[Operand::a].count(); ++i) {
    const double weight =
        parameters.weighted ? call.in[Operand::weights].as<double>()[i / channels] : 1;
    sum += weight * (a[i] - b[i]) * (a[i] - b[i]);
  }
  *call.out[Operand::loss].as<double>() = parameters.factor * sum;
}

void squared_error_gradient(const Call& call) {
  using Operand = operands::SquaredErrorGradient;
  const auto parameters = call.attributes.as<SquaredError>();
  const double factor = 2 * parameters.factor * *call.in[Operand::dloss].as<double>();
  const double* a = call.in[Operand::a].as<double>();
  const double* b = call.in[Operand::b].as<double>();
  const int64_t channels = call.in[Operand::a].shape[-1];
  for (int64_t i = 0; i < call.in[Operand::a].count(); ++i) {
    const double weight =
        parameters.weighted ? call.in[Operand::weights].as<double>()[i / channels] : 1;
    call.out[Operand::da].as<double>()[i] = factor * weight * (a[i] - b[i]);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax_cross_entropy", {f64}, softmax_cross_entropy},
    KernelEntry{"softmax_cross_entropy_gradient", {f64}, softmax_cross_entropy_gradient},
    KernelEntry{"squared_error", {f64}, squared_error},
    KernelEntry{"squared_error_gradient", {f64}, squared_error_gradient},
};

}  // namespace

std::span<const KernelEntry> losses_kernels() { return table; }

}  // namespace lacuna::reference
