// Reverse-mode differentiation of a recorded graph; records the gradient's operations.
#pragma once

#include <vector>

#include "graph/state.h"
#include "graph/tensor.h"

namespace lacuna {

// The sum of tensors of one shape and dtype, in the order given.
Tensor accumulate(const std::vector<Tensor>& terms);

// Gradients of `loss` (one element) by each of `by`; undefined where the loss does not depend on
// it. `seed` is d(loss)/d(loss): a tensor of the loss's shape (ones).
std::vector<Tensor> differentiate(const Tensor& loss, const Tensor& seed,
                                  const std::vector<Tensor>& by);

// The nodes that `outputs` depend on, each after its inputs; the order is a function of the graph
// alone, so it is the same on every rank.
std::vector<NodePointer> in_order(const std::vector<Tensor>& outputs);

// The operation behind accumulate(): inputs [..] x n -> [..].
extern const Operation accumulate_operation;

}  // namespace lacuna
