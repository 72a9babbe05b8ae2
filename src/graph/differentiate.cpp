#include "graph/differentiate.h"

#include <unordered_map>
#include <unordered_set>

namespace lacuna {

namespace {

std::vector<Tensor> accumulate_gradient(const NodePointer& node,
                                        const std::vector<Tensor>& gradients) {
  return std::vector<Tensor>(node->inputs.size(), gradients[0]);
}

}  // namespace

const Operation accumulate_operation = {
    .name = "accumulate", .gradient = accumulate_gradient, .in_place = true};

Tensor accumulate(const std::vector<Tensor>& terms) {
  LACUNA_CHECK(!terms.empty());
  if (terms.size() == 1) return terms[0];
  for (const Tensor& term : terms) {
    LACUNA_CHECK(term.shape() == terms[0].shape() && term.dtype() == terms[0].dtype(), "adding ",
                 term.shape(), " to ", terms[0].shape());
  }
  return record_one(accumulate_operation, terms, {terms[0].dtype(), terms[0].shape()});
}

std::vector<NodePointer> in_order(const std::vector<Tensor>& outputs) {
  std::vector<NodePointer> order;
  std::unordered_set<const Node*> seen;
  struct Visit {
    NodePointer node;
    size_t next_input;
  };
  std::vector<Visit> stack;
  for (const Tensor& output : outputs) {
    if (!output.defined() || !seen.insert(output.node().get()).second) continue;
    stack.push_back({output.node(), 0});
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next_input < top.node->inputs.size()) {
        const NodePointer& input = top.node->inputs[top.next_input++].node();
        if (seen.insert(input.get()).second) stack.push_back({input, 0});
      } else {
        order.push_back(std::move(top.node));
        stack.pop_back();
      }
    }
  }
  return order;
}

std::vector<Tensor> differentiate(const Tensor& loss, const Tensor& seed,
                                  const std::vector<Tensor>& by) {
  const std::vector<NodePointer> order = in_order({loss});
  std::unordered_set<const Node*> relevant;  // nodes that depend on one of `by`
  for (const Tensor& variable : by) relevant.insert(variable.node().get());
  for (const NodePointer& node : order) {
    for (const Tensor& input : node->inputs) {
      if (relevant.contains(input.node().get())) relevant.insert(node.get());
    }
  }

  using Contributions = std::vector<std::vector<Tensor>>;  // per output of a node
  std::unordered_map<const Node*, Contributions> contributions;
  const auto contribute = [&](const Tensor& to, const Tensor& gradient) {
    Contributions& all = contributions[to.node().get()];
    all.resize(to.node()->outputs.size());
    all[static_cast<size_t>(to.output())].push_back(gradient);
  };
  const auto total = [&](const Node* node, size_t output) {
    const auto found = contributions.find(node);
    if (found == contributions.end() || found->second[output].empty()) return Tensor();
    return accumulate(found->second[output]);
  };

  contribute(loss, seed);
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const NodePointer& node = *it;
    if (node->operation == nullptr || !relevant.contains(node.get()) ||
        !contributions.contains(node.get()))
      continue;
    std::vector<Tensor> gradients;
    for (size_t i = 0; i < node->outputs.size(); ++i) gradients.push_back(total(node.get(), i));
    LACUNA_CHECK(node->operation->gradient != nullptr, "operation \"", node->operation->name,
                 "\" has no gradient");
    const std::vector<Tensor> by_inputs = node->operation->gradient(node, gradients);
    LACUNA_CHECK(by_inputs.size() == node->inputs.size(), node->operation->name);
    for (size_t i = 0; i < by_inputs.size(); ++i) {
      const Tensor& input = node->inputs[i];
      if (!by_inputs[i].defined() || !relevant.contains(input.node().get())) continue;
      LACUNA_CHECK(by_inputs[i].shape() == input.shape(), node->operation->name, ": gradient of ",
                   by_inputs[i].shape(), " for an operand of ", input.shape());
      contribute(input, by_inputs[i]);
    }
  }
  std::vector<Tensor> result;
  for (const Tensor& variable : by) {
    result.push_back(total(variable.node().get(), static_cast<size_t>(variable.output())));
  }
  return result;
}

}  // namespace lacuna
