#include "graph/tensor.h"

namespace lacuna {

const Shape& Tensor::shape() const {
  LACUNA_CHECK(defined());
  return node_->outputs[static_cast<size_t>(output_)].shape;
}

DType Tensor::dtype() const {
  LACUNA_CHECK(defined());
  return node_->outputs[static_cast<size_t>(output_)].dtype;
}

std::vector<Tensor> no_gradient(const NodePointer& node, const std::vector<Tensor>&) {
  return std::vector<Tensor>(node->inputs.size());
}

NodePointer record(const Operation& operation, std::vector<Tensor> inputs,
                   std::vector<Spec> outputs, Attributes attributes, Communicator* communicator,
                   RowCounts rows) {
  for (const Tensor& input : inputs) {
    LACUNA_CHECK(input.defined(), "undefined operand of ", operation.name);
  }
  auto node = std::make_shared<Node>();
  node->operation = &operation;
  node->inputs = std::move(inputs);
  node->outputs = std::move(outputs);
  node->attributes = attributes;
  node->communicator = communicator;
  node->rows = std::move(rows);
  return node;
}

Tensor record_one(const Operation& operation, std::vector<Tensor> inputs, Spec output,
                  Attributes attributes) {
  return {record(operation, std::move(inputs), {output}, attributes), 0};
}

Tensor record_view(const Operation& operation, const Tensor& input, const Shape& shape,
                   int64_t offset) {
  auto node = std::make_shared<Node>();
  node->operation = &operation;
  node->inputs = {input};
  node->outputs = {{input.dtype(), shape}};
  node->view_offset = offset;
  return {std::move(node), 0};
}

Tensor host_leaf(std::string name, const HostTensor& value) {
  return host_leaf(std::move(name), value.dtype(), value.shape(), value.data());
}

Tensor host_leaf(std::string name, DType dtype, const Shape& shape, const void* value) {
  auto node = std::make_shared<Node>();
  node->outputs = {{dtype, shape}};
  node->host = value;
  node->name = std::move(name);
  return {std::move(node), 0};
}

}  // namespace lacuna
