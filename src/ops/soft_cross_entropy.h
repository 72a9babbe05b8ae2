// Cross entropy of a softmax with targets that are distributions (distillation, mixed labels).
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// loss P [] = -sum_ik targets_ik log softmax(logits_i)_k; logits and targets F or P [N, K] (bf16 is
// cast to f32 first); rows of targets need not sum to 1. A sum and no mean: the caller divides by
// what all ranks have. Sums in double. Gradients flow to the logits alone. Keeps both and the rows'
// log-sum-exp. Deterministic. Shapes and dtypes that do not fit are a broken precondition.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets);

}  // namespace lacuna
