// What a convolution is computed by.
#pragma once

#include <optional>

#include "kernels/convolution.h"
#include "kernels/cpu/support/winograd_sizes.h"

namespace lacuna::cpu {

enum class ConvolutionPass { forward, data_gradient, weight_gradient };

// The fastest of direct convolution (nullopt) and Winograd's convolutions, in f32, by a model of
// their time, of those that `methods` allows. It looks at neither the batch nor the number of
// threads, so that a sample's bits depend on neither. Where winograd.h has no kernel: nullopt.
std::optional<WinogradTile> winograd_tile(const Convolution& c, ConvolutionPass pass,
                                          ConvolutionMethods methods);

// The same convolution as winograd.h wants it: from x to y, or from dy to dx.
WinogradSizes winograd_sizes(const Convolution& c);
WinogradSizes winograd_sizes_of_data_gradient(const Convolution& c);

}  // namespace lacuna::cpu
