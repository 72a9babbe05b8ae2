// Updates of all tensors in one pass, elements shared evenly among threads whatever the tensors'
// sizes. Bound by memory; bytes per element read + written: SGD 12 + 8, LARS 20 + 8 (of which norms
// 8), AdamW 16 + 12, EMA 8 + 4.
#include "kernels/optimizers.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizers.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/simd.h"

#ifndef LACUNA_KERNELS_CPU_OPTIMIZERS_ONCE
#define LACUNA_KERNELS_CPU_OPTIMIZERS_ONCE
namespace lacuna::cpu {

struct MomentumStep {
  float clip, decay, momentum, rate;
  float trust;  // the factor that LARS gives this tensor, else 1
};

struct AdamWStep {
  float clip, epsilon;
  float beta1, rest1, beta2, rest2;  // rest = 1 - beta, rounded once
  float keep;                        // 1 - rate decay
  float step, correction;            // rate / c1, 1 / c2
};

}  // namespace lacuna::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

void momentum_stretch(const MomentumStep& s, const float* g, float* w, float* v, int64_t begin,
                      int64_t end) {
  for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto weight = hn::LoadU(d, w + i);
    auto gradient = hn::Mul(hn::LoadU(d, g + i), hn::Set(d, s.clip));
    gradient = hn::MulAdd(weight, hn::Set(d, s.decay), gradient);
    const auto velocity = hn::MulAdd(hn::LoadU(d, v + i), hn::Set(d, s.momentum),
                                     hn::Mul(gradient, hn::Set(d, s.trust)));
    hn::StoreU(velocity, d, v + i);
    hn::StoreU(hn::NegMulAdd(velocity, hn::Set(d, s.rate), weight), d, w + i);
  });
}

void adamw_stretch(const AdamWStep& s, const float* g, float* w, float* m, float* v, int64_t begin,
                   int64_t end) {
  for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto gradient = hn::Mul(hn::LoadU(d, g + i), hn::Set(d, s.clip));
    const auto first = hn::MulAdd(hn::LoadU(d, m + i), hn::Set(d, s.beta1),
                                  hn::Mul(gradient, hn::Set(d, s.rest1)));
    const auto second = hn::MulAdd(hn::LoadU(d, v + i), hn::Set(d, s.beta2),
                                   hn::Mul(hn::Mul(gradient, gradient), hn::Set(d, s.rest2)));
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    const auto root = hn::Sqrt(hn::Mul(second, hn::Set(d, s.correction)));
    const auto change =
        hn::Div(hn::Mul(first, hn::Set(d, s.step)), hn::Add(root, hn::Set(d, s.epsilon)));
    const auto weight = hn::Mul(hn::LoadU(d, w + i), hn::Set(d, s.keep));
    hn::StoreU(hn::Sub(weight, change), d, w + i);
  });
}

void ema_stretch(float momentum, float rest, const float* x, float* t, int64_t begin, int64_t end) {
  for_lanes(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto kept = hn::Mul(hn::LoadU(d, t + i), hn::Set(d, momentum));
    hn::StoreU(hn::MulAdd(hn::LoadU(d, x + i), hn::Set(d, rest), kept), d, t + i);
  });
}

// Adds sum w^2 to result[0] and sum (clip g + decay w)^2 to result[1].
void lars_squares(float clip, float decay, const float* g, const float* w, int64_t begin,
                  int64_t end, double* result) {
  const hn::ScalableTag<double> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto weights = hn::Zero(d);
  auto gradients = hn::Zero(d);
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const auto weight = load_double(d, w + i);
    const auto gradient = hn::MulAdd(weight, hn::Set(d, double{decay}),
                                     hn::Mul(load_double(d, g + i), hn::Set(d, double{clip})));
    weights = hn::MulAdd(weight, weight, weights);
    gradients = hn::MulAdd(gradient, gradient, gradients);
  }
  result[0] += hn::GetLane(hn::SumOfLanes(d, weights));
  result[1] += hn::GetLane(hn::SumOfLanes(d, gradients));
  for (; i < end; ++i) {
    const double gradient = double{clip} * double{g[i]} + double{decay} * double{w[i]};
    result[0] += double{w[i]} * double{w[i]};
    result[1] += gradient * gradient;
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(momentum_stretch);
HWY_EXPORT(adamw_stretch);
HWY_EXPORT(ema_stretch);
HWY_EXPORT(lars_squares);

namespace {

// The n tensors of an update: call.in holds them and then some scalars, call.out n targets of each
// kind of state.
struct Tensors {
  Tensors(const Call& tensors_of, size_t count)
      : call(tensors_of),
        n(count),
        counts(counts_of(call.in.subspan(0, n))),
        parts(parts_of(threads_of(call), total_of(counts), grain_of(16))) {}
  const float* in(size_t i) const { return call.in[i].as<float>(); }
  float* target(size_t kind, size_t i) const { return call.out[kind * n + i].as<float>(); }
  double scalar(size_t i) const { return *call.in[n + i].as<double>(); }

  const Call& call;
  size_t n;
  std::vector<int64_t> counts;
  int parts;
};

// body(tensor, begin, end), in parallel over all elements.
template <typename Body>
void for_all(const Tensors& t, const Body& body) {
  for_parts(t.parts, [&](int part) { for_stretches(t.counts, part, t.parts, body); });
}

float as_float(double value) { return static_cast<float>(value); }

void sgd_update(const Call& call) {
  const auto sgd = call.attributes.as<Sgd>();
  const Tensors t(call, call.in.size() - 2);
  if (t.scalar(1) == 0) return;
  const MomentumStep step{as_float(t.scalar(1)), as_float(sgd.decay), as_float(sgd.momentum),
                          as_float(t.scalar(0)), 1};
  const auto update = HWY_DYNAMIC_DISPATCH(momentum_stretch);
  for_all(t, [&](size_t i, int64_t begin, int64_t end) {
    update(step, t.in(i), t.target(0, i), t.target(1, i), begin, end);
  });
}

void lars_norms(const Call& call) {
  const auto decay = as_float(call.attributes.as<LarsNorms>().decay);
  const Tensors t(call, call.in.size() / 2);
  const auto clip = as_float(*call.in.back().as<double>());
  const auto add = HWY_DYNAMIC_DISPATCH(lars_squares);
  std::vector<double> squares(static_cast<size_t>(t.parts) * t.n * 2);
  for_parts(t.parts, [&](int part) {
    for_stretches(t.counts, part, t.parts, [&](size_t i, int64_t begin, int64_t end) {
      add(clip, decay, t.in(i), t.in(t.n + i), begin, end,
          &squares[(static_cast<size_t>(part) * t.n + i) * 2]);
    });
  });
  auto* norms = call.out[0].as<double>();
  std::fill_n(norms, 2 * t.n, 0.0);
  for (size_t i = 0; i < squares.size(); ++i) norms[i % (2 * t.n)] += squares[i];
}

void lars_update(const Call& call) {
  const auto lars = call.attributes.as<Lars>();
  const Tensors t(call, call.in.size() - 3);
  if (t.scalar(1) == 0) return;
  const auto* norms = call.in.back().as<double>();
  const auto trust = [&](size_t i) {
    const double weight = norms[2 * i];
    const double gradient = norms[2 * i + 1];
    if (!(weight > 0 && gradient > 0)) return 1.0f;
    return as_float(lars.trust * std::sqrt(weight) / std::sqrt(gradient));
  };
  const auto update = HWY_DYNAMIC_DISPATCH(momentum_stretch);
  for_all(t, [&](size_t i, int64_t begin, int64_t end) {
    const MomentumStep step{as_float(t.scalar(1)), as_float(lars.decay), as_float(lars.momentum),
                            as_float(t.scalar(0)), trust(i)};
    update(step, t.in(i), t.target(0, i), t.target(1, i), begin, end);
  });
}

void adamw_update(const Call& call) {
  const auto adam = call.attributes.as<AdamW>();
  const Tensors t(call, call.in.size() - 4);
  if (t.scalar(1) == 0) return;
  const double rate = t.scalar(0);
  AdamWStep step;
  step.clip = as_float(t.scalar(1));
  step.epsilon = as_float(adam.epsilon);
  step.beta1 = as_float(adam.beta1);
  step.rest1 = as_float(1 - adam.beta1);
  step.beta2 = as_float(adam.beta2);
  step.rest2 = as_float(1 - adam.beta2);
  step.keep = as_float(1 - rate * adam.decay);
  step.step = as_float(rate / t.scalar(2));
  step.correction = as_float(1 / t.scalar(3));
  const auto update = HWY_DYNAMIC_DISPATCH(adamw_stretch);
  for_all(t, [&](size_t i, int64_t begin, int64_t end) {
    update(step, t.in(i), t.target(0, i), t.target(1, i), t.target(2, i), begin, end);
  });
}

void ema_update(const Call& call) {
  const Tensors t(call, call.in.size() - 1);
  const double momentum = t.scalar(0);
  const auto update = HWY_DYNAMIC_DISPATCH(ema_stretch);
  for_all(t, [&](size_t i, int64_t begin, int64_t end) {
    update(as_float(momentum), as_float(1 - momentum), t.in(i), t.target(0, i), begin, end);
  });
}

void clip_factor(const Call& call) {
  const double limit = call.attributes.as<ClipFactor>().limit;
  const double unscale = *call.in[1].as<double>();
  const double norm = unscale * std::sqrt(*call.in[0].as<double>());
  *call.out[0].as<double>() =
      std::isfinite(norm) ? unscale * std::min(1.0, limit / (norm + 1e-6)) : 0;
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"sgd_update", {f32}, sgd_update},
    KernelEntry{"lars_norms", {f32}, lars_norms},
    KernelEntry{"lars_update", {f32}, lars_update},
    KernelEntry{"adamw_update", {f32}, adamw_update},
    KernelEntry{"ema_update", {f32}, ema_update},
    KernelEntry{"clip_factor", {f64}, clip_factor},
};

}  // namespace

std::span<const KernelEntry> optimizers_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
