// Losses summed over this rank's rows. F: float types; P: the parameter type; sums in double.
//
//   softmax_cross_entropy           in  logits F [N, K], labels i64 [N] (negative: the row does not
//   count)
//                                   out loss P [] = factor sum_i (lse_i - logits[i, label_i]), lse
//                                   P [N]
//   softmax_cross_entropy_gradient  in  dloss P [], logits, labels, lse      out  dlogits F [N, K]
//   squared_error                   in  a, b F [.., C], weights F [.., 1] (if `weighted`)
//                                   out loss P [] = factor sum weights (a - b)^2
//   squared_error_gradient          in  dloss P [], a, b, weights            out  da F [.., C]
//   (that of b is -da)
#pragma once

#include <cstdint>

namespace lacuna {

struct CrossEntropy {
  double factor;
};

struct SquaredError {
  double factor;
  int64_t weighted;  // 0 or 1
};

}  // namespace lacuna
