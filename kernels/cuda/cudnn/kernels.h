// Kernels of the CUDA device that cuDNN computes: the contracts of kernels/<family>.h, for the
// families that the library has.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cuda::library {

void convolution(const Call& call);
void convolution_data_gradient(const Call& call);
void convolution_weight_gradient(const Call& call);
void matrix_product(const Call& call);
void product_added(const Call& call);
void product_gelu(const Call& call);
void product_gelu_gradient(const Call& call);
void layer_norm(const Call& call);
void layer_norm_gradient(const Call& call);
void attention(const Call& call);
void attention_gradient(const Call& call);

}  // namespace lacuna::cuda::library
