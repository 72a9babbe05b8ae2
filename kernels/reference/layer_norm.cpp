#include "kernels/layer_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void layer_norm(const Call& call) {
  using Operand = operands::LayerNorm;
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  const int64_t features = call.in[Operand::x].shape[-1];
  const double* gamma = call.in[Operand::gamma].as<double>();
  const double* beta = call.in[Operand::beta].as<double>();
  for (int64_t row = 0; row < call.out[Operand::mean].count(); ++row) {
    const double* x = call.in[Operand::x].as<double>() + row * features;
    double* y = call.out[Operand::y].as<double>() + row * features;
    double mean = 0;
    for (int64_t d = 0; d < features; ++d) mean += x[d] / static_cast<double>(features);
    double variance = 0;
    for (int64_t d = 0; d < features; ++d) {
      variance += (x[d] - mean) * (x[d] - mean) / static_cast<double>(features);
    }
    const double rstd = 1 / std::sqrt(variance + epsilon);
    for (int64_t d = 0; d < features; ++d) y[d] = gamma[d] * (x[d] - mean) * rstd + beta[d];
    call.out[Operand::mean].as<double>()[row] = mean;
    call.out[Operand::rstd].as<double>()[row] = rstd;
  }
}

void layer_norm_gradient(const Call& call) {
  using Operand = operands::LayerNormGradient;
  const int64_t features = call.in[Operand::dy].shape[-1];
  const double* gamma = call.in[Operand::gamma].as<double>();
  double* dgamma = call.out[Operand::dgamma].as<double>();
  double* dbeta = call.out[Operand::dbeta].as<double>();
  std::fill_n(dgamma, features, 0.0);
  std::fill_n(dbeta, features, 0.0);
  for (int64_t row = 0; row < call.in[Operand::mean].count(); ++row) {
    const double* dy = call.in[Operand::dy].as<double>() + row * features;
    const double* x = call.in[Operand::x].as<double>() + row * features;
    const double mean = call.in[Operand::mean].as<double>()[row];
    const double rstd = call.in[Operand::rstd].as<double>()[row];
    double* dx = call.out[Operand::dx].as<double>() + row * features;
    double mean_g = 0;
    double mean_g_xhat = 0;
    for (int64_t d = 0; d < features; ++d) {
      const double xhat = (x[d] - mean) * rstd;
      mean_g += dy[d] * gamma[d] / static_cast<double>(features);
      mean_g_xhat += dy[d] * gamma[d] * xhat / static_cast<double>(features);
      dgamma[d] += dy[d] * xhat;
      dbeta[d] += dy[d];
    }
    for (int64_t d = 0; d < features; ++d) {
      const double xhat = (x[d] - mean) * rstd;
      dx[d] = rstd * (dy[d] * gamma[d] - mean_g - xhat * mean_g_xhat);
    }
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"layer_norm", {f64}, layer_norm},
    KernelEntry{"layer_norm_gradient", {f64}, layer_norm_gradient},
};

}  // namespace

std::span<const KernelEntry> layer_norm_kernels() { return table; }

}  // namespace lacuna::reference
