// ResNet-18, 34 and 50 (He et al. 2016, "Deep residual learning for image recognition", table 1; 50
// with the stride in the 3x3 convolution, as torchvision has it) with the ImageNet stem (7x7 stride
// 2, max pooling) or the small-image stem (3x3, no pooling; stride 1 or 2), at any width and number
// of channels. Parameter names are torchvision's.
#pragma once

#include <array>

#include "encoders/encoder.h"

namespace lacuna {

std::vector<Key> resnet_keys();
std::unique_ptr<Encoder> make_resnet(const Configuration& configuration, const Shape& sample,
                                     Scope scope);

struct ResNetOptions {
  std::array<int64_t, 4> blocks = {2, 2, 2, 2};  // of each stage
  bool bottleneck = false;  // blocks of three convolutions, whose last has four times the channels
  int64_t width = 64;       // channels of the first stage
  bool imagenet_stem = false;
  int64_t stem_stride = 1;  // of the small-image stem
};

// The blocks of "resnet18", "resnet34" or "resnet50".
ResNetOptions resnet_blocks(std::string_view name);

std::unique_ptr<Encoder> make_resnet(const ResNetOptions& options, int axes, int64_t channels,
                                     Scope scope);

}  // namespace lacuna
