#include "kernels/tokens.h"

#include <algorithm>
#include <array>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void prepend_token(const Call& call) {
  const View& x = call.in[0];
  const int64_t features = x.shape[-1];
  const int64_t size = x.shape[1] * features;  // of a sample
  const double* token = call.in[1].as<double>();
  double* y = call.out[0].as<double>();
  for (int64_t sample = 0; sample < x.shape[0]; ++sample) {
    y = std::copy_n(token, features, y);
    y = std::copy_n(x.as<double>() + sample * size, size, y);
  }
}

void take_tokens(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t features = x.shape[-1];
  const int64_t begin = call.attributes.as<Tokens>().begin * features;
  for (int64_t sample = 0; sample < x.shape[0]; ++sample) {
    std::copy_n(x.as<double>() + sample * x.shape[1] * features + begin, y.shape[1] * features,
                y.as<double>() + sample * y.shape[1] * features);
  }
}

void place_tokens(const Call& call) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t features = x.shape[-1];
  const int64_t begin = call.attributes.as<Tokens>().begin * features;
  std::fill_n(y.as<double>(), y.count(), 0.0);
  for (int64_t sample = 0; sample < x.shape[0]; ++sample) {
    std::copy_n(x.as<double>() + sample * x.shape[1] * features, x.shape[1] * features,
                y.as<double>() + sample * y.shape[1] * features + begin);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"prepend_token", {f64}, prepend_token},
    KernelEntry{"take_tokens", {f64}, take_tokens},
    KernelEntry{"place_tokens", {f64}, place_tokens},
};

}  // namespace

std::span<const KernelEntry> tokens_kernels() { return table; }

}  // namespace lacuna::reference
