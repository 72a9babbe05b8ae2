// Tensor: a cheap handle to one output of a recorded node. Recording computes nothing: operations
// (src/ops) check their operands, make a node and return handles; graph/executor.h runs what was
// recorded. Nodes are immutable, so a handle can be kept and used any number of times in one step.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_tensor.h"
#include "comm/communicator.h"
#include "kernels/kernel.h"

namespace lacuna {

struct Node;
class State;
using NodePointer = std::shared_ptr<const Node>;
// How many rows each rank holds of a tensor that a collective gathers or deals out. They belong to
// a run, as the contents of leaves do: with the same rows here, other ranks' may differ from step
// to step, and the plan stays.
using RowCounts = std::shared_ptr<const std::vector<int64_t>>;

// What is known of a tensor while recording.
struct Spec {
  DType dtype;
  Shape shape;
};

class Tensor {
 public:
  Tensor() = default;  // undefined: stands for "no gradient" and "no optional operand"
  Tensor(NodePointer node, int output) : node_(std::move(node)), output_(output) {}

  bool defined() const { return node_ != nullptr; }
  const Shape& shape() const;
  DType dtype() const;
  const NodePointer& node() const { return node_; }
  int output() const { return output_; }
  friend bool operator==(const Tensor&, const Tensor&) = default;

 private:
  NodePointer node_;
  int output_ = 0;
};

// A kind of operation; one constant object each, listed by its family (ops/list.h).
struct Operation {
  enum class Kind {
    kernel,      // computed by a kernel of the device
    view,        // the output is the input's memory, from `View offset` elements on
    collective,  // `start` is called on the node's communicator
  };
  // Gradients of the loss by each input (undefined where there is none), given those by each output
  // (undefined where the loss does not depend on it).
  using Gradient = std::vector<Tensor> (*)(const NodePointer&,
                                           const std::vector<Tensor>& gradients);
  // The same outputs made of simpler operations; runs where a device has no kernel for this one.
  // Empty for a node that is as simple as they get (a batch norm without ReLU and residual).
  using Composition = std::vector<Tensor> (*)(const NodePointer&);
  // `rows` are Node::rows; none where there are none.
  using Start = Request (*)(Communicator&, const Call&, std::span<const int64_t> rows);

  std::string_view name;
  Kind kind = Kind::kernel;
  Gradient gradient = nullptr;  // nullptr: asking for one is an error; see no_gradient
  Composition composition = nullptr;
  Start start = nullptr;
  bool in_place = false;  // output 0 may share memory with an input of the same size
};

// For operations through which no gradient flows (comparisons, labels, stop_gradient).
std::vector<Tensor> no_gradient(const NodePointer& node, const std::vector<Tensor>& gradients);

// A recorded operation, or a leaf (operation == nullptr): State, host data, or a value of the step.
struct Node {
  const Operation* operation = nullptr;
  std::vector<Tensor> inputs;
  std::vector<Spec> outputs;
  Attributes attributes;
  Communicator* communicator = nullptr;  // of collectives
  RowCounts rows;                        // of collectives over rows, else null
  int64_t view_offset = 0;               // of views, in elements

  State* state = nullptr;      // leaf: a State tensor
  const void* host = nullptr;  // leaf: host memory that outlives the step
  std::string name;            // leaf: for messages and the plan's signature
};

// Records an operation.
NodePointer record(const Operation& operation, std::vector<Tensor> inputs,
                   std::vector<Spec> outputs, Attributes attributes = {},
                   Communicator* communicator = nullptr, RowCounts rows = nullptr);
// Records a view: `input`'s memory from `offset` elements on, as `shape`.
Tensor record_view(const Operation& operation, const Tensor& input, const Shape& shape,
                   int64_t offset = 0);
// The first output of record().
Tensor record_one(const Operation& operation, std::vector<Tensor> inputs, Spec output,
                  Attributes attributes = {});

// A leaf over host memory, which must stay until the step has run. A plan is made once for leaves
// of the same name, dtype and shape; their contents may differ from step to step.
Tensor host_leaf(std::string name, const HostTensor& value);
Tensor host_leaf(std::string name, DType dtype, const Shape& shape, const void* value);

}  // namespace lacuna
