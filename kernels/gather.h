// Tokens at places that data give. F: float types; I: i32 or i64. Places beyond the sequence are
// not looked for; a negative place stands for no token.
//
//   gather_tokens   in   x F [B, L, D], places I [B, K]
//                   out  y F [B, K, D]: y[b, k] = x[b, places[b, k]], zeros for a negative place
//   scatter_tokens  in   x F [B, K, D], places I [B, K]
//                   out  y F [B, L, D]: the sum of the x[b, k] whose place it is, in the order of k
//                        and in f32 or better; zeros where there is none
#pragma once
