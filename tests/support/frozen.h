// The loss as its gradient sees it: what stop_gradient() gives stays what it was, while weights
// change. For finite differences of objectives whose targets come from the weights themselves.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "graph/executor.h"
#include "ops/shape.h"

namespace lacuna::testing {

// The results of every stop_gradient() that `loss` depends on, in an order that follows from the
// graph alone.
inline std::vector<Tensor> stopped(const Tensor& loss) {
  std::vector<Tensor> found;
  std::map<const Node*, bool> seen;
  const std::function<void(const NodePointer&)> visit = [&](const NodePointer& node) {
    if (seen[node.get()]) return;
    seen[node.get()] = true;
    for (const Tensor& input : node->inputs) visit(input.node());
    if (node->operation == &stop_gradient_operation) found.emplace_back(node, 0);
  };
  visit(loss.node());
  return found;
}

// The same graph with leaves of these values in the place of what stopped() has.
inline Tensor with_frozen(const Tensor& loss, const std::vector<HostTensor>& values) {
  std::map<const Node*, NodePointer> made;
  const std::vector<Tensor> stops = stopped(loss);
  LACUNA_CHECK(stops.size() == values.size());
  for (size_t i = 0; i < stops.size(); ++i)
    made[stops[i].node().get()] = host_leaf(concat("frozen", i), values[i]).node();
  const std::function<NodePointer(const NodePointer&)> copy = [&](const NodePointer& node) {
    if (const auto found = made.find(node.get()); found != made.end()) return found->second;
    auto again = std::make_shared<Node>(*node);
    for (Tensor& input : again->inputs) input = {copy(input.node()), input.output()};
    return made[node.get()] = again;
  };
  return {copy(loss.node()), loss.output()};
}

}  // namespace lacuna::testing
