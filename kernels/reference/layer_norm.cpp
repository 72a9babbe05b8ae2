#include "kernels/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/kernels.h"

namespace lacuna::reference {

void layer_norm(const Call& call) {
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  const int64_t features = call.in[0].shape[-1];
  const double* gamma = call.in[1].as<double>();
  const double* beta = call.in[2].as<double>();
  for (int64_t row = 0; row < call.out[1].count(); ++row) {
    const double* x = call.in[0].as<double>() + row * features;
    double* y = call.out[0].as<double>() + row * features;
    double mean = 0;
    for (int64_t d = 0; d < features; ++d) mean += x[d] / static_cast<double>(features);
    double variance = 0;
    for (int64_t d = 0; d < features; ++d) {
      variance += (x[d] - mean) * (x[d] - mean) / static_cast<double>(features);
    }
    const double rstd = 1 / std::sqrt(variance + epsilon);
    for (int64_t d = 0; d < features; ++d) y[d] = gamma[d] * (x[d] - mean) * rstd + beta[d];
    call.out[1].as<double>()[row] = mean;
    call.out[2].as<double>()[row] = rstd;
  }
}

void layer_norm_gradient(const Call& call) {
  const int64_t features = call.in[0].shape[-1];
  const double* gamma = call.in[4].as<double>();
  double* dgamma = call.out[1].as<double>();
  double* dbeta = call.out[2].as<double>();
  std::fill_n(dgamma, features, 0.0);
  std::fill_n(dbeta, features, 0.0);
  for (int64_t row = 0; row < call.in[2].count(); ++row) {
    const double* dy = call.in[0].as<double>() + row * features;
    const double* x = call.in[1].as<double>() + row * features;
    const double mean = call.in[2].as<double>()[row];
    const double rstd = call.in[3].as<double>()[row];
    double* dx = call.out[0].as<double>() + row * features;
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

}  // namespace lacuna::reference
