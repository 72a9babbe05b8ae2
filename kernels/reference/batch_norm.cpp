#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

namespace {

// Moments as they travel: count, mean[C], M2[C].
struct Moments {
  explicit Moments(const double* all, int64_t channels)
      : count(all[0]), mean(all + 1), m2(all + 1 + channels) {}
  double rstd(int64_t channel, double epsilon) const {
    return 1 / std::sqrt(m2[channel] / count + epsilon);
  }
  double count;
  const double* mean;
  const double* m2;
};

}  // namespace

void batch_norm_statistics(const Call& call) {
  const View& x = call.in[0];
  const int64_t channels = x.shape[-1];
  const int64_t rows = channels == 0 ? 0 : x.count() / channels;
  double* moments = call.out[0].as<double>();
  std::fill_n(moments, 1 + 2 * channels, 0.0);
  if (rows == 0) return;
  moments[0] = static_cast<double>(rows);
  double* mean = moments + 1;
  double* m2 = mean + channels;
  const double* data = x.as<double>();
  for (int64_t i = 0; i < x.count(); ++i) mean[i % channels] += data[i];
  for (int64_t c = 0; c < channels; ++c) mean[c] /= moments[0];
  for (int64_t i = 0; i < x.count(); ++i) {
    const double deviation = data[i] - mean[i % channels];
    m2[i % channels] += deviation * deviation;
  }
}

void batch_norm_merge(const Call& call) {
  const int64_t ranks = call.in[0].shape[0];
  const int64_t width = call.in[0].shape[1];
  const int64_t channels = (width - 1) / 2;
  double* merged = call.out[0].as<double>();
  std::fill_n(merged, width, 0.0);
  for (int64_t r = 0; r < ranks; ++r) {
    const Moments part(call.in[0].as<double>() + r * width, channels);
    if (part.count == 0) continue;
    const double before = merged[0];
    const double count = before + part.count;
    merged[0] = count;
    for (int64_t c = 0; c < channels; ++c) {
      double& mean = merged[1 + c];
      double& m2 = merged[1 + channels + c];
      const double delta = part.mean[c] - mean;
      mean += delta * part.count / count;
      m2 += part.m2[c] + delta * delta * before * part.count / count;
    }
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
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[0].shape[-1];
  const double* x = call.in[0].as<double>();
  const Moments moments(call.in[1].as<double>(), channels);
  const double* gamma = call.in[2].as<double>();
  const double* beta = call.in[3].as<double>();
  const double* residual = options.residual ? call.in[4].as<double>() : nullptr;
  double* y = call.out[0].as<double>();
  for (int64_t i = 0; i < call.in[0].count(); ++i) {
    const int64_t c = i % channels;
    const double xhat = (x[i] - moments.mean[c]) * moments.rstd(c, options.epsilon);
    y[i] = gamma[c] * xhat + beta[c];
    if (residual) y[i] += residual[i];
    if (options.relu) y[i] = std::max(y[i], 0.0);
  }
}

void batch_norm_gradient_statistics(const Call& call) {
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[1].shape[-1];
  const double* dy = call.in[0].as<double>();
  const double* x = call.in[1].as<double>();
  const double* y = call.in[2].as<double>();
  const Moments moments(call.in[3].as<double>(), channels);
  double* sums = call.out[0].as<double>();
  std::fill_n(sums, 2 * channels, 0.0);
  for (int64_t i = 0; i < call.in[1].count(); ++i) {
    const int64_t c = i % channels;
    const double g = options.relu && !(y[i] > 0) ? 0 : dy[i];
    sums[c] += g;
    sums[channels + c] += g * (x[i] - moments.mean[c]) * moments.rstd(c, options.epsilon);
  }
}

void batch_norm_gradient_apply(const Call& call) {
  const auto options = call.attributes.as<BatchNormAttributes>();
  const int64_t channels = call.in[1].shape[-1];
  const double* dy = call.in[0].as<double>();
  const double* x = call.in[1].as<double>();
  const double* y = call.in[2].as<double>();
  const Moments moments(call.in[3].as<double>(), channels);
  const double* sums = call.in[4].as<double>();
  const double* gamma = call.in[5].as<double>();
  double* dx = call.out[0].as<double>();
  double* residual_gradient = options.residual ? call.out[1].as<double>() : nullptr;
  for (int64_t i = 0; i < call.in[1].count(); ++i) {
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
  const Moments moments(call.in[0].as<double>(), channels);
  double* mean = call.out[0].as<double>();
  double* variance = call.out[1].as<double>();
  for (int64_t c = 0; c < channels; ++c) {
    const double unbiased = moments.m2[c] / std::max(moments.count - 1, 1.0);
    mean[c] += momentum * (moments.mean[c] - mean[c]);
    variance[c] += momentum * (unbiased - variance[c]);
  }
}

}  // namespace lacuna::reference
