// Cross entropy of a softmax with targets that are distributions, or any weights. P: the parameter
// type (src/ops casts others to it); sums in double.
//
//   soft_cross_entropy
//     in   logits P [N, K], targets P [N, K]
//     out  loss P [] = sum_ik targets_ik (lse_i - logits_ik), lse P [N] = log sum_k exp(logits_ik)
//   soft_cross_entropy_gradient
//     in   dloss P [], logits, targets, lse
//     out  dlogits P [N, K] = dloss (exp(logits - lse) sum_k targets_ik - targets)
#pragma once

#include <cstddef>

namespace lacuna::operands {

struct SoftCrossEntropy {
  enum : size_t { logits, targets };
  enum : size_t { loss, lse };
};

struct SoftCrossEntropyGradient {
  enum : size_t { dloss, logits, targets, lse };
  enum : size_t { dlogits };
};

}  // namespace lacuna::operands
