#include "ops/attention.h"

#include <array>
#include <cmath>

#include "kernels/attention.h"
#include "ops/types.h"

namespace lacuna {

namespace {

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  const Tensor& qkv = node->inputs[0];
  return {record_one(attention_gradient_operation, {dy[0], qkv, Tensor(node, 0), Tensor(node, 1)},
                     {qkv.dtype(), qkv.shape()}, node->attributes)};
}

const Operation cross_attention_gradient_operation = {.name = "cross_attention_gradient"};

std::vector<Tensor> cross_gradient(const NodePointer& node, const std::vector<Tensor>& dy) {
  using Operand = operands::CrossAttention;
  const Tensor& q = node->inputs[Operand::q];
  const Tensor& k = node->inputs[Operand::k];
  const Tensor& v = node->inputs[Operand::v];
  std::vector<Tensor> inputs = {
      dy[0], q, k, v, Tensor(node, Operand::y), Tensor(node, Operand::lse)};
  std::vector<Tensor> result(node->inputs.size());
  if (result.size() > Operand::lengths) inputs.push_back(node->inputs[Operand::lengths]);
  const Spec of_keys{k.dtype(), k.shape()};
  const NodePointer made = record(cross_attention_gradient_operation, std::move(inputs),
                                  {{q.dtype(), q.shape()}, of_keys, of_keys}, node->attributes);
  using Made = operands::CrossAttentionGradient;
  result[Operand::q] = Tensor(made, Made::dq);
  result[Operand::k] = Tensor(made, Made::dk);
  result[Operand::v] = Tensor(made, Made::dv);
  return result;
}

const Operation cross_attention_operation = {.name = "cross_attention", .gradient = cross_gradient};

}  // namespace

const Operation attention_operation = {.name = "attention", .gradient = gradient};
const Operation attention_gradient_operation = {.name = "attention_gradient"};

Tensor self_attention(const Tensor& qkv, int64_t heads) {
  const Shape& shape = qkv.shape();
  LACUNA_CHECK(is_float(qkv.dtype()) && heads > 0 && shape.rank() == 3 && shape[1] > 0 &&
                   shape[2] > 0 && shape[2] % (3 * heads) == 0,
               "self_attention of ", heads, " heads on ", name_of(qkv.dtype()), " ", shape);
  const int64_t features = shape[2] / 3;
  const double scale = 1 / std::sqrt(static_cast<double>(features / heads));
  return {record(attention_operation, {qkv},
                 {{qkv.dtype(), Shape{shape[0], shape[1], features}},
                  {parameter_type(qkv.dtype()), Shape{shape[0], heads, shape[1]}}},
                 Attention{scale, heads}),
          0};
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionOptions& options) {
  const Shape& queries = q.shape();
  const Shape& keys = k.shape();
  LACUNA_CHECK(is_float(q.dtype()) && k.dtype() == q.dtype() && v.dtype() == q.dtype() &&
                   queries.rank() == 3 && keys.rank() == 3 && v.shape() == keys &&
                   keys[0] == queries[0] && keys[2] == queries[2] && queries[1] > 0 &&
                   keys[1] > 0 && options.heads > 0 && keys[2] > 0 && keys[2] % options.heads == 0,
               "attention of ", options.heads, " heads on queries ", name_of(q.dtype()), " ",
               queries, ", keys ", name_of(k.dtype()), " ", keys, " and values ",
               name_of(v.dtype()), " ", v.shape());
  std::vector<Tensor> inputs = {q, k, v};
  const Tensor& lengths = options.key_lengths;
  if (lengths.defined()) {
    LACUNA_CHECK(lengths.dtype() == DType::i64 && lengths.shape() == Shape{queries[0]},
                 "attention on queries ", queries, " with key lengths ", name_of(lengths.dtype()),
                 " ", lengths.shape());
    inputs.push_back(lengths);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(queries[2] / options.heads));
  const CrossAttention attributes = {scale, options.heads, options.causal, lengths.defined()};
  return {record(cross_attention_operation, std::move(inputs),
                 {{q.dtype(), queries},
                  {parameter_type(q.dtype()), Shape{queries[0], options.heads, queries[1]}}},
                 attributes),
          0};
}

std::span<const Operation* const> attention_operations() {
  static constexpr std::array all = {
      &attention_operation,
      &attention_gradient_operation,
      &cross_attention_operation,
      &cross_attention_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
