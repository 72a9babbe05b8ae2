// Cross entropy with soft targets, row by row: logits and targets are read once from memory, the
// gradient written once; one exponential an element each way. Sums in double.
#include "kernels/soft_cross_entropy.h"

#include <array>
#include <cmath>
#include <vector>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/soft_cross_entropy.cpp"
#include "kernels/cpu/support/simd_targets.h"
//
#include <hwy/foreach_target.h>
//
#include "kernels/cpu/support/exponential.h"

HWY_BEFORE_NAMESPACE();
namespace lacuna::cpu::HWY_NAMESPACE {

// Of a row: sum targets, and sum targets (lse - logits).
HWY_INLINE double sum_of_targets(const float* targets, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += double{targets[k]};
  return sum;
}

HWY_INLINE double loss_of_row(const float* logits, const float* targets, int64_t n, double lse) {
  double loss = 0;
  for (int64_t k = 0; k < n; ++k) loss += double{targets[k]} * (lse - double{logits[k]});
  return loss;
}

double soft_cross_entropy_rows(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::SoftCrossEntropy;
  const int64_t size = call.in[Operand::logits].shape[-1];
  double loss = 0;
  for (int64_t row = begin; row < end; ++row) {
    const float* logits = call.in[Operand::logits].as<float>() + row * size;
    const float most = largest(logits, size);
    const double lse = double{most} + std::log(sum_exp(logits, size, 1.0f, most));
    call.out[Operand::lse].as<float>()[row] = static_cast<float>(lse);
    loss += loss_of_row(logits, call.in[Operand::targets].as<float>() + row * size, size, lse);
  }
  return loss;
}

void soft_cross_entropy_gradient_rows(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::SoftCrossEntropyGradient;
  const float dloss = *call.in[Operand::dloss].as<float>();
  const int64_t size = call.in[Operand::logits].shape[-1];
  for (int64_t row = begin; row < end; ++row) {
    const float* logits = call.in[Operand::logits].as<float>() + row * size;
    const float* targets = call.in[Operand::targets].as<float>() + row * size;
    const float lse = call.in[Operand::lse].as<float>()[row];
    const auto weight = static_cast<float>(sum_of_targets(targets, size));
    float* gradient = call.out[Operand::dlogits].as<float>() + row * size;
    for_lanes(0, size, [&](auto d, int64_t k) HWY_ATTR {
      const auto p = exponential(d, hn::Sub(hn::LoadU(d, logits + k), hn::Set(d, lse)));
      const auto g = hn::MulSub(p, hn::Set(d, weight), hn::LoadU(d, targets + k));
      hn::StoreU(hn::Mul(g, hn::Set(d, dloss)), d, gradient + k);
    });
  }
}

}  // namespace lacuna::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lacuna::cpu {

HWY_EXPORT(soft_cross_entropy_rows);
HWY_EXPORT(soft_cross_entropy_gradient_rows);

namespace {

int64_t row_grain(const View& logits) { return grain_of(16 * logits.shape[-1]); }

void soft_cross_entropy(const Call& call) {
  using Operand = operands::SoftCrossEntropy;
  const View& logits = call.in[Operand::logits];
  const int64_t rows = logits.shape[0];
  const int parts = parts_of(threads_of(call), rows, row_grain(logits));
  std::vector<double> losses(static_cast<size_t>(parts));
  const auto range = HWY_DYNAMIC_DISPATCH(soft_cross_entropy_rows);
  for_parts(parts, [&](int part) {
    losses[static_cast<size_t>(part)] =
        range(call, part_begin(rows, part, parts), part_begin(rows, part + 1, parts));
  });
  double loss = 0;
  for (const double of_part : losses) loss += of_part;
  *call.out[Operand::loss].as<float>() = static_cast<float>(loss);
}

void soft_cross_entropy_gradient(const Call& call) {
  const View& logits = call.in[operands::SoftCrossEntropyGradient::logits];
  const auto range = HWY_DYNAMIC_DISPATCH(soft_cross_entropy_gradient_rows);
  for_ranges(threads_of(call), logits.shape[0], row_grain(logits),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"soft_cross_entropy", {f32}, soft_cross_entropy},
    KernelEntry{"soft_cross_entropy_gradient", {f32}, soft_cross_entropy_gradient},
};

}  // namespace

std::span<const KernelEntry> soft_cross_entropy_kernels() { return table; }

}  // namespace lacuna::cpu
#endif  // HWY_ONCE
