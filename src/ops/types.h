// What operations say about element types.
#pragma once

#include "base/dtype.h"

namespace lacuna {

// P, the type of parameters, losses and row statistics beside activations of type `dtype`: f64 on
// the reference device, f32 elsewhere.
constexpr DType parameter_type(DType dtype) {
  return dtype == DType::f64 ? DType::f64 : DType::f32;
}

}  // namespace lacuna
