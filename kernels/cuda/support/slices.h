// Ranges of the middle axis of [outer, length, inner], by bytes: one kernel for every type, both
// ways.
#pragma once

#include "kernels/cuda/support/launch.h"

namespace lacuna::cuda {

// The largest unit that divides the sizes and the addresses is moved at a time.
struct alignas(16) Word16 {
  uint64_t values[2];
};

struct Slice {
  int64_t x_length, y_length, inner;  // inner in words
  int64_t begin;                      // y[o, t] = x[o, t + begin], zeros where x has no such t
};

template <typename Word>
__global__ void __launch_bounds__(block_size)
    slice_kernel(const Word* x, Word* y, int64_t count, Slice slice) {
  for (GridCursor at(slice.y_length * slice.inner); at.element < count; at.next()) {
    const int64_t from = at.column + slice.begin * slice.inner;
    const bool there = from >= 0 && from < slice.x_length * slice.inner;
    y[at.element] = there ? x[at.row * slice.x_length * slice.inner + from] : Word{};
  }
}

inline void move_slice(const Call& call, const char* operation, const View& x, const View& y,
                       int64_t outer, Slice slice) {
  const auto size = static_cast<int64_t>(size_of(y.dtype));
  const int64_t bytes = slice.inner * size;
  const auto places = reinterpret_cast<uintptr_t>(x.data) | reinterpret_cast<uintptr_t>(y.data) |
                      static_cast<uintptr_t>(bytes);
  const auto move = [&](auto word) {
    using Word = decltype(word);
    slice.inner = bytes / static_cast<int64_t>(sizeof(Word));
    const int64_t count = outer * slice.y_length * slice.inner;
    launch(call, operation, count, slice_kernel<Word>, static_cast<const Word*>(x.data),
           static_cast<Word*>(y.data), count, slice);
  };
  if (places % 16 == 0) return move(Word16{});
  if (places % 4 == 0) return move(uint32_t{});
  if (places % 2 == 0) return move(uint16_t{});
  move(uint8_t{});
}

}  // namespace lacuna::cuda
