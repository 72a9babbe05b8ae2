#include "kernels/layer_norm.h"
#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/cudnn/library.h"
#include "kernels/cuda/cudnn/operands.h"

namespace lacuna::cuda::library {

namespace {

// The library sees x as [N, D, 1, 1].
std::string layer_norm_text(const char* operation, const View& x, double epsilon) {
  const int64_t features = x.shape[-1];
  return concat(operation, " ", name_of(x.dtype), " n ", x.count() / features, " d ", features,
                " epsilon ", epsilon);
}

}  // namespace

void layer_norm(const Call& call) {
  using Operand = operands::LayerNorm;
  const View& x = call.in[Operand::x];
  if (x.count() == 0) return;
  const double epsilon = call.attributes.as<LayerNormAttributes>().epsilon;
  const int64_t d = x.shape[-1];
  const int64_t n = x.count() / d;
  const Sizes all{n, d, 1, 1};
  const Sizes features{1, d, 1, 1};
  const Sizes rows{n, 1, 1, 1};
  ExecutionPlan* plan =
      library(call).find(layer_norm_text("layer_norm", x, epsilon), x.dtype, [&](Graph& graph) {
        GraphTensor added = graph.tensor(static_cast<float>(epsilon));
        const auto [y, mean, rstd] =
            graph.layernorm(tensor(graph, 1, x.dtype, all, channels_last(all)),
                            tensor(graph, 2, DType::f32, features, channels_last(features)),
                            tensor(graph, 3, DType::f32, features, channels_last(features)),
                            fe::graph::Layernorm_attributes()
                                .set_forward_phase(fe::NormFwdPhase_t::TRAINING)
                                .set_epsilon(added));
        set_output(y, 4, x.dtype, all, channels_last(all));
        set_output(mean, 5, DType::f32, rows, channels_last(rows));
        set_output(rstd, 6, DType::f32, rows, channels_last(rows));
      });
  if (plan == nullptr) return run_ours("layer_norm", call);
  Parts parts;
  const Activations source(x, n, d, d, parts);
  const Activations result(call.out[Operand::y], n, d, d, parts);
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  library(call).execute(
      *plan,
      {source.read(call, parts), call.in[Operand::gamma].data, call.in[Operand::beta].data,
       result.place(parts), call.out[Operand::mean].data, call.out[Operand::rstd].data},
      parts.at(workspace));
  result.written(call, parts);
}

void layer_norm_gradient(const Call& call) {
  using Operand = operands::LayerNormGradient;
  const View& x = call.in[Operand::x];
  if (x.count() == 0) {
    clear(call, call.out[Operand::dgamma]);
    return clear(call, call.out[Operand::dbeta]);
  }
  const int64_t d = x.shape[-1];
  const int64_t n = x.count() / d;
  const Sizes all{n, d, 1, 1};
  const Sizes features{1, d, 1, 1};
  const Sizes rows{n, 1, 1, 1};
  ExecutionPlan* plan =
      library(call).find(layer_norm_text("layer_norm_gradient", x, 0), x.dtype, [&](Graph& graph) {
        const auto [dx, dgamma, dbeta] = graph.layernorm_backward(
            tensor(graph, 1, x.dtype, all, channels_last(all)),
            tensor(graph, 2, x.dtype, all, channels_last(all)),
            tensor(graph, 5, DType::f32, features, channels_last(features)),
            fe::graph::Layernorm_backward_attributes().set_saved_mean_and_inv_variance(
                tensor(graph, 3, DType::f32, rows, channels_last(rows)),
                tensor(graph, 4, DType::f32, rows, channels_last(rows))));
        set_output(dx, 6, x.dtype, all, channels_last(all));
        set_output(dgamma, 7, DType::f32, features, channels_last(features));
        set_output(dbeta, 8, DType::f32, features, channels_last(features));
      });
  if (plan == nullptr) return run_ours("layer_norm_gradient", call);
  Parts parts;
  const Activations dy(call.in[Operand::dy], n, d, d, parts);
  const Activations source(x, n, d, d, parts);
  const Activations dx(call.out[Operand::dx], n, d, d, parts);
  const size_t workspace = parts.add(plan->workspace);
  parts.take(call);
  library(call).execute(
      *plan,
      {dy.read(call, parts), source.read(call, parts), call.in[Operand::mean].data,
       call.in[Operand::rstd].data, call.in[Operand::gamma].data, dx.place(parts),
       call.out[Operand::dgamma].data, call.out[Operand::dbeta].data},
      parts.at(workspace));
  dx.written(call, parts);
}

}  // namespace lacuna::cuda::library
