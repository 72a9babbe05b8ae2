// FCN, the fully convolutional network of Wang, Yan, Oates 2017 ("Time series classification from
// scratch with deep neural networks", section III.B) without its classifier: three convolutions
// over one axis with kernels of 8, 5 and 3, each with batch normalisation and ReLU, and global
// average pooling. Signals keep their length.
#pragma once

#include "encoders/encoder.h"

namespace lacuna {

std::vector<Key> fcn_keys();
std::unique_ptr<Encoder> make_fcn(const Configuration& configuration, const Shape& sample,
                                  Scope scope);

}  // namespace lacuna
