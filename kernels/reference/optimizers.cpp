#include "kernels/optimizers.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

// Value i behind the n tensors of an update: the learning rate, a correction.
double value(const Call& call, size_t n, size_t i) { return *call.in[n + i].as<double>(); }

double squared_norm_of(const View& x, const auto& element) {
  double sum = 0;
  for (int64_t i = 0; i < x.count(); ++i) sum += element(i) * element(i);
  return sum;
}

void sgd_update(const Call& call) {
  const auto p = call.attributes.as<Sgd>();
  const size_t n = call.out.size() / 2;
  const double rate = value(call, n, 0);
  const double clip = value(call, n, 1);
  if (clip == 0) return;
  for (size_t t = 0; t < n; ++t) {
    const double* g = call.in[t].as<double>();
    double* w = call.out[t].as<double>();
    double* v = call.out[n + t].as<double>();
    for (int64_t i = 0; i < call.out[t].count(); ++i) {
      v[i] = p.momentum * v[i] + (clip * g[i] + p.decay * w[i]);
      w[i] -= rate * v[i];
    }
  }
}

void lars_norms(const Call& call) {
  const double decay = call.attributes.as<LarsNorms>().decay;
  const size_t n = call.in.size() / 2;
  const double clip = value(call, 2 * n, 0);
  double* norms = call.out[0].as<double>();
  for (size_t t = 0; t < n; ++t) {
    const double* g = call.in[t].as<double>();
    const double* w = call.in[n + t].as<double>();
    norms[2 * t] = squared_norm_of(call.in[t], [&](int64_t i) { return w[i]; });
    norms[2 * t + 1] =
        squared_norm_of(call.in[t], [&](int64_t i) { return clip * g[i] + decay * w[i]; });
  }
}

void lars_update(const Call& call) {
  const auto p = call.attributes.as<Lars>();
  const size_t n = call.out.size() / 2;
  const double rate = value(call, n, 0);
  const double clip = value(call, n, 1);
  if (clip == 0) return;
  for (size_t t = 0; t < n; ++t) {
    const double* g = call.in[t].as<double>();
    double* w = call.out[t].as<double>();
    double* v = call.out[n + t].as<double>();
    const double* norms = call.in[n + 2].as<double>() + 2 * t;
    const bool adapted = norms[0] > 0 && norms[1] > 0;
    const double local = adapted ? p.trust * std::sqrt(norms[0]) / std::sqrt(norms[1]) : 1;
    for (int64_t i = 0; i < call.out[t].count(); ++i) {
      v[i] = p.momentum * v[i] + local * (clip * g[i] + p.decay * w[i]);
      w[i] -= rate * v[i];
    }
  }
}

void adamw_update(const Call& call) {
  const auto p = call.attributes.as<AdamW>();
  const size_t n = call.out.size() / 3;
  const double rate = value(call, n, 0);
  const double clip = value(call, n, 1);
  if (clip == 0) return;
  const double c1 = value(call, n, 2);
  const double c2 = value(call, n, 3);
  for (size_t t = 0; t < n; ++t) {
    double* w = call.out[t].as<double>();
    double* m = call.out[n + t].as<double>();
    double* v = call.out[2 * n + t].as<double>();
    for (int64_t i = 0; i < call.out[t].count(); ++i) {
      const double g = clip * call.in[t].as<double>()[i];
      w[i] -= rate * p.decay * w[i];
      m[i] = p.beta1 * m[i] + (1 - p.beta1) * g;
      v[i] = p.beta2 * v[i] + (1 - p.beta2) * g * g;
      w[i] -= rate * (m[i] / c1) / (std::sqrt(v[i] / c2) + p.epsilon);
    }
  }
}

void ema_update(const Call& call) {
  const size_t n = call.out.size();
  const double momentum = value(call, n, 0);
  for (size_t t = 0; t < n; ++t) {
    const double* x = call.in[t].as<double>();
    double* target = call.out[t].as<double>();
    for (int64_t i = 0; i < call.out[t].count(); ++i) {
      target[i] = momentum * target[i] + (1 - momentum) * x[i];
    }
  }
}

void clip_factor(const Call& call) {
  const double limit = call.attributes.as<ClipFactor>().limit;
  const double unscale = *call.in[1].as<double>();
  const double length = unscale * std::sqrt(*call.in[0].as<double>());
  *call.out[0].as<double>() =
      std::isfinite(length) ? unscale * std::min(1.0, limit / (length + 1e-6)) : 0;
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"sgd_update", {f64}, sgd_update},
    KernelEntry{"lars_norms", {f64}, lars_norms},
    KernelEntry{"lars_update", {f64}, lars_update},
    KernelEntry{"adamw_update", {f64}, adamw_update},
    KernelEntry{"ema_update", {f64}, ema_update},
    KernelEntry{"clip_factor", {f64}, clip_factor},
};

}  // namespace

std::span<const KernelEntry> optimizers_kernels() { return table; }

}  // namespace lacuna::reference
