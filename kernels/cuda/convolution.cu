// Weights of grouped convolutions as those of one group, and back: bound by memory. Convolutions
// are the library's (cudnn/convolution.cpp).
#include "kernels/convolution.h"

#include <array>

#include "kernels/cuda/support/launch.h"
#include "kernels/kernel.h"

namespace lacuna::cuda {

namespace {

// Rows [K, `groups` blocks of `row` elements], of which row k has its own at block k / per_group.
struct Blocks {
  int64_t groups, per_group, row;

  Blocks(const Call& call, const Shape& small)
      : groups(call.attributes.as<Groups>().groups),
        per_group(small[0] / groups),
        row(small.from(1).count()) {}
};

template <typename T>
__global__ void __launch_bounds__(block_size)
    block_diagonal_kernel(const T* w, T* whole, int64_t count, Blocks blocks) {
  for (GridCursor at(blocks.groups * blocks.row); at.element < count; at.next()) {
    const bool own = at.column / blocks.row == at.row / blocks.per_group;
    whole[at.element] = own ? w[at.row * blocks.row + at.column % blocks.row] : from_float<T>(0);
  }
}

template <typename T>
__global__ void __launch_bounds__(block_size)
    diagonal_blocks_kernel(const T* whole, T* w, int64_t count, Blocks blocks) {
  for (GridCursor at(blocks.row); at.element < count; at.next()) {
    const int64_t block = at.row * blocks.groups + at.row / blocks.per_group;
    w[at.element] = whole[block * blocks.row + at.column];
  }
}

void block_diagonal(const Call& call) {
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "block_diagonal", count, block_diagonal_kernel<T>, input<T>(call, 0),
           output<T>(call), count, Blocks(call, call.in[0].shape));
  });
}

void diagonal_blocks(const Call& call) {
  const int64_t count = call.out[0].count();
  with_float(call.in[0].dtype, [&](auto type) {
    using T = decltype(type);
    launch(call, "diagonal_blocks", count, diagonal_blocks_kernel<T>, input<T>(call, 0),
           output<T>(call), count, Blocks(call, call.out[0].shape));
  });
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"block_diagonal", {f32, bf16, f16}, block_diagonal},
    KernelEntry{"diagonal_blocks", {f32, bf16, f16}, diagonal_blocks},
};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return table; }

}  // namespace lacuna::cuda
