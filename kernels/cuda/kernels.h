// The kernels of the CUDA device; what each computes stands in kernels/<family>.h.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cuda {

void accumulate(const Call& call);
void scale(const Call& call);
void multiply(const Call& call);
void hide(const Call& call);
void relu(const Call& call);
void relu_gradient(const Call& call);
void gelu(const Call& call);
void gelu_gradient(const Call& call);
void add_to_each(const Call& call);

}  // namespace lacuna::cuda
