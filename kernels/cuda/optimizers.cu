// Updates of all tensors in one launch, LARS's norms in two. Bound by memory; bytes per element
// read + written: SGD 12 + 8, LARS 20 + 8 (of which norms 8), AdamW 16 + 12, EMA 8 + 4: AdamW of
// ViT-B's 86 million weights 2.4 GB, 0.72 ms on an H100. What changes from step to step is read
// from device memory, so that a captured graph of the step stays valid.
#include "kernels/optimizers.h"

#include <array>

#include "kernels/cuda/support/columns.h"
#include "kernels/cuda/support/reduce.h"
#include "kernels/cuda/support/tensors.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// Each step is made from its options once a chunk; then step(x) updates one element of all kinds:
// x[0] is the gradient, x[1] the weight, the others are the optimizer's.

struct MomentumOptions {
  const double *rate, *clip;
  float momentum, decay;
  const double* norms = nullptr;  // LARS's, of each tensor; none: its factor is 1
  double trust = 1;
};
struct MomentumStep {
  static constexpr int kinds = 3;
  float rate, clip, momentum, decay, trust;

  __device__ MomentumStep(const MomentumOptions& o, int tensor)
      : rate(static_cast<float>(*o.rate)),
        clip(static_cast<float>(*o.clip)),
        momentum(o.momentum),
        decay(o.decay),
        trust(o.norms == nullptr ? 1.f : factor(o.trust, o.norms + 2 * tensor)) {}
  static __device__ float factor(double trust, const double* norms) {
    const bool adapted = norms[0] > 0 && norms[1] > 0;
    return adapted ? static_cast<float>(trust * sqrt(norms[0]) / sqrt(norms[1])) : 1.f;
  }
  __device__ float decayed(float gradient, float weight) const {
    return fmaf(weight, decay, clip * gradient);
  }
  __device__ void operator()(float (&x)[kinds]) const {
    if (clip == 0) return;
    x[2] = fmaf(x[2], momentum, trust * decayed(x[0], x[1]));
    x[1] = fmaf(-rate, x[2], x[1]);
  }
};

struct AdamWOptions {
  const double *rate, *clip, *c1, *c2;
  AdamW parameters;
};
struct AdamWStep {
  static constexpr int kinds = 4;
  float clip, epsilon, beta1, rest1, beta2, rest2, keep, step, correction;

  __device__ AdamWStep(const AdamWOptions& o, int)
      : clip(static_cast<float>(*o.clip)),
        epsilon(static_cast<float>(o.parameters.epsilon)),
        beta1(static_cast<float>(o.parameters.beta1)),
        rest1(static_cast<float>(1 - o.parameters.beta1)),
        beta2(static_cast<float>(o.parameters.beta2)),
        rest2(static_cast<float>(1 - o.parameters.beta2)),
        keep(static_cast<float>(1 - *o.rate * o.parameters.decay)),
        step(static_cast<float>(*o.rate / *o.c1)),
        correction(static_cast<float>(1 / *o.c2)) {}
  __device__ void operator()(float (&x)[kinds]) const {
    if (clip == 0) return;
    const float gradient = clip * x[0];
    x[2] = fmaf(x[2], beta1, rest1 * gradient);
    x[3] = fmaf(x[3], beta2, rest2 * gradient * gradient);
    x[1] = fmaf(x[1], keep, -step * x[2] / (sqrtf(x[3] * correction) + epsilon));
  }
};

struct EmaOptions {
  const double* momentum;
};
struct EmaStep {
  static constexpr int kinds = 2;
  float momentum, rest;

  __device__ EmaStep(const EmaOptions& o, int)
      : momentum(static_cast<float>(*o.momentum)), rest(static_cast<float>(1 - *o.momentum)) {}
  __device__ void operator()(float (&x)[kinds]) const { x[1] = fmaf(x[1], momentum, rest * x[0]); }
};

// Elements [e, e + width) of all kinds.
template <int width, typename Step>
__device__ void update_group(const Tensors<Step::kinds>& tensors, int tensor, int64_t e,
                             const Step& step) {
  float x[Step::kinds][width];
  for (int kind = 0; kind < Step::kinds; ++kind)
    load_group(tensors.template at<float>(kind, tensor) + e, x[kind]);
  for (int i = 0; i < width; ++i) {
    float of_element[Step::kinds];
    for (int kind = 0; kind < Step::kinds; ++kind) of_element[kind] = x[kind][i];
    step(of_element);
    for (int kind = 1; kind < Step::kinds; ++kind) x[kind][i] = of_element[kind];
  }
  for (int kind = 1; kind < Step::kinds; ++kind)
    store_group(x[kind], tensors.template at<float>(kind, tensor) + e);
}

template <int width, typename Step, typename Options>
__global__ void __launch_bounds__(block_size)
    update_kernel(const __grid_constant__ Tensors<Step::kinds> tensors, int chunks,
                  Options options) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int number = static_cast<int>(blockIdx.x); number < chunks;
       number += static_cast<int>(gridDim.x)) {
    const Chunk chunk(tensors, number);
    const Step step(options, chunk.tensor);
    const int64_t rest = chunk.end - (chunk.end - chunk.begin) % width;
    for (int64_t e = chunk.begin + thread * width; e < rest; e += block_size * width)
      update_group<width>(tensors, chunk.tensor, e, step);
    if (rest + thread < chunk.end) update_group<1>(tensors, chunk.tensor, rest + thread, step);
  }
}

// The tensors of an update: kind 0 are inputs, the others targets.
template <int kinds, typename F>
void for_targets(const Call& call, F f) {
  const size_t n = call.out.size() / (kinds - 1);
  for_tensors<kinds>(
      n,
      [&](int kind, size_t t) -> const View& {
        return kind == 0 ? call.in[t] : call.out[static_cast<size_t>(kind - 1) * n + t];
      },
      f);
}

template <typename Step, typename Options>
void launch_update(const Call& call, const char* operation, const Tensors<Step::kinds>& tensors,
                   int chunks, const Options& options) {
  auto* kernel =
      takes_packs(call) ? update_kernel<4, Step, Options> : update_kernel<1, Step, Options>;
  launch(call, operation, int64_t{chunks} * block_size, kernel, tensors, chunks, options);
}

template <typename Step, typename Options>
void update(const Call& call, const char* operation, const Options& options) {
  for_targets<Step::kinds>(call, [&](const auto& tensors, int chunks, int) {
    launch_update<Step>(call, operation, tensors, chunks, options);
  });
}

// Value i behind the tensors: the rate, the clip, ….
const double* value(const Call& call, size_t from_last) {
  return input<double>(call, call.in.size() - from_last);
}

// Of each chunk sum w^2, then sum (clip g + decay w)^2.
__global__ void __launch_bounds__(block_size)
    lars_squares_kernel(const __grid_constant__ Tensors<2> tensors, int chunks, const double* clip,
                        float decay, double* squares) {
  for (int number = static_cast<int>(blockIdx.x); number < chunks;
       number += static_cast<int>(gridDim.x)) {
    const Chunk chunk(tensors, number);
    const auto factor = static_cast<float>(*clip);
    const auto* g = tensors.at<float>(0, chunk.tensor);
    const auto* w = tensors.at<float>(1, chunk.tensor);
    double weights = 0;
    double gradients = 0;
    for (int64_t e = chunk.begin + threadIdx.x; e < chunk.end; e += block_size) {
      const double weight = w[e];
      const double gradient = fmaf(w[e], decay, factor * g[e]);
      weights = fma(weight, weight, weights);
      gradients = fma(gradient, gradient, gradients);
    }
    weights = block_sum(weights);
    gradients = block_sum(gradients);
    if (threadIdx.x != 0) continue;
    squares[2 * number] = weights;
    squares[2 * number + 1] = gradients;
  }
}

// A warp for each tensor.
__global__ void __launch_bounds__(block_size)
    lars_sums_kernel(const __grid_constant__ Tensors<2> tensors, const double* squares,
                     double* norms) {
  for (int64_t tensor = first_warp(); tensor < tensors.size; tensor += warp_step()) {
    double weights = 0;
    double gradients = 0;
    for (int chunk = tensors.first_chunk[tensor] + lane_of_warp();
         chunk < tensors.first_chunk[tensor + 1]; chunk += warp_size) {
      weights += squares[2 * chunk];
      gradients += squares[2 * chunk + 1];
    }
    weights = warp_sum(weights);
    gradients = warp_sum(gradients);
    if (lane_of_warp() != 0) continue;
    norms[2 * tensor] = weights;
    norms[2 * tensor + 1] = gradients;
  }
}

__global__ void clip_factor_kernel(const double* squared_norm, const double* unscale, double limit,
                                   double* factor) {
  if (first_of_grid() != 0) return;
  const double norm = *unscale * sqrt(*squared_norm);
  *factor = norm < HUGE_VAL ? *unscale * fmin(1.0, limit / (norm + 1e-6)) : 0;
}

void sgd_update(const Call& call) {
  const auto p = call.attributes.as<Sgd>();
  update<MomentumStep>(
      call, "sgd_update",
      MomentumOptions{value(call, 2), value(call, 1), static_cast<float>(p.momentum),
                      static_cast<float>(p.decay)});
}

void lars_norms(const Call& call) {
  const auto decay = static_cast<float>(call.attributes.as<LarsNorms>().decay);
  const size_t n = call.in.size() / 2;
  const auto* clip = value(call, 1);
  auto* norms = output<double>(call);
  for_tensors<2>(
      n,
      [&](int kind, size_t t) -> const View& { return call.in[static_cast<size_t>(kind) * n + t]; },
      [&](const Tensors<2>& tensors, int chunks, int) {
        double* squares = scratch_doubles(call, 2 * chunks);
        launch(call, "lars_norms", int64_t{chunks} * block_size, lars_squares_kernel, tensors,
               chunks, clip, decay, squares);
        launch(call, "lars_norms", int64_t{tensors.size} * warp_size, lars_sums_kernel, tensors,
               squares, norms);
        norms += 2 * tensors.size;
      });
}

void lars_update(const Call& call) {
  const auto p = call.attributes.as<Lars>();
  MomentumOptions options{
      value(call, 3), value(call, 2), static_cast<float>(p.momentum), static_cast<float>(p.decay),
      value(call, 1), p.trust};
  for_targets<3>(call, [&](const Tensors<3>& tensors, int chunks, int) {
    launch_update<MomentumStep>(call, "lars_update", tensors, chunks, options);
    options.norms += 2 * tensors.size;
  });
}

void adamw_update(const Call& call) {
  update<AdamWStep>(call, "adamw_update",
                    AdamWOptions{value(call, 4), value(call, 3), value(call, 2), value(call, 1),
                                 call.attributes.as<AdamW>()});
}

void ema_update(const Call& call) {
  update<EmaStep>(call, "ema_update", EmaOptions{value(call, 1)});
}

void clip_factor(const Call& call) {
  launch(call, "clip_factor", 1, clip_factor_kernel, input<double>(call, 0), input<double>(call, 1),
         call.attributes.as<ClipFactor>().limit, output<double>(call));
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

}  // namespace lacuna::cuda
