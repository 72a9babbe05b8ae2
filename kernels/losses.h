// Losses summed over this rank's rows. P: the parameter type (src/ops casts bf16 to it); sums in
// double.
//
//   softmax_cross_entropy                                                (CrossEntropy)
//     in   logits P [N, K], labels i64 [N] (negative: the row does not count)
//     out  loss P [] = factor sum_i (lse_i - logits[i, label_i]), lse P [N] = log sum_k exp(logits)
//   softmax_cross_entropy_gradient                                       (CrossEntropy)
//     in   dloss P [], logits, labels, lse
//     out  dlogits P [N, K]
//   squared_error                                                        (SquaredError)
//     in   a, b P [.., C], weights P [.., 1] (if `weighted`)
//     out  loss P [] = factor sum weights (a - b)^2
//   squared_error_gradient                                               (SquaredError)
//     in   dloss P [], a, b, weights (if `weighted`)
//     out  da P [.., C] (that of b is -da)
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace lacuna {

struct CrossEntropy {
  static constexpr uint64_t id = hash_name("CrossEntropy");
  double factor;
};

struct SquaredError {
  static constexpr uint64_t id = hash_name("SquaredError");
  double factor;
  int64_t weighted;  // 0 or 1
};

namespace operands {

struct SoftmaxCrossEntropyGradient {
  enum : size_t { dloss, logits, labels, lse };
  enum : size_t { dlogits };
};

struct SquaredError {
  enum : size_t { a, b, weights };
  enum : size_t { loss };
};

struct SquaredErrorGradient {
  enum : size_t { dloss, a, b, weights };
  enum : size_t { da };
};

}  // namespace operands

}  // namespace lacuna
