// ResNet-18 (He et al. 2016, "Deep residual learning for image recognition", table 1) with the
// ImageNet stem (7x7 stride 2, max pooling) or the small-image stem (3x3, no pooling; stride 1 or 2),
// at any width and number of channels. Parameter names are torchvision's.
#pragma once

#include "encoders/encoder.h"

namespace lacuna {

std::vector<Key> resnet_keys();
std::unique_ptr<Encoder> make_resnet18(const Configuration& configuration, const Shape& sample,
                                       Scope scope);

struct ResNetOptions {
  int64_t width = 64;  // channels of the first stage
  bool imagenet_stem = false;
  int64_t stem_stride = 1;  // of the small-image stem
};

std::unique_ptr<Encoder> make_resnet18(const ResNetOptions& options, int64_t channels, Scope scope);

}  // namespace lacuna
