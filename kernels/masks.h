// Positions that count and others that do not, such as padding. F: float types.
//
//   keep  in   x F [.., C], mask F [..]
//         out  y F [.., C] = x where the mask is not 0, else 0, whatever x is there       in_place
//
// In place a kernel only writes where the mask is 0.
#pragma once
