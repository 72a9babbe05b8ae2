#include "kernels/attention.h"
#include "kernels/cuda/cudnn/kernels.h"
#include "kernels/cuda/cudnn/library.h"
#include "kernels/cuda/cudnn/operands.h"

namespace lacuna::cuda::library {

namespace {

// On packed queries, keys and values.
struct AttentionProblem {
  DType type;
  int64_t b, l, h, d;
  double scale;
  Sizes heads, packed, rows,
      lse;  // sizes [B, H, L, D] and their strides in qkv and in y; lse's sizes

  AttentionProblem(const View& qkv, const Attention& attributes)
      : type(qkv.dtype),
        b(qkv.shape[0]),
        l(qkv.shape[1]),
        h(attributes.heads),
        d(qkv.shape[2] / (3 * attributes.heads)),
        scale(attributes.scale),
        heads{b, h, l, d},
        packed{l * 3 * h * d, d, 3 * h * d, 1},
        rows{l * h * d, d, h * d, 1},
        lse{b, h, l, 1} {}
  std::string text(const char* operation) const {
    return concat(operation, " ", name_of(type), " b ", b, " h ", h, " l ", l, " d ", d, " scale ",
                  scale);
  }
};

// Queries, keys and values of packed rows: one behind the other in each token.
const void* section(const void* packed, const AttentionProblem& p, int64_t which) {
  return static_cast<const char*>(packed) + bytes_of(p.type, which * p.h * p.d);
}

}  // namespace

void attention(const Call& call) {
  const AttentionProblem p(call.in[0], call.attributes.as<Attention>());
  if (call.in[0].count() == 0 || !all_aligned(call)) return run_ours("attention", call);
  ExecutionPlan* plan = library(call).find(p.text("attention"), p.type, [&](Graph& graph) {
    const auto packed = [&](int64_t number) {
      return tensor(graph, number, p.type, p.heads, p.packed);
    };
    const auto [y, lse] =
        graph.sdpa(packed(1), packed(2), packed(3),
                   fe::graph::SDPA_attributes().set_generate_stats(true).set_attn_scale(
                       static_cast<float>(p.scale)));
    set_output(y, 4, p.type, p.heads, p.rows);
    set_output(lse, 5, DType::f32, p.lse, contiguous(p.lse));
  });
  if (plan == nullptr) return run_ours("attention", call);
  const void* qkv = call.in[0].data;
  library(call).execute(*plan,
                        {section(qkv, p, 0), section(qkv, p, 1), section(qkv, p, 2),
                         call.out[0].data, call.out[1].data},
                        call.context.scratch(std::max<size_t>(plan->workspace, 1)));
}

void attention_gradient(const Call& call) {
  using Operand = operands::AttentionGradient;
  const AttentionProblem p(call.in[Operand::qkv], call.attributes.as<Attention>());
  if (call.in[Operand::qkv].count() == 0 || !all_aligned(call))
    return run_ours("attention_gradient", call);
  const bool deterministic = context(call).cudnn().options().deterministic;
  ExecutionPlan* plan = library(call).find(p.text("attention_gradient"), p.type, [&](Graph& graph) {
    const auto packed = [&](int64_t number) {
      return tensor(graph, number, p.type, p.heads, p.packed);
    };
    const auto [dq, dk, dv] = graph.sdpa_backward(
        packed(1), packed(2), packed(3), tensor(graph, 4, p.type, p.heads, p.rows),
        tensor(graph, 5, p.type, p.heads, p.rows),
        tensor(graph, 6, DType::f32, p.lse, contiguous(p.lse)),
        fe::graph::SDPA_backward_attributes()
            .set_attn_scale(static_cast<float>(p.scale))
            .set_deterministic_algorithm(deterministic));
    int64_t number = 7;
    for (const GraphTensor& gradient : {dq, dk, dv})
      set_output(gradient, number++, p.type, p.heads, p.packed);
  });
  if (plan == nullptr) return run_ours("attention_gradient", call);
  const void* qkv = call.in[Operand::qkv].data;
  const void* dqkv = call.out[Operand::dqkv].data;
  library(call).execute(
      *plan,
      {section(qkv, p, 0), section(qkv, p, 1), section(qkv, p, 2), call.in[Operand::y].data,
       call.in[Operand::dy].data, call.in[Operand::lse].data, section(dqkv, p, 0),
       section(dqkv, p, 1), section(dqkv, p, 2)},
      call.context.scratch(std::max<size_t>(plan->workspace, 1)));
}

}  // namespace lacuna::cuda::library
