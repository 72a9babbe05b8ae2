// Functions of one number, and a quotient. F: the float types of the device, and f64 on every
// device (values and figures of a step). All operands of a call have one dtype and shape [..].
//
//   exp, log, square_root, tanh, sigmoid, silu
//                         in   x F                                                 in_place
//                         out  y F: e^x, ln x, x^(1/2), tanh x, s(x) = 1 / (1 + e^-x), x s(x)
//   square_root_gradient  in   dy, y F          out  dx F = dy / (2 y)             in_place
//   tanh_gradient         in   dy, y F          out  dx F = dy (1 - y^2)           in_place
//   sigmoid_gradient      in   dy, y F          out  dx F = dy y (1 - y)           in_place
//   silu_gradient         in   dy, x F          out  dx F = dy s (1 + x (1 - s))   in_place
//   divide                in   a, b F           out  y F = a / b                   in_place
//   divide_gradient       in   dy, b, y F       out  da F = dy / b, db F = -da y   in_place
#pragma once

#include <cstddef>

namespace lacuna::operands {

struct DivideGradient {
  enum : size_t { dy, b, y };
  enum : size_t { da, db };
};

}  // namespace lacuna::operands
