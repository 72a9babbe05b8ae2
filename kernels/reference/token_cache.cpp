#include "kernels/token_cache.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

void merge_attention(const Call& call) {
  using Operand = operands::MergeAttention;
  const Shape& shape = call.in[Operand::y0].shape;
  const int64_t heads = call.attributes.as<MergeAttention>().heads;
  const int64_t size = shape[2] / heads;
  const double* y0 = call.in[Operand::y0].as<double>();
  const double* y1 = call.in[Operand::y1].as<double>();
  for (int64_t i = 0; i < call.out[Operand::y].count(); ++i) {
    const int64_t token = i / shape[2];
    const int64_t head = i % shape[2] / size;
    const int64_t row = (token / shape[1] * heads + head) * shape[1] + token % shape[1];
    const double lse0 = call.in[Operand::lse0].as<double>()[row];
    const double lse1 = call.in[Operand::lse1].as<double>()[row];
    const double most = std::max(lse0, lse1);
    const double weight0 = std::exp(lse0 - most);
    const double weight1 = std::exp(lse1 - most);
    const bool sees_none = most == -INFINITY;
    call.out[Operand::y].as<double>()[i] =
        sees_none ? 0 : (weight0 * y0[i] + weight1 * y1[i]) / (weight0 + weight1);
  }
}

void write_tokens(const Call& call) {
  using Operand = operands::WriteTokens;
  const View& x = call.in[Operand::x];
  const View& cache = call.out[Operand::cache];
  const int64_t features = x.shape[2];
  for (int64_t token = 0; token < x.shape[0] * x.shape[1]; ++token) {
    const int64_t sample = token / x.shape[1];
    const int64_t place = call.in[Operand::places].as<int64_t>()[sample] + token % x.shape[1];
    if (place < 0 || place >= cache.shape[1]) continue;
    std::copy_n(x.as<double>() + token * features, features,
                cache.as<double>() + (sample * cache.shape[1] + place) * features);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_attention", {f64}, merge_attention},
    KernelEntry{"write_tokens", {f64}, write_tokens},
};

}  // namespace

std::span<const KernelEntry> token_cache_kernels() { return table; }

}  // namespace lacuna::reference
