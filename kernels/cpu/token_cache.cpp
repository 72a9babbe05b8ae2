// Attention over tokens that were kept. Both kernels touch the new tokens alone, whatever the cache
// holds; they are a few, so no lanes are spelled out.
#include "kernels/token_cache.h"

#include <array>
#include <cmath>
#include <cstring>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

struct Weights {
  float first, second;  // of the two attentions; both 0 where either sees no key
};

Weights weights_of(float lse0, float lse1) {
  const float most = std::max(lse0, lse1);
  if (most == -INFINITY) return {0, 0};
  const float first = std::exp(lse0 - most);
  const float second = std::exp(lse1 - most);
  return {first / (first + second), second / (first + second)};
}

// Tokens [begin, end) of all samples.
template <typename T>
void merge_tokens(const Call& call, int64_t begin, int64_t end) {
  using Operand = operands::MergeAttention;
  const Shape& shape = call.in[Operand::y0].shape;
  const int64_t heads = call.attributes.as<MergeAttention>().heads;
  const int64_t size = shape[2] / heads;
  for (int64_t head = begin * heads; head < end * heads; ++head) {
    const int64_t token = head / heads;
    const int64_t row = (token / shape[1] * heads + head % heads) * shape[1] + token % shape[1];
    const Weights weights = weights_of(call.in[Operand::lse0].as<float>()[row],
                                       call.in[Operand::lse1].as<float>()[row]);
    for (int64_t i = head * size; i < (head + 1) * size; ++i) {
      const auto y0 = static_cast<float>(call.in[Operand::y0].as<T>()[i]);
      const auto y1 = static_cast<float>(call.in[Operand::y1].as<T>()[i]);
      call.out[Operand::y].as<T>()[i] = T(weights.first * y0 + weights.second * y1);
    }
  }
}

void merge_attention(const Call& call) {
  const Shape& shape = call.out[0].shape;
  const auto range =
      call.out[0].dtype == DType::bf16 ? merge_tokens<BFloat16> : merge_tokens<float>;
  const int64_t bytes = 3 * shape[2] * static_cast<int64_t>(size_of(call.out[0].dtype));
  for_ranges(threads_of(call), shape[0] * shape[1], grain_of(bytes),
             [&](int64_t begin, int64_t end) { range(call, begin, end); });
}

void write_tokens(const Call& call) {
  using Operand = operands::WriteTokens;
  const View& x = call.in[Operand::x];
  const View& cache = call.out[Operand::cache];
  const int64_t* places = call.in[Operand::places].as<int64_t>();
  const size_t bytes = static_cast<size_t>(x.shape[2]) * size_of(x.dtype);
  for (int64_t token = 0; token < x.shape[0] * x.shape[1]; ++token) {
    const int64_t sample = token / x.shape[1];
    const int64_t place = places[sample] + token % x.shape[1];
    if (place < 0 || place >= cache.shape[1]) continue;
    const auto to = static_cast<size_t>(sample * cache.shape[1] + place);
    std::memcpy(static_cast<std::byte*>(cache.data) + to * bytes,
                static_cast<const std::byte*>(x.data) + static_cast<size_t>(token) * bytes, bytes);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"merge_attention", {f32, bf16}, merge_attention},
    KernelEntry{"write_tokens", {f32, bf16}, write_tokens},
};

}  // namespace

std::span<const KernelEntry> token_cache_kernels() { return table; }

}  // namespace lacuna::cpu
