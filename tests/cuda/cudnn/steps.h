// What the nodes of a plan compute: each function reads a node's fields and gives the step.
#pragma once

#include "description.h"

namespace cudnn_double {

// Which of its three operands a convolution computes.
enum class Convolution { forward, data, filter };
Step convolution(Builder& b, Convolution which);

Step matrix_product(Builder& b);
Step attention(Builder& b);
Step pointwise(Builder& b);
Step reduction(Builder& b);
// Both tensors name the same memory, each by strides of its own.
Step reshape(Builder& b);
Step norm_forward(Builder& b);
Step norm_backward(Builder& b);

}  // namespace cudnn_double
