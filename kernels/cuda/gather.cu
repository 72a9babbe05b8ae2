// Tokens at places; bound by memory: what is taken is read once, the result written once. A sum of
// tokens that share a place is made by the threads of the first of them, which follow a chain from
// each to the next (support/chains.h): K^2 comparisons a sample.
#include "kernels/gather.h"

#include <array>

#include "kernels/cuda/support/chains.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

template <typename T, typename Place>
__global__ void __launch_bounds__(block_size)
    gather_kernel(const T* x, const Place* places, T* y, int64_t count, int64_t length,
                  int64_t taken, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t place = places[at.row];
    const int64_t token = at.row / taken * length + place;
    y[at.element] = place < 0 ? from_float<T>(0) : x[token * features + at.column];
  }
}

template <typename T>
__global__ void __launch_bounds__(block_size) clear_kernel(T* y, int64_t count) {
  for (int64_t e = first_of_grid(); e < count; e += threads_of_grid()) y[e] = from_float<T>(0);
}

template <typename T, typename Place>
__global__ void __launch_bounds__(block_size)
    scatter_kernel(const T* x, const Place* places, const int64_t* chain, T* y, int64_t count,
                   int64_t length, int64_t taken, int64_t features) {
  for (GridCursor at(features); at.element < count; at.next()) {
    const int64_t next = chain[at.row];
    if (next < 0) continue;
    const float sum = chain_sum(x, chain, at.row, next, at.column, features);
    const int64_t token = at.row / taken * length + places[at.row];
    y[token * features + at.column] = from_float<T>(sum);
  }
}

// f(T{}, Place{}) with the types of tokens and of places.
template <typename F>
void with_places(const Call& call, F f) {
  with_float(call.in[0].dtype, [&](auto type) {
    if (call.in[1].dtype == DType::i32) {
      f(type, int32_t{});
    } else {
      f(type, int64_t{});
    }
  });
}

void gather_tokens(const Call& call) {
  const Shape& x = call.in[0].shape;
  const int64_t count = call.out[0].count();
  with_places(call, [&](auto type, auto place) {
    using T = decltype(type);
    using Place = decltype(place);
    launch(call, "gather_tokens", count, gather_kernel<T, Place>, input<T>(call, 0),
           input<Place>(call, 1), output<T>(call), count, x[1], call.in[1].shape[1], x[2]);
  });
}

void scatter_tokens(const Call& call) {
  const Shape& x = call.in[0].shape;
  const View& y = call.out[0];
  const int64_t places = call.in[1].count();
  int64_t* chain = scratch_chain(call, places);
  with_places(call, [&](auto type, auto place) {
    using T = decltype(type);
    using Place = decltype(place);
    launch(call, "scatter_tokens", y.count(), clear_kernel<T>, output<T>(call), y.count());
    launch(call, "scatter_tokens", places, chain_kernel<Place>, input<Place>(call, 1), chain,
           places, x[1]);
    const int64_t count = call.in[0].count();
    launch(call, "scatter_tokens", count, scatter_kernel<T, Place>, input<T>(call, 0),
           input<Place>(call, 1), chain, output<T>(call), count, y.shape[1], x[1], x[2]);
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"gather_tokens", {f32, bf16, f16}, gather_tokens},
    KernelEntry{"scatter_tokens", {f32, bf16, f16}, scatter_tokens},
};

}  // namespace

std::span<const KernelEntry> gather_kernels() { return table; }

}  // namespace lacuna::cuda
