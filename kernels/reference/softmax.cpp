#include "kernels/softmax.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

double temperature_of(const Call& call, size_t operand) {
  return call.in.size() > operand ? *call.in[operand].as<double>() : 1;
}

// The logarithm of the softmax of each row, or what `finish` makes of it.
template <typename Finish>
void for_rows(const Call& call, const Finish& finish) {
  const int64_t size = call.in[0].shape[-1];
  const double t = temperature_of(call, operands::Softmax::temperature);
  for (int64_t begin = 0; begin < call.in[0].count(); begin += size) {
    const double* x = call.in[0].as<double>() + begin;
    double* y = call.out[0].as<double>() + begin;
    const double largest = *std::max_element(x, x + size) / t;
    double sum = 0;
    for (int64_t k = 0; k < size; ++k) sum += std::exp(x[k] / t - largest);
    const double lse = largest + std::log(sum);
    for (int64_t k = 0; k < size; ++k) y[k] = finish(x[k] / t - lse);
  }
}

void softmax(const Call& call) {
  for_rows(call, [](double logarithm) { return std::exp(logarithm); });
}

void log_softmax(const Call& call) {
  for_rows(call, [](double logarithm) { return logarithm; });
}

void softmax_gradient(const Call& call) {
  using Operand = operands::SoftmaxGradient;
  const int64_t size = call.out[0].shape[-1];
  const double t = temperature_of(call, Operand::temperature);
  for (int64_t begin = 0; begin < call.out[0].count(); begin += size) {
    const double* dy = call.in[Operand::dy].as<double>() + begin;
    const double* y = call.in[Operand::y].as<double>() + begin;
    double along = 0;
    for (int64_t k = 0; k < size; ++k) along += dy[k] * y[k];
    double* dx = call.out[0].as<double>() + begin;
    for (int64_t k = 0; k < size; ++k) dx[k] = y[k] * (dy[k] - along) / t;
  }
}

void log_softmax_gradient(const Call& call) {
  using Operand = operands::SoftmaxGradient;
  const int64_t size = call.out[0].shape[-1];
  const double t = temperature_of(call, Operand::temperature);
  for (int64_t begin = 0; begin < call.out[0].count(); begin += size) {
    const double* dy = call.in[Operand::dy].as<double>() + begin;
    const double* y = call.in[Operand::y].as<double>() + begin;
    double sum = 0;
    for (int64_t k = 0; k < size; ++k) sum += dy[k];
    double* dx = call.out[0].as<double>() + begin;
    for (int64_t k = 0; k < size; ++k) dx[k] = (dy[k] - std::exp(y[k]) * sum) / t;
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax", {f64}, softmax},
    KernelEntry{"softmax_gradient", {f64}, softmax_gradient},
    KernelEntry{"log_softmax", {f64}, log_softmax},
    KernelEntry{"log_softmax_gradient", {f64}, log_softmax_gradient},
};

}  // namespace

std::span<const KernelEntry> softmax_kernels() { return table; }

}  // namespace lacuna::reference
