// Many tensors in one launch: their addresses travel as the kernel's parameters (up to 32,764 bytes
// since CUDA 12.1), and blocks share their elements in chunks.
#pragma once

#include "kernels/cuda/support/launch.h"

namespace lacuna::cuda {

constexpr int64_t chunk_size = 16384;  // elements

// `kinds` arrays of each tensor: gradient, weight, momentum, …
template <int kinds>
struct Tensors {
  static constexpr int most = 640;
  void* data[kinds][most];
  int64_t counts[most];
  int first_chunk[most + 1];
  int size;

  // The tensor whose chunk it is.
  __device__ int tensor_of(int chunk) const {
    int low = 0;
    int high = size;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (chunk < first_chunk[middle] ? high : low) = middle;
    }
    return low;
  }
  template <typename T>
  __device__ T* at(int kind, int tensor) const {
    return static_cast<T*>(data[kind][tensor]);
  }
};
static_assert(sizeof(Tensors<4>) <= 32000);

// A chunk's elements, [begin, end) of a tensor, all threads of the block side by side.
struct Chunk {
  int tensor;
  int64_t begin, end;
  template <int kinds>
  __device__ Chunk(const Tensors<kinds>& tensors, int number)
      : tensor(tensors.tensor_of(number)),
        begin((number - tensors.first_chunk[tensor]) * chunk_size),
        end(begin + chunk_size) {
    if (end > tensors.counts[tensor]) end = tensors.counts[tensor];
  }
};

// f(tensors, their chunks, number of the first chunk) for as many tensors at a time as parameters
// hold; `view(kind, t)` is tensor t's array of a kind.
template <int kinds, typename View, typename F>
void for_tensors(size_t count, const View& view, F f) {
  int before = 0;
  for (size_t begin = 0; begin < count; begin += Tensors<kinds>::most) {
    Tensors<kinds> tensors{};
    tensors.size = static_cast<int>(std::min<size_t>(count - begin, Tensors<kinds>::most));
    int chunks = 0;
    for (int t = 0; t < tensors.size; ++t) {
      const auto number = begin + static_cast<size_t>(t);
      for (int kind = 0; kind < kinds; ++kind) tensors.data[kind][t] = view(kind, number).data;
      tensors.counts[t] = view(0, number).count();
      tensors.first_chunk[t] = chunks;
      chunks += static_cast<int>((tensors.counts[t] + chunk_size - 1) / chunk_size);
    }
    tensors.first_chunk[tensors.size] = chunks;
    f(tensors, chunks, before);
    before += chunks;
  }
}

}  // namespace lacuna::cuda
