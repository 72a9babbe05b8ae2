// Losses over rows. Cross entropy takes one exponential per logit forward and backward; with few
// classes both are far below a convolution's time. Squared error is bound by memory: a, b and
// weights once each.
#include "kernels/losses.h"

#include <array>
#include <cmath>
#include <limits>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/losses.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// lse of each row.
void log_sum_exp_rows(const float* x, int64_t size, float* lse, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* logits = x + row * size;
    const float most = largest(logits, size);
    lse[row] = static_cast<float>(double{most} + std::log(sum_exp(logits, size, 1.0f, most)));
  }
}

void cross_entropy_gradient_rows(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::SoftmaxCrossEntropyGradient;
  const double dloss = double{*call.in[Operand::dloss].as<float>()};
  const float factor = static_cast<float>(dloss * call.attributes.as<CrossEntropy>().factor);
  const int64_t size = call.in[Operand::logits].shape[-1];
  const int64_t* labels = call.in[Operand::labels].as<int64_t>();
  const float* lse = call.in[Operand::lse].as<float>();
  for (int64_t row = begin; row < end; ++row) {
    const float* logits = call.in[Operand::logits].as<float>() + row * size;
    float* gradient = call.out[Operand::dlogits].as<float>() + row * size;
    const float weight = labels[row] < 0 ? 0.0f : factor;
    for_lanes(0, size, [&](auto d, int64_t i) HWY_ATTR {
      const auto p = exponential(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, lse[row])));
      hn::StoreU(hn::Mul(p, hn::Set(d, weight)), d, gradient + i);
    });
    if (labels[row] >= 0) gradient[labels[row]] -= factor;
  }
}

// sum weights (a - b)^2 over rows of C channels.
double squared_error_rows(const float* a, const float* b, const float* weights, int64_t channels,
                          int64_t begin, int64_t end) {
  double total = 0;
  for (int64_t row = begin; row < end; ++row) {
    const hn::ScalableTag<double> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    const float* p = a + row * channels;
    const float* q = b + row * channels;
    auto sum = hn::Zero(d);
    int64_t i = 0;
    for (; i + lanes <= channels; i += lanes) {
      const auto difference = hn::Sub(load_double(d, p + i), load_double(d, q + i));
      sum = hn::MulAdd(difference, difference, sum);
    }
    double of_row = hn::GetLane(hn::SumOfLanes(d, sum));
    for (; i < channels; ++i) {
      const double difference = double{p[i]} - double{q[i]};
      of_row += difference * difference;
    }
    total += weights == nullptr ? of_row : double{weights[row]} * of_row;
  }
  return total;
}

void squared_error_gradient_rows(const float* a, const float* b, const float* weights, float factor,
                                 int64_t channels, float* da, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float weight = weights == nullptr ? factor : factor * weights[row];
    const int64_t at = row * channels;
    for_lanes(at, at + channels, [&](auto d, int64_t i) HWY_ATTR {
      const auto difference = hn::Sub(hn::LoadU(d, a + i), hn::LoadU(d, b + i));
      hn::StoreU(hn::Mul(difference, hn::Set(d, weight)), d, da + i);
    });
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(log_sum_exp_rows);
HWY_EXPORT(cross_entropy_gradient_rows);
HWY_EXPORT(squared_error_rows);
HWY_EXPORT(squared_error_gradient_rows);

namespace {

// An exponential costs about as much as 16 bytes of memory.
int64_t cross_entropy_grain(int64_t classes) { return grain_of(16 * classes); }

// Squared errors: rows of `channels` elements. Unweighted, all elements are rows of one block each,
// so that few channels do not leave lanes idle.
struct ErrorRows {
  ErrorRows(const View& a, bool weighted)
      : channels(weighted ? a.shape[-1] : std::clamp<int64_t>(a.count(), 1, block)),
        rows(channels == 0 ? 0 : a.count() / channels),
        rest(weighted ? 0 : a.count() - rows * channels) {}
  static constexpr int64_t block = 4096;
  int64_t channels, rows;
  int64_t rest;  // elements behind the last whole block
};

void softmax_cross_entropy(const Call& call) {
  const View& logits = call.in[0];
  const int64_t size = logits.shape[-1];
  const int64_t rows = logits.shape[0];
  const int64_t* labels = call.in[1].as<int64_t>();
  const float* x = logits.as<float>();
  float* lse = call.out[1].as<float>();
  const auto range = HWY_DYNAMIC_DISPATCH(log_sum_exp_rows);
  for_ranges(threads_of(call), rows, cross_entropy_grain(size),
             [&](int64_t begin, int64_t end) { range(x, size, lse, begin, end); });
  double loss = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (labels[row] >= 0) loss += double{lse[row]} - double{x[row * size + labels[row]]};
  }
  *call.out[0].as<float>() = static_cast<float>(call.attributes.as<CrossEntropy>().factor * loss);
}

void softmax_cross_entropy_gradient(const Call& call) {
  using Operand = operands::SoftmaxCrossEntropyGradient;
  const auto range = HWY_DYNAMIC_DISPATCH(cross_entropy_gradient_rows);
  for_ranges(threads_of(call), call.in[Operand::logits].shape[0],
             cross_entropy_grain(call.in[Operand::logits].shape[-1]),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void squared_error(const Call& call) {
  using Operand = operands::SquaredError;
  const auto attributes = call.attributes.as<SquaredError>();
  const ErrorRows r(call.in[Operand::a], attributes.weighted != 0);
  const float* a = call.in[Operand::a].as<float>();
  const float* b = call.in[Operand::b].as<float>();
  const float* weights = attributes.weighted ? call.in[Operand::weights].as<float>() : nullptr;
  const int parts = parts_of(threads_of(call), r.rows, grain_of(8 * r.channels));
  std::vector<double> sums(static_cast<size_t>(parts));
  const auto range = HWY_DYNAMIC_DISPATCH(squared_error_rows);
  for_parts(parts, [&](int part) {
    sums[static_cast<size_t>(part)] =
        range(a, b, weights, r.channels, part_begin(r.rows, part, parts),
              part_begin(r.rows, part + 1, parts));
  });
  const int64_t done = r.rows * r.channels;
  double loss = range(a + done, b + done, nullptr, r.rest, 0, 1);
  for (const double sum : sums) loss += sum;
  *call.out[Operand::loss].as<float>() = static_cast<float>(attributes.factor * loss);
}

void squared_error_gradient(const Call& call) {
  using Operand = operands::SquaredErrorGradient;
  const auto attributes = call.attributes.as<SquaredError>();
  const ErrorRows r(call.in[Operand::a], attributes.weighted != 0);
  const float* a = call.in[Operand::a].as<float>();
  const float* b = call.in[Operand::b].as<float>();
  const float* weights = attributes.weighted ? call.in[Operand::weights].as<float>() : nullptr;
  float* da = call.out[Operand::da].as<float>();
  const float factor =
      static_cast<float>(2 * attributes.factor * double{*call.in[Operand::dloss].as<float>()});
  const auto range = HWY_DYNAMIC_DISPATCH(squared_error_gradient_rows);
  for_ranges(threads_of(call), r.rows, grain_of(12 * r.channels), [&](int64_t begin, int64_t end) {
    range(a, b, weights, factor, r.channels, da, begin, end);
  });
  const int64_t done = r.rows * r.channels;
  range(a + done, b + done, nullptr, factor, r.rest, da + done, 0, 1);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"softmax_cross_entropy", {f32}, softmax_cross_entropy},
    KernelEntry{"softmax_cross_entropy_gradient", {f32}, softmax_cross_entropy_gradient},
    KernelEntry{"squared_error", {f32}, squared_error},
    KernelEntry{"squared_error_gradient", {f32}, squared_error_gradient},
};

}  // namespace

std::span<const KernelEntry> losses_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
