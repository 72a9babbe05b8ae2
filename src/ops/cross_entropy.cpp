#include "ops/cross_entropy.h"

#include <array>

#include "kernels/losses.h"
#include "ops/elementwise.h"
#include "ops/types.h"

namespace lacuna {

namespace {

std::vector<Tensor> gradient(const NodePointer& node, const std::vector<Tensor>& dloss) {
  const Tensor& logits = node->inputs[0];
  const Tensor& labels = node->inputs[1];
  const Tensor lse(node, 1);
  return {record_one(softmax_cross_entropy_gradient_operation, {dloss[0], logits, labels, lse},
                     {logits.dtype(), logits.shape()}, node->attributes),
          Tensor()};
}

}  // namespace

const Operation softmax_cross_entropy_operation = {.name = "softmax_cross_entropy",
                                                   .gradient = gradient};
const Operation softmax_cross_entropy_gradient_operation = {.name =
                                                                "softmax_cross_entropy_gradient"};

Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor) {
  LACUNA_CHECK(logits.shape().rank() == 2 && labels.shape() == Shape{logits.shape()[0]} &&
                   labels.dtype() == DType::i64,
               "softmax_cross_entropy of logits ", logits.shape(), " and ", name_of(labels.dtype()),
               " labels ", labels.shape());
  const DType dtype = parameter_type(logits.dtype());
  return {record(softmax_cross_entropy_operation, {cast(logits, dtype), labels},
                 {{dtype, Shape{}}, {dtype, labels.shape()}}, CrossEntropy{factor}),
          0};
}

std::span<const Operation* const> cross_entropy_operations() {
  static constexpr std::array all = {
      &softmax_cross_entropy_operation,
      &softmax_cross_entropy_gradient_operation,
  };
  return all;
}

}  // namespace lacuna
