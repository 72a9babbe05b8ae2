#include "kernels/cpu/support/product.h"

#include "kernels/cpu/support/onednn.h"

namespace lacuna::cpu {

namespace {

using dnnl::memory;

// [rows, columns], stored as such or transposed.
memory::desc matrix(int64_t rows, int64_t columns, bool transposed, memory::data_type type) {
  return {{rows, columns}, type, transposed ? memory::dims{1, rows} : memory::dims{columns, 1}};
}

}  // namespace

void multiply_matrices(KernelContext& context, const Product& p, const View& a, const View& b,
                       const View* bias, const View& y) {
  if (p.m * p.n == 0) return;
  if (p.k == 0) {  // a sum over nothing
    LACUNA_CHECK(bias == nullptr);
    std::memset(y.data, 0, static_cast<size_t>(p.m * p.n) * size_of(y.dtype));
    return;
  }
  OneDnn& onednn = static_cast<CpuContext&>(context).onednn();
  const std::string key = concat("product ", p.m, ' ', p.n, ' ', p.k, ' ', p.transpose_a,
                                 p.transpose_b, bias == nullptr ? "" : name_of(bias->dtype), ' ',
                                 name_of(a.dtype), name_of(b.dtype), name_of(y.dtype));
  OneDnnProblem& problem = onednn.problem(key, [&] {
    const auto type = onednn_type(a.dtype);
    const memory::desc a_inside = matrix(p.m, p.k, p.transpose_a, type);
    const memory::desc b_inside = matrix(p.k, p.n, p.transpose_b, type);
    const memory::desc b_outside = matrix(p.k, p.n, p.transpose_b, onednn_type(b.dtype));
    const memory::desc y_inside = matrix(p.m, p.n, false, onednn_type(y.dtype));
    const memory::desc row =
        bias == nullptr ? memory::desc() : matrix(1, p.n, false, onednn_type(bias->dtype));
    const auto descriptor = onednn.product(a_inside, b_inside, row, y_inside);
    std::vector<OneDnnProblem::Operand> operands{{DNNL_ARG_SRC, a_inside, a_inside},
                                                 {DNNL_ARG_WEIGHTS, b_outside, b_inside},
                                                 {DNNL_ARG_DST, y_inside, y_inside, true}};
    if (bias != nullptr) operands.push_back({DNNL_ARG_BIAS, row, row});
    return std::make_unique<OneDnnProblem>(onednn.engine(), dnnl::matmul(descriptor),
                                           descriptor.scratchpad_desc().get_size(), operands);
  });
  std::vector<void*> addresses{a.data, b.data, y.data};
  if (bias != nullptr) addresses.push_back(bias->data);
  problem.run(onednn, context, addresses);
}

}  // namespace lacuna::cpu
