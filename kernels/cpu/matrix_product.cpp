// Matrix products by oneDNN: 2 M N K FLOPs, bound by arithmetic where all of M, N and K exceed some
// 100, else by memory (M K + K N + M N elements).
#include "kernels/matrix_product.h"

#include <array>

#include "kernels/cpu/support/product.h"

namespace lacuna::cpu {

namespace {

void matrix_product(const Call& call) {
  using Operand = operands::MatrixProduct;
  const auto p = call.attributes.as<MatrixProduct>();
  multiply_matrices(call.context, {p.m, p.n, p.k, p.transpose_a != 0, p.transpose_b != 0},
                    call.in[Operand::a], call.in[Operand::b],
                    p.bias ? &call.in[Operand::bias] : nullptr, call.out[Operand::y]);
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"matrix_product", {f32, bf16}, matrix_product},
};

}  // namespace

std::span<const KernelEntry> matrix_product_kernels() { return table; }

}  // namespace lacuna::cpu
