// The operands of Winograd's convolutions, and what is counted in tiles, lines and blocks.
#pragma once

#include <cstdint>

namespace lacuna::cpu {

// Pixels along each axis that a tile has of the output. A tile takes as many of the input and 2
// more, and as many products of matrices as it has of these.
enum class WinogradTile : int { two = 2, four = 4 };

// y = x * w over two axes, out = in + 2 padding - 2.
struct WinogradSizes {
  int64_t batch, in_channels, out_channels;
  int64_t in[2], out[2], padding[2];  // padding: 0 to 2
};

// Weights [K, C, 3, 3] as a convolution from K to C (`turned`: by 180 degrees) or from C to K has
// them; strides in floats.
struct WinogradWeights {
  const float* data;
  int64_t out_stride, in_stride;
  bool turned;
};

constexpr int64_t line = 16;  // floats of a cache line, and of the longest vectors

inline int64_t whole_lines(int64_t floats) { return (floats + line - 1) / line * line; }

inline int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t tiles_of(const WinogradSizes& sizes, int64_t m) {
  return sizes.batch * divided_up(sizes.out[0], m) * divided_up(sizes.out[1], m);
}

// Channels that an item of the weight gradient works on, and the blocks that they are cut into.
constexpr int64_t gradient_channels = 128;
inline int64_t gradient_blocks(int64_t channels) { return divided_up(channels, gradient_channels); }

}  // namespace lacuna::cpu
