// Operands as the library takes them: strides, alignment, and copies where they are not so. No
// header of cuDNN here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/cudnn.h"

namespace lacuna::cuda::library {

using Sizes = std::vector<int64_t>;

CudaContext& context(const Call& call);
Cudnn::Library& library(const Call& call);

// By a kernel of kernels/cuda.
void run_ours(std::string_view operation, const Call& call);

size_t bytes_of(DType dtype, int64_t count);

// Fills a gradient with zeros on the call's stream.
void clear(const Call& call, const View& view);

// At 16 bytes, as the library's engines want operands.
bool is_aligned(const void* data);
bool all_aligned(const Call& call);

// Strides of [N, C, spatial…] with the channels innermost.
Sizes channels_last(const Sizes& sizes);
// Strides with the last axis innermost.
Sizes contiguous(const Sizes& sizes);

// Parts of one scratch block: sizes first, then addresses.
class Parts {
 public:
  // Where the part will begin; 0 bytes take no place.
  size_t add(size_t bytes) {
    const size_t at = end_;
    end_ += (bytes + alignment - 1) / alignment * alignment;
    return at;
  }
  void take(const Call& call) {
    begin_ = static_cast<char*>(call.context.scratch(std::max<size_t>(end_, 1)));
  }
  void* at(size_t part) const { return begin_ + part; }

 private:
  static constexpr size_t alignment = 256;
  size_t end_ = 0;
  char* begin_ = nullptr;
};

// Activations as the library takes them: where they lie, or a copy in scratch.
class Activations {
 public:
  Activations(const View& view, int64_t rows, int64_t channels, int64_t padded, Parts& parts);
  const void* read(const Call& call, const Parts& parts) const;
  void* place(const Parts& parts) const { return copied_ ? parts.at(part_) : view_.data; }
  void written(const Call& call, const Parts& parts) const;

 private:
  View view_;
  int64_t rows_, channels_, padded_;
  bool copied_;
  size_t part_;
};

}  // namespace lacuna::cuda::library
