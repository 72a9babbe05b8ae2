// Views of images, made on a device from what the host has drawn for them (kernels/views.h).
#pragma once

#include "graph/tensor.h"
#include "kernels/views.h"

namespace lacuna {

// sample u8, u16 or i16 [B, H, W, C]; draws u8 [B, sizeof(ViewDraws)] -> [B] + shape, of
// `dtype`. shape: [h, w, C]. No gradient.
Tensor make_views(const Tensor& sample, const Tensor& draws, const Shape& shape, DType dtype,
                  const ViewAttributes& attributes);

extern const Operation make_views_operation;

}  // namespace lacuna
