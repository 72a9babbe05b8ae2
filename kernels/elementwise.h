// Element-wise kernels. F: the float types of the device; P: the parameter type. All operands of
// one dtype, but for add_to_each, cast and count_correct.
//
//   accumulate     in   x_0 … x_{n-1} F [..]
//                  out  y F [..] = x_0 + x_1 + …, in this order               in_place
//   scale          in   x F [..]
//                  out  y F [..] = factor x                                   in_place  (Scale)
//   multiply       in   a, b F [..]
//                  out  y F [..] = a b                                        in_place
//   hide           in   x F [.., C], mask F [.., 1]
//                  out  y F [.., C] = x (1 - mask)                            in_place
//   relu           in   x F [..]
//                  out  y F [..] = max(x, 0)                                  in_place
//   relu_gradient  in   dy, y F [..]
//                  out  dx F [..] = y > 0 ? dy : 0                            in_place
//   gelu           in   x F [..]
//                  out  y F [..] = x Phi(x), Phi the normal distribution      in_place
//   gelu_gradient  in   dy, x F [..]
//                  out  dx F [..] = dy (Phi(x) + x phi(x))                    in_place
//   add_to_each    in   x F [B, ..], p P [..]
//                  out  y F [B, ..] = x + p, for each of the B                in_place
//   cast           in   x any [..]
//                  out  y any [..], rounded to nearest even
//   squared_norm   in   x_0 … x_{n-1} F, of any shapes
//                  out  s f64 [] = the sum of all squares, in double
//   count_correct  in   logits F [N, K], labels i64 [N]
//                  out  n f64 []: rows whose first largest logit is at the label
#pragma once

#include "base/random.h"

namespace lacuna {

struct Scale {
  static constexpr uint64_t id = hash_name("Scale");
  double factor;
};

}  // namespace lacuna
