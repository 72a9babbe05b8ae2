// Matrix products by oneDNN, for kernels that consist of one or have one inside.
#pragma once

#include "kernels/kernel.h"

namespace lacuna::cpu {

// y = op(a) op(b) + bias; what matrix_product runs, for kernels that need one inside. a, b and y
// dense; uses the context's scratch.
struct Product {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
};
void multiply_matrices(KernelContext& context, const Product& product, const View& a, const View& b,
                       const View* bias, const View& y);

}  // namespace lacuna::cpu
