// Softmax and its logarithm over the last axis. Row sums in double. Deterministic. A dtype or shape
// that does not fit is a broken precondition.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// x F [.., K] -> y F [.., K], rows exp(x / t) / sum_k exp(x_k / t). The temperature t > 0, f64 [],
// is a value of the step, undefined for 1; none of the gradient flows to it (a learned one:
// scale_by). Keeps the result.
Tensor softmax(const Tensor& x, const Tensor& temperature = {});
// log softmax(x / t), without the loss of digits that taking the logarithm behind it has.
Tensor log_softmax(const Tensor& x, const Tensor& temperature = {});

}  // namespace lacuna
