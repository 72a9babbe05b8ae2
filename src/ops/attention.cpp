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

std::span<const Operation* const> attention_operations() {
  static constexpr std::array all = {
      &attention_operation,
      &attention_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
