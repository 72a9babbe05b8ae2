#include "interpret.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "description.h"
#include "steps.h"

namespace cudnn_double {

namespace {

const std::map<std::string, Step (*)(Builder&)> operations{
    {"CONVOLUTION_FORWARD", [](Builder& b) { return convolution(b, Convolution::forward); }},
    {"CONVOLUTION_BACKWARD_DATA", [](Builder& b) { return convolution(b, Convolution::data); }},
    {"CONVOLUTION_BACKWARD_FILTER", [](Builder& b) { return convolution(b, Convolution::filter); }},
    {"MATMUL", matrix_product},
    {"POINTWISE", pointwise},
    {"REDUCTION", reduction},
    {"RESHAPE", reshape},
    {"NORM_FORWARD", norm_forward},
    {"NORM_BACKWARD", norm_backward},
    {"SDPA_FWD", attention},
};

Node read_node(const json& object, std::vector<Tensor>& tensors) {
  const auto name = object.value("operation", std::string("node without an operation"));
  for (const auto& [operation, build] : operations) {
    if (name != "CUDNN_BACKEND_OPERATION_" + operation + "_DESCRIPTOR") continue;
    Builder builder(object, tensors);
    builder.node.step = build(builder);
    builder.fields.finish();
    return builder.node;
  }
  throw Refused(name + " is not known");
}

void mark_roles(std::vector<Tensor>& tensors, const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    for (const size_t index : node.outputs) {
      if (tensors[index].is_output) throw Refused("two nodes write one tensor");
      if (tensors[index].by_value) throw Refused("a node writes a scalar of the host");
      tensors[index].is_output = true;
    }
  }
  for (const Node& node : nodes) {
    for (const size_t index : node.inputs) {
      tensors[index].is_input = !tensors[index].is_output;
      if (tensors[index].is_input && tensors[index].is_virtual) {
        throw Refused("no node writes tensor " + std::to_string(tensors[index].id));
      }
    }
  }
}

// The description's nodes stand in any order.
std::vector<Step> in_order(const std::vector<Tensor>& tensors, std::vector<Node> nodes) {
  std::vector<Step> steps;
  std::set<size_t> ready;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].is_output) ready.insert(i);
  }
  while (!nodes.empty()) {
    const auto next = std::ranges::find_if(
        nodes, [&](const Node& node) { return std::ranges::includes(ready, node.inputs); });
    if (next == nodes.end()) throw Refused("the graph has a circle");
    ready.insert(next->outputs.begin(), next->outputs.end());
    steps.push_back(std::move(next->step));
    nodes.erase(next);
  }
  return steps;
}

json first_object(const std::string& text) {
  std::istringstream stream(text);
  json object;
  try {
    stream >> object;
    return object.at("operationGraph");
  } catch (const json::exception& error) {
    throw Refused(std::string("the plan's description: ") + error.what());
  }
}

}  // namespace

Plan interpret(const std::string& description) {
  const json graph = first_object(description);
  Fields fields(graph, "graph");
  fields.ignore("finalizeMode");  // a name for what the nodes say
  Plan plan;
  for (const json& tensor : fields.get<json>("tensors"))
    plan.tensors.push_back(read_tensor(tensor));
  std::vector<Node> nodes;
  for (const json& node : fields.get<json>("nodes")) nodes.push_back(read_node(node, plan.tensors));
  fields.finish();
  mark_roles(plan.tensors, nodes);
  plan.steps = in_order(plan.tensors, std::move(nodes));
  return plan;
}

}  // namespace cudnn_double
