// What the library's convolutions need of layouts and types: filters channels-last with as many
// channels as its kernels take, activations with as many. `padded_k` >= k and `padded_c` >= c;
// padding is zero. Types are f32 and bf16, in any direction. All on the context's stream.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cuda {

// PyTorch's [K, C, taps] to [K', taps, C'].
void to_channels_last(const Call& call, const void* weights, DType from, void* to, DType to_type,
                      int64_t k, int64_t c, int64_t taps, int64_t padded_k, int64_t padded_c);

// The way back, of a gradient [K', taps, C'], whose padding is dropped.
void from_channels_last(const Call& call, const void* gradient, DType from, void* to, DType to_type,
                        int64_t k, int64_t c, int64_t taps, int64_t padded_k, int64_t padded_c);

// x [rows, c] to y [rows, padded_c], and the way back.
void pad_channels(const Call& call, const void* x, void* y, DType dtype, int64_t rows, int64_t c,
                  int64_t padded_c);
void drop_channels(const Call& call, const void* x, void* y, DType dtype, int64_t rows, int64_t c,
                   int64_t padded_c);

// x to another type, or a copy.
void convert(const Call& call, const void* x, DType from, void* y, DType to, int64_t count);

}  // namespace lacuna::cuda
