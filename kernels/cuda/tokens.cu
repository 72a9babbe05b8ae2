// Sequences of tokens; bound by memory: each output element written once, and what is taken read
// once.
#include "kernels/tokens.h"

#include <array>

#include "kernels/cuda/support/slices.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename T>
__global__ void __launch_bounds__(block_size)
    prepend_kernel(const T* x, const float* token, T* y, int64_t count, int64_t length,
                   int64_t features) {
  const int64_t size = (length + 1) * features;
  for (GridCursor at(size); at.element < count; at.next()) {
    y[at.element] = at.column < features ? from_float<T>(token[at.column])
                                         : x[at.row * length * features + at.column - features];
  }
}

void prepend_token(const Call& call) {
  const Shape& x = call.in[0].shape;
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "prepend_token", count, prepend_kernel<T>, input<T>(call, 0),
           input<float>(call, 1), output<T>(call), count, x[1], x[2]);
  });
}

void take_tokens(const Call& call) {
  const Shape& x = call.in[0].shape;
  const Shape& y = call.out[0].shape;
  move_slice(call, "take_tokens", call.in[0], call.out[0], x[0],
             {x[1], y[1], x[2], call.attributes.as<Tokens>().begin});
}

void place_tokens(const Call& call) {
  const Shape& x = call.in[0].shape;
  const Shape& y = call.out[0].shape;
  move_slice(call, "place_tokens", call.in[0], call.out[0], x[0],
             {x[1], y[1], x[2], -call.attributes.as<Tokens>().begin});
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"prepend_token", {f32, bf16, f16}, prepend_token},
    KernelEntry{"take_tokens", {f32, bf16, f16}, take_tokens},
    KernelEntry{"place_tokens", {f32, bf16, f16}, place_tokens},
};

}  // namespace

std::span<const KernelEntry> tokens_kernels() { return table; }

}  // namespace lacuna::cuda
