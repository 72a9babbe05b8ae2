// The mean over the tokens of a sample that a mask shows. F: float types.
//
//   masked_mean           in   x F [B, L, D], mask F [B, L]
//                         out  y F [B, D] = sum_l mask_l x_l / sum_l mask_l, or 0 where the sum of
//                              the mask is; sums in f32 or better
//   masked_mean_gradient  in   dy F [B, D], mask F [B, L]
//                         out  dx F [B, L, D] = mask_l dy / sum_l mask_l, or 0
#pragma once
