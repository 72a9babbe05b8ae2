#include "kernels/masked_mean.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// What a token counts in its sample's mean.
double share_of(const View& mask, int64_t sample, int64_t token) {
  const int64_t length = mask.shape[1];
  const double* of_sample = mask.as<double>() + sample * length;
  const double count = std::accumulate(of_sample, of_sample + length, 0.0);
  return count == 0 ? 0 : of_sample[token] / count;
}

void masked_mean(const Call& call) {
  const View& x = call.in[0];
  const int64_t features = x.shape[2];
  double* y = call.out[0].as<double>();
  std::fill_n(y, call.out[0].count(), 0.0);
  for (int64_t b = 0; b < x.shape[0]; ++b) {
    for (int64_t l = 0; l < x.shape[1]; ++l) {
      const double share = share_of(call.in[1], b, l);
      const double* token = x.as<double>() + (b * x.shape[1] + l) * features;
      for (int64_t d = 0; d < features; ++d) y[b * features + d] += share * token[d];
    }
  }
}

void masked_mean_gradient(const Call& call) {
  const Shape& x = call.out[0].shape;
  const double* dy = call.in[0].as<double>();
  double* dx = call.out[0].as<double>();
  for (int64_t b = 0; b < x[0]; ++b) {
    for (int64_t l = 0; l < x[1]; ++l) {
      const double share = share_of(call.in[1], b, l);
      for (int64_t d = 0; d < x[2]; ++d) *dx++ = share * dy[b * x[2] + d];
    }
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"masked_mean", {f64}, masked_mean},
    KernelEntry{"masked_mean_gradient", {f64}, masked_mean_gradient},
};

}  // namespace

std::span<const KernelEntry> masked_mean_kernels() { return table; }

}  // namespace lacuna::reference
