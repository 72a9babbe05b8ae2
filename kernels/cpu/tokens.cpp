// Tokens put together and apart: copies, bound by memory.
#include "kernels/tokens.h"

#include <array>

#include "kernels/cpu/support/parallel.h"
#include "kernels/kernel.h"

namespace lacuna::cpu {

namespace {

// body(x, y): where each sample begins in x and in y; threads share the samples.
template <typename T, typename Body>
void for_samples(const Call& call, const Body& body) {
  const View& x = call.in[0];
  const View& y = call.out[0];
  const int64_t x_size = x.shape.from(1).count();
  const int64_t y_size = y.shape.from(1).count();
  const int64_t bytes = (x_size + y_size) * static_cast<int64_t>(sizeof(T));
  for_ranges(threads_of(call), x.shape[0], grain_of(bytes), [&](int64_t begin, int64_t end) {
    for (int64_t sample = begin; sample < end; ++sample) {
      body(x.as<T>() + sample * x_size, y.as<T>() + sample * y_size);
    }
  });
}

template <typename T>
void prepend(const Call& call) {
  const int64_t features = call.in[0].shape[2];
  const int64_t size = call.in[0].shape[1] * features;
  const float* token = call.in[1].as<float>();
  for_samples<T>(call, [&](const T* x, T* y) {
    for (int64_t i = 0; i < features; ++i) y[i] = T(token[i]);
    std::copy_n(x, size, y + features);
  });
}

template <typename T>
void take(const Call& call) {
  const int64_t features = call.in[0].shape[2];
  const int64_t begin = call.attributes.as<Tokens>().begin * features;
  const int64_t size = call.out[0].shape[1] * features;
  for_samples<T>(call, [&](const T* x, T* y) { std::copy_n(x + begin, size, y); });
}

template <typename T>
void place(const Call& call) {
  const int64_t features = call.in[0].shape[2];
  const int64_t begin = call.attributes.as<Tokens>().begin * features;
  const int64_t size = call.in[0].shape[1] * features;
  const int64_t all = call.out[0].shape[1] * features;
  for_samples<T>(call, [&](const T* x, T* y) {
    std::fill_n(y, begin, T(0.0f));
    std::copy_n(x, size, y + begin);
    std::fill_n(y + begin + size, all - begin - size, T(0.0f));
  });
}

bool is_bf16(const Call& call) { return call.in[0].dtype == DType::bf16; }

void prepend_token(const Call& call) {
  is_bf16(call) ? prepend<BFloat16>(call) : prepend<float>(call);
}
void take_tokens(const Call& call) { is_bf16(call) ? take<BFloat16>(call) : take<float>(call); }
void place_tokens(const Call& call) { is_bf16(call) ? place<BFloat16>(call) : place<float>(call); }

using enum DType;

constexpr std::array table = {
    KernelEntry{"prepend_token", {f32, bf16}, prepend_token},
    KernelEntry{"take_tokens", {f32, bf16}, take_tokens},
    KernelEntry{"place_tokens", {f32, bf16}, place_tokens},
};

}  // namespace

std::span<const KernelEntry> tokens_kernels() { return table; }

}  // namespace lacuna::cpu
