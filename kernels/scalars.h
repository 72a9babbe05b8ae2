// Products with a scalar that is a tensor: a value of the step, or a parameter. F: float types, and
// f64 on every device; P: the parameter type.
//
//   scale_by  in   x F [..], factor f64 or P []      out  y F [..] = factor x         in_place
//   dot       in   a, b F [..]                       out  s f64 or P [] = sum a b, summed in double
//   inverse_count  in  n f64 [..]                   out  f64 [..] = 1 / n, or 0 where n is 0
#pragma once
