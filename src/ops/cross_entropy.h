// Cross entropy of a softmax with given labels.
#pragma once

#include "graph/tensor.h"

namespace lacuna {

// loss P [] = factor sum_i (log sum_k exp(logits[i, k]) - logits[i, label_i]); logits F [N, K]
// (bf16 is cast to f32 first), labels i64 [N], below K; a row with a negative label does not count.
// With factor = 1 / rows of the global batch the sum of the ranks' losses is the mean. Sums in
// double. Keeps logits, labels and the rows' log-sum-exp. Deterministic. Shapes and dtypes that do
// not fit are a broken precondition; the values of labels are not checked here.
Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor);

extern const Operation softmax_cross_entropy_operation;
extern const Operation softmax_cross_entropy_gradient_operation;

}  // namespace lacuna
