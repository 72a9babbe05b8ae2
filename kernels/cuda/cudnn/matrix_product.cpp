#include "kernels/matrix_product.h"

#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/cudnn/library.h"
#include "kernels/cuda/cudnn/operands.h"
#include "kernels/cuda/support/weights.h"
#include "kernels/product_gelu.h"

namespace lacuna::cuda::library {

namespace {

// What follows a product and its bias.
enum class Epilogue { none, added, gelu, gelu_gradient };

const char* name_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none:
      return "matrix_product";
    case Epilogue::added:
      return "product_added";
    case Epilogue::gelu:
      return "product_gelu";
    case Epilogue::gelu_gradient:
      return "product_gelu_gradient";
  }
  return "";
}

fe::graph::Pointwise_attributes pointwise(fe::PointwiseMode_t mode) {
  return fe::graph::Pointwise_attributes().set_mode(mode);
}

// Tensors: a, b, y; with a bias that; with an epilogue what is added, z that is kept, or z that
// was.
ExecutionPlan* product_plan(const Call& call, const MatrixProduct& s, Epilogue epilogue) {
  using Operand = operands::MatrixProduct;
  const View& a = call.in[Operand::a];
  const DType out = call.out[Operand::y].dtype;
  const View* bias = s.bias != 0 ? &call.in[Operand::bias] : nullptr;
  const std::string text = concat(
      name_of(epilogue), " ", lacuna::name_of(a.dtype), " m ", s.m, " n ", s.n, " k ", s.k,
      s.transpose_a != 0 ? " a^T" : "", s.transpose_b != 0 ? " b^T" : "", " to ",
      lacuna::name_of(out), bias != nullptr ? concat(" bias ", lacuna::name_of(bias->dtype)) : "");
  return library(call).find(text, a.dtype, [&](Graph& graph) {
    const auto strides = [](int64_t rows, int64_t columns, bool transposed) {
      return transposed ? Sizes{rows * columns, 1, rows} : Sizes{rows * columns, columns, 1};
    };
    GraphTensor y = graph.matmul(
        tensor(graph, 1, a.dtype, {1, s.m, s.k}, strides(s.m, s.k, s.transpose_a != 0)),
        tensor(graph, 2, a.dtype, {1, s.k, s.n}, strides(s.k, s.n, s.transpose_b != 0)),
        fe::graph::Matmul_attributes());
    int64_t number = 3;
    const auto in_f32 = [&] { y->set_data_type(fe::DataType_t::FLOAT); };
    const Sizes all{1, s.m, s.n};
    const Sizes rows{s.m * s.n, s.n, 1};
    if (bias != nullptr) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, ++number, bias->dtype, {1, 1, s.n}, {s.n, s.n, 1}),
                          pointwise(fe::PointwiseMode_t::ADD));
    }
    ++number;
    if (epilogue == Epilogue::added) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, number, out, all, rows),
                          pointwise(fe::PointwiseMode_t::ADD));
    } else if (epilogue == Epilogue::gelu) {
      set_output(y, number, out, all, rows);
      y = graph.pointwise(y, pointwise(fe::PointwiseMode_t::GELU_FWD));
    } else if (epilogue == Epilogue::gelu_gradient) {
      in_f32();
      y = graph.pointwise(y, tensor(graph, number, out, all, rows),
                          pointwise(fe::PointwiseMode_t::GELU_BWD));
    }
    set_output(y, 3, out, all, rows);
  });
}

// The product alone, and what follows it, in kernels of ours.
void compose_product(const Call& call, Epilogue epilogue) {
  const std::span<const View> y = call.out.first(1);
  const auto product = [&](std::span<const View> to) {
    run_ours("matrix_product", {call.in, to, call.attributes, call.context});
  };
  const Attributes none;
  switch (epilogue) {
    case Epilogue::none:
      return product(y);
    case Epilogue::added: {
      product(y);
      const View terms[] = {y[0], call.in.back()};
      return run_ours("accumulate", {terms, y, none, call.context});
    }
    case Epilogue::gelu:
      product(call.out.subspan(1));
      return run_ours("gelu", {call.out.subspan(1), y, none, call.context});
    case Epilogue::gelu_gradient: {
      product(y);
      const View behind[] = {y[0], call.in[operands::ProductGeluGradient::z]};
      return run_ours("gelu_gradient", {behind, y, none, call.context});
    }
  }
}

// Operands that do not begin at 16 bytes, and sums of nothing, are rare: they go to our own
// kernels.
void product(const Call& call, Epilogue epilogue) {
  using Operand = operands::MatrixProduct;
  const auto sizes = call.attributes.as<MatrixProduct>();
  const View& a = call.in[Operand::a];
  const View& b = call.in[Operand::b];
  const bool exact = a.dtype == DType::f32 && !context(call).cudnn().options().tf32;
  if (exact || sizes.m * sizes.n * sizes.k == 0 || !all_aligned(call))
    return compose_product(call, epilogue);
  ExecutionPlan* plan = product_plan(call, sizes, epilogue);
  if (plan == nullptr) return compose_product(call, epilogue);
  const bool converted = b.dtype != a.dtype;
  Parts parts;
  const size_t copy = converted ? parts.add(bytes_of(a.dtype, b.count())) : 0;
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  if (converted) convert(call, b.data, b.dtype, parts.at(copy), a.dtype, b.count());
  std::vector<const void*> operands = {a.data, converted ? parts.at(copy) : b.data,
                                       call.out[Operand::y].data};
  if (sizes.bias != 0) operands.push_back(call.in[Operand::bias].data);
  if (epilogue == Epilogue::gelu) operands.push_back(call.out[1].data);
  if (epilogue == Epilogue::added || epilogue == Epilogue::gelu_gradient)
    operands.push_back(call.in.back().data);
  library(call).execute(*plan, operands, parts.at(workspace));
}

}  // namespace

void matrix_product(const Call& call) { product(call, Epilogue::none); }
void product_added(const Call& call) { product(call, Epilogue::added); }
void product_gelu(const Call& call) { product(call, Epilogue::gelu); }
void product_gelu_gradient(const Call& call) { product(call, Epilogue::gelu_gradient); }

}  // namespace lacuna::cuda::library
