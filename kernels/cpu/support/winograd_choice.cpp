#include "kernels/cpu/support/winograd_choice.h"

namespace lacuna::cpu {

namespace {

// Cycles of a core with two AVX-512 units, measured on an Emerald Rapids (docs/performance.md): one
// multiplication and addition of the products, and the transforms of 16 channels of a tile.
struct Costs {
  double product, in, out, out_gradient;
};
constexpr double of_direct = 1 / (32 * 0.93);
constexpr Costs of_two{1 / (32 * 0.9), 150, 110, 110};
constexpr Costs of_four{1 / (32 * 0.9), 300, 250, 260};
// In weight gradients, whose sums share the cache with them, transforms take as much longer.
constexpr double beside_sums = 1.5;
// How much faster than direct convolution the model must find it.
constexpr double margin = 1.1;
constexpr int64_t vector = 16;

bool is_winograds(const Convolution& c) {
  if (c.axes != 2 || c.groups != 1) return false;
  for (int axis = 1; axis < 3; ++axis) {
    if (c.kernel[axis] != 3 || c.stride[axis] != 1 || c.dilation[axis] != 1 || c.padding[axis] > 2)
      return false;
  }
  return true;
}

double direct_cycles(const WinogradSizes& s) {
  return of_direct * 9 * static_cast<double>(s.out[0] * s.out[1] * s.in_channels * s.out_channels);
}

double cycles(const WinogradSizes& s, ConvolutionPass pass, int64_t m, const Costs& costs) {
  const int64_t n = m + 2;
  const auto tiles = static_cast<double>(divided_up(s.out[0], m) * divided_up(s.out[1], m));
  const auto in = static_cast<double>(divided_up(s.in_channels, vector));
  const auto out = static_cast<double>(divided_up(s.out_channels, vector));
  const double products =
      costs.product * static_cast<double>(n * n * s.in_channels * s.out_channels);
  if (pass != ConvolutionPass::weight_gradient)
    return tiles * (products + costs.in * in + costs.out * out);
  const auto in_blocks = static_cast<double>(gradient_blocks(s.in_channels));
  const auto out_blocks = static_cast<double>(gradient_blocks(s.out_channels));
  return tiles * (products + beside_sums * (costs.in * in * out_blocks +
                                            costs.out_gradient * out * in_blocks));
}

}  // namespace

WinogradSizes winograd_sizes(const Convolution& c) {
  return {.batch = c.batch,
          .in_channels = c.in_channels,
          .out_channels = c.out_channels,
          .in = {c.in[1], c.in[2]},
          .out = {c.out[1], c.out[2]},
          .padding = {c.padding[1], c.padding[2]}};
}

WinogradSizes winograd_sizes_of_data_gradient(const Convolution& c) {
  return {.batch = c.batch,
          .in_channels = c.out_channels,
          .out_channels = c.in_channels,
          .in = {c.out[1], c.out[2]},
          .out = {c.in[1], c.in[2]},
          .padding = {2 - c.padding[1], 2 - c.padding[2]}};
}

std::optional<WinogradTile> winograd_tile(const Convolution& c, ConvolutionPass pass,
                                          ConvolutionMethods methods) {
  if (methods == ConvolutionMethods::direct || !is_winograds(c)) return std::nullopt;
  const WinogradSizes sizes = pass == ConvolutionPass::data_gradient
                                  ? winograd_sizes_of_data_gradient(c)
                                  : winograd_sizes(c);
  std::optional<WinogradTile> best;
  double least = direct_cycles(sizes) / margin;
  const auto consider = [&](WinogradTile tile, const Costs& costs) {
    const double its = cycles(sizes, pass, static_cast<int64_t>(tile), costs);
    if (its >= least) return;
    least = its;
    best = tile;
  };
  consider(WinogradTile::two, of_two);
  if (methods == ConvolutionMethods::fast) consider(WinogradTile::four, of_four);
  return best;
}

}  // namespace lacuna::cpu
