// WorkImage: a view while it is being made, the transpose of channels-last:
// [width][channels][height]. So a resampling along the width and a blur run over whole columns of
// all channels, a pointwise operation finds its channels side by side, and one matrix transpose
// leads to and from [H, W, C]. Columns are padded with finite values to a multiple of 16 floats,
// the widest vector in use, and 64-byte aligned; results of pixels depend on their values only,
// never on their place in a vector.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lacuna {

struct WorkImage {
  int64_t width = 0, height = 0, channels = 0;
  float* data = nullptr;  // not owned

  static constexpr int64_t stride_of(int64_t height) { return (height + 15) / 16 * 16; }
  int64_t stride() const { return stride_of(height); }
  int64_t column_size() const { return channels * stride(); }  // of all channels
  int64_t size() const { return width * column_size(); }       // floats in data
  float* column(int64_t x) const { return data + x * column_size(); }
  float at(int64_t y, int64_t x, int64_t c) const { return column(x)[c * stride() + y]; }
};

}  // namespace lacuna
