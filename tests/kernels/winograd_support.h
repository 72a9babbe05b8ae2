// Winograd's convolutions on memory of the test's own, beside the reference device's.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/support/winograd.h"
#include "kernels/cpu/support/winograd_choice.h"
#include "tests/kernels/cpu_support.h"

namespace lacuna::test {

using cpu::ConvolutionPass;
using cpu::WinogradTile;

// A 3x3 convolution of stride 1.
inline Convolution convolution_3x3(int64_t batch, int64_t in_channels, int64_t out_channels,
                                   int64_t height, int64_t width, int64_t padding = 1) {
  Convolution c{};
  c.batch = batch;
  c.in_channels = in_channels;
  c.out_channels = out_channels;
  c.axes = 2;
  c.groups = 1;
  const int64_t sizes[] = {1, height, width};
  for (int axis = 0; axis < 3; ++axis) {
    c.in[axis] = sizes[axis];
    c.kernel[axis] = axis ? 3 : 1;
    c.padding[axis] = axis ? padding : 0;
    c.stride[axis] = c.dilation[axis] = 1;
    c.out[axis] = c.in[axis] + 2 * c.padding[axis] - c.kernel[axis] + 1;
  }
  return c;
}

// Floats `offset` elements behind an address that is a multiple of 64, with some on both sides that
// nobody may change.
class Floats {
 public:
  explicit Floats(int64_t count, size_t offset = 0)
      : count_(static_cast<size_t>(count)), memory_(count_ + offset + 2 * margin + 16, guard) {
    const size_t misalignment = reinterpret_cast<uintptr_t>(memory_.data()) % 64 / sizeof(float);
    first_ = margin + (16 - misalignment) % 16 + offset;
  }
  Floats(const Operand& operand, size_t offset) : Floats(operand.shape.count(), offset) {
    std::copy(operand.values.begin(), operand.values.end(), data());
  }
  float* data() { return memory_.data() + first_; }
  std::vector<double> values() const {
    const auto begin = memory_.begin() + static_cast<ptrdiff_t>(first_);
    return {begin, begin + static_cast<ptrdiff_t>(count_)};
  }
  bool is_kept_to() const {
    for (size_t i = 0; i < memory_.size(); ++i) {
      if ((i < first_ || i >= first_ + count_) && memory_[i] != guard) return false;
    }
    return true;
  }

 private:
  static constexpr size_t margin = 32;
  static constexpr float guard = -12345;
  size_t count_, first_;
  std::vector<float> memory_;
};

// The operands of the three passes of a convolution with a bias, rounded to f32, and the
// reference's results.
class WinogradCase {
 public:
  explicit WinogradCase(const Convolution& c) : sizes(c) {
    const Shape in{c.batch, c.in[1], c.in[2], c.in_channels};
    const Shape out{c.batch, c.out[1], c.out[2], c.out_channels};
    const Shape weights{c.out_channels, c.in_channels, 3, 3};
    x = rounded(random_operand(Kind::F, in, 1));
    w = rounded(random_operand(Kind::P, weights, 2));
    bias = rounded(random_operand(Kind::P, Shape{c.out_channels}, 3));
    dy = rounded(random_operand(Kind::F, out, 4));
  }

  std::vector<double> expected(ConvolutionPass pass) const {
    return reference_results(job(pass))[0];
  }

  // By the device's table of kernels.
  std::vector<double> found_by(ConvolutionPass pass, Device& device) const {
    return run_on(device, job(pass), [](Kind) { return DType::f32; })[0];
  }

  std::vector<double> found(ConvolutionPass pass, WinogradTile tile, Device& device,
                            size_t offset = 0) const {
    auto& context = static_cast<CpuContext&>(device.context());
    // What scratch memory holds must not matter.
    constexpr size_t bytes = size_t{8} << 20;
    std::memset(context.scratch(bytes), 0xff, bytes);
    Floats to(operand_of(pass).shape.count(), offset);
    Floats weights(w, offset);
    if (pass == ConvolutionPass::forward) {
      Floats from(x, offset), shift(bias, offset);
      cpu::winograd_convolution(context, tile, cpu::winograd_sizes(sizes), from.data(),
                                {weights.data(), sizes.in_channels * 9, 9, false}, shift.data(),
                                to.data());
    } else if (pass == ConvolutionPass::data_gradient) {
      Floats from(dy, offset);
      cpu::winograd_convolution(context, tile, cpu::winograd_sizes_of_data_gradient(sizes),
                                from.data(), {weights.data(), 9, sizes.in_channels * 9, true},
                                nullptr, to.data());
    } else {
      Floats from(x, offset), gradient(dy, offset);
      cpu::winograd_weight_gradient(context, tile, cpu::winograd_sizes(sizes), from.data(),
                                    gradient.data(), to.data());
    }
    CHECK(to.is_kept_to());
    return to.values();
  }

  Convolution sizes;
  Operand x, w, bias, dy;

 private:
  static Operand rounded(Operand operand) {
    for (double& value : operand.values) value = rounded_to(DType::f32, value);
    return operand;
  }
  Job job(ConvolutionPass pass) const {
    switch (pass) {
      case ConvolutionPass::forward: {
        Convolution with_bias = sizes;
        with_bias.bias = 1;
        return {"convolution", {x, w, bias}, {{Kind::F, dy.shape, {}}}, with_bias};
      }
      case ConvolutionPass::data_gradient:
        return {"convolution_data_gradient", {dy, w}, {{Kind::F, x.shape, {}}}, sizes};
      default:
        return {"convolution_weight_gradient", {x, dy}, {{Kind::P, w.shape, {}}}, sizes};
    }
  }
  const Operand& operand_of(ConvolutionPass pass) const {
    if (pass == ConvolutionPass::forward) return dy;
    return pass == ConvolutionPass::data_gradient ? x : w;
  }
};

constexpr ConvolutionPass convolution_passes[] = {
    ConvolutionPass::forward, ConvolutionPass::data_gradient, ConvolutionPass::weight_gradient};
constexpr WinogradTile winograd_tiles[] = {WinogradTile::two, WinogradTile::four};

// Relative L2 distance that is allowed: what the CPU's other kernels keep to, half for F(2x2).
constexpr double tolerance_of(WinogradTile tile) { return tile == WinogradTile::two ? 1e-6 : 2e-6; }

// All passes of both tiles against the reference.
inline void compare_winograd(const Convolution& c) {
  const WinogradCase one(c);
  CpuDevice device(1);
  for (const ConvolutionPass pass : convolution_passes) {
    const std::vector<double> expected = one.expected(pass);
    for (const WinogradTile tile : winograd_tiles) {
      INFO("pass " << static_cast<int>(pass) << " tile " << static_cast<int>(tile) << " batch "
                   << c.batch << " " << c.in[1] << "x" << c.in[2] << " padding " << c.padding[1]
                   << ", " << c.in_channels << " -> " << c.out_channels);
      CHECK(distance(one.found(pass, tile, device), expected) <= tolerance_of(tile));
    }
  }
}

}  // namespace lacuna::test
