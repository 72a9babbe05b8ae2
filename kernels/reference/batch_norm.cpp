#include "kernels/batch_norm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/double_double.h"
#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// count, mean[C], M2[C]
struct Moments {
  explicit Moments(const double* all, int64_t channels)
      : count(std::max(all[0], 1.0)), mean(all + 1), m2(all + 1 + channels) {}
  double rstd(int64_t channel, double epsilon) const {
    return 1 / std::sqrt(m2[channel] / count + epsilon);
  }
  double count;
  const double* mean;
  const double* m2;
};

// sum (x - mean)^2 = sum x^2 - 2 mean sum x + count mean^2, whatever the mean, of which the terms
// are much larger than the result.
double squared_deviations(const DoubleDouble& sum, const DoubleDouble& square, double count,
                          double mean) {
  DoubleDouble m2 = square;
  m2.add_product(-2 * mean, sum.high);
  m2.add_product(-2 * mean, sum.low);
  DoubleDouble mean_square;
  mean_square.add_product(mean, mean);
  m2.add_product(count, mean_square.high);
  m2.add_product(count, mean_square.low);
  return m2.value() < 0 ? 0 : m2.value();  // by rounding; written so that NaN stays NaN
}

void batch_norm_statistics(const Call& call) {
  const View& x = call.in[0];
  const int64_t channels = x.shape[-1];
  const int64_t rows = channels == 0 ? 0 : x.count() / channels;
  double* sums = call.out[0].as<double>();
  sums[0] = static_cast<double>(rows);
  for (int64_t c = 0; c < channels; ++c) {
    DoubleDouble sum;
    DoubleDouble square;
    for (int64_t i = c; i < x.count(); i += channels) {
      sum.add(x.as<double>()[i]);
      square.add_product(x.as<double>()[i], x.as<double>()[i]);
    }
    sums[1 + c] = sum.high;
    sums[1 + channels + c] = square.high;
    sums[1 + 2 * channels + c] = sum.low;
    sums[1 + 3 * channels + c] = square.low;
  }
}

void batch_norm_merge(const Call& call) {
  const int64_t ranks = call.in[0].shape[0];
  const int64_t width = call.in[0].shape[1];
  const int64_t channels = (width - 1) / 4;
  const double* parts = call.in[0].as<double>();
  double* moments = call.out[0].as<double>();
  double count = 0;
  for (int64_t r = 0; r < ranks; ++r) count += parts[r * width];
  moments[0] = count;
  for (int64_t c = 0; c < channels; ++c) {
    DoubleDouble sum;
    DoubleDouble square;
    for (int64_t r = 0; r < ranks; ++r) {
      const double* part = parts + r * width + 1 + c;
      sum.add({part[0], part[2 * channels]});
      square.add({part[channels], part[3 * channels]});
    }
    moments[1 + c] = count == 0 ? 0 : sum.value() / count;
    moments[1 + channels + c] = squared_deviations(sum, square, count, moments[1 + c]);
  }
}

void batch_norm_fixed_moments(const Call& call) {
  const int64_t channels = call.in[0].count();
  double* moments = call.out[0].as<double>();
  moments[0] = 1;
  std::copy_n(call.in[0].as<double>(), channels, moments + 1);
  std::copy_n(call.in[1].as<double>(), channels, moments + 1 + channels);
}

void batch_norm_apply(const Call& call) {
  using Operand = operands::BatchNormApply;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[Operand::x].shape[-1];
  const double* x = call.in[Operand::x].as<double>();
  const Moments moments(call.in[Operand::moments].as<double>(), channels);
  const double* gamma = call.in[Operand::gamma].as<double>();
  const double* beta = call.in[Operand::beta].as<double>();
  const double* residual = options.residual ? call.in[Operand::residual].as<double>() : nullptr;
  double* y = call.out[Operand::y].as<double>();
  for (int64_t i = 0; i < call.in[Operand::x].count(); ++i) {
    const int64_t c = i % channels;
    const double xhat = (x[i] - moments.mean[c]) * moments.rstd(c, options.epsilon);
    y[i] = gamma[c] * xhat + beta[c];
    if (residual) y[i] += residual[i];
    if (options.relu) y[i] = std::max(y[i], 0.0);
  }
}

void masked_batch_norm_apply(const Call& call) {
  using Operand = operands::MaskedBatchNormApply;
  std::vector<View> in(call.in.begin(), call.in.end());
  in.erase(in.begin() + Operand::mask);
  batch_norm_apply({in, call.out, call.attributes, call.context});
  const View& y = call.out[Operand::y];
  const double* mask = call.in[Operand::mask].as<double>();
  for (int64_t i = 0; i < y.count(); ++i) {
    if (mask[i / y.shape[-1]] == 0) y.as<double>()[i] = 0;
  }
}

void batch_norm_gradient_statistics(const Call& call) {
  using Operand = operands::BatchNormGradientStatistics;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[Operand::x].shape[-1];
  const double* dy = call.in[Operand::dy].as<double>();
  const double* x = call.in[Operand::x].as<double>();
  const double* y = call.in[Operand::y].as<double>();
  const Moments moments(call.in[Operand::moments].as<double>(), channels);
  double* sums = call.out[Operand::sums].as<double>();
  std::fill_n(sums, 2 * channels, 0.0);
  for (int64_t i = 0; i < call.in[Operand::x].count(); ++i) {
    const int64_t c = i % channels;
    const double g = options.relu && !(y[i] > 0) ? 0 : dy[i];
    sums[c] += g;
    sums[channels + c] += g * (x[i] - moments.mean[c]) * moments.rstd(c, options.epsilon);
  }
}

void batch_norm_gradient_apply(const Call& call) {
  using Operand = operands::BatchNormGradientApply;
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[Operand::x].shape[-1];
  const double* dy = call.in[Operand::dy].as<double>();
  const double* x = call.in[Operand::x].as<double>();
  const double* y = call.in[Operand::y].as<double>();
  const Moments moments(call.in[Operand::moments].as<double>(), channels);
  const double* sums = call.in[Operand::sums].as<double>();
  const double* gamma = call.in[Operand::gamma].as<double>();
  double* dx = call.out[Operand::dx].as<double>();
  double* residual_gradient =
      options.residual ? call.out[Operand::dresidual].as<double>() : nullptr;
  for (int64_t i = 0; i < call.in[Operand::x].count(); ++i) {
    const int64_t c = i % channels;
    const double g = options.relu && !(y[i] > 0) ? 0 : dy[i];
    const double rstd = moments.rstd(c, options.epsilon);
    const double xhat = (x[i] - moments.mean[c]) * rstd;
    // What flows through mean and variance, which depend on every element.
    const double through = (sums[c] + xhat * sums[channels + c]) / moments.count;
    dx[i] = gamma[c] * rstd * (options.fixed ? g : g - through);
    if (residual_gradient) residual_gradient[i] = g;
  }
}

void batch_norm_parameter_gradient(const Call& call) {
  const double* sums = call.in[0].as<double>();
  const int64_t channels = call.out[0].count();
  std::copy_n(sums + channels, channels, call.out[0].as<double>());
  std::copy_n(sums, channels, call.out[1].as<double>());
}

void batch_norm_running_update(const Call& call) {
  const double momentum = call.attributes.as<RunningUpdate>().momentum;
  const int64_t channels = call.out[0].count();
  if (call.in[0].as<double>()[0] == 0) return;
  const Moments moments(call.in[0].as<double>(), channels);
  double* mean = call.out[0].as<double>();
  double* variance = call.out[1].as<double>();
  for (int64_t c = 0; c < channels; ++c) {
    const double unbiased = moments.m2[c] / std::max(moments.count - 1, 1.0);
    mean[c] += momentum * (moments.mean[c] - mean[c]);
    variance[c] += momentum * (unbiased - variance[c]);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"batch_norm_statistics", {f64}, batch_norm_statistics},
    KernelEntry{"batch_norm_merge", {f64}, batch_norm_merge},
    KernelEntry{"batch_norm_fixed_moments", {f64}, batch_norm_fixed_moments},
    KernelEntry{"batch_norm_apply", {f64}, batch_norm_apply},
    KernelEntry{"masked_batch_norm_apply", {f64}, masked_batch_norm_apply},
    KernelEntry{"batch_norm_gradient_statistics", {f64}, batch_norm_gradient_statistics},
    KernelEntry{"batch_norm_gradient_apply", {f64}, batch_norm_gradient_apply},
    KernelEntry{"batch_norm_parameter_gradient", {f64}, batch_norm_parameter_gradient},
    KernelEntry{"batch_norm_running_update", {f64}, batch_norm_running_update},
};

}  // namespace

std::span<const KernelEntry> batch_norm_kernels() { return table; }

}  // namespace lacuna::reference
