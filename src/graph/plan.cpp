#include "graph/plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "graph/differentiate.h"

namespace lacuna {

namespace {

// Rewrites a graph so that every operation in it has a kernel on the device.
class Lowering {
 public:
  Lowering(const Device& device, bool eager) : device_(device), eager_(eager) {}

  Tensor lower(const Tensor& tensor) {
    for (const NodePointer& node : in_order({tensor})) lower_node(node);
    return lowered_.at(tensor.node().get())[static_cast<size_t>(tensor.output())];
  }

 private:
  void lower_node(const NodePointer& node) {
    if (lowered_.contains(node.get())) return;
    keep_alive_.push_back(node);
    if (node->operation == nullptr) {
      lowered_[node.get()] = {Tensor(node, 0)};
      return;
    }
    std::vector<Tensor> inputs;
    for (const Tensor& input : node->inputs) {
      inputs.push_back(lowered_.at(input.node().get())[static_cast<size_t>(input.output())]);
    }
    NodePointer same = node;
    if (inputs != node->inputs) {
      auto copy = std::make_shared<Node>(*node);
      copy->inputs = std::move(inputs);
      same = std::move(copy);
    }
    lowered_[node.get()] = executable(same);
  }

  // The outputs of a node, or of simpler operations in its place.
  std::vector<Tensor> executable(const NodePointer& node) {
    const Operation& operation = *node->operation;
    if (operation.kind != Operation::Kind::kernel) return outputs_of(node);
    const DType dtype = node->inputs.at(0).dtype();
    const bool has_kernel = device_.find(operation.name, dtype) != nullptr;
    if (operation.composition != nullptr && (eager_ || !has_kernel)) {
      std::vector<Tensor> outputs = composed(node);
      if (!outputs.empty()) return outputs;
    }
    if (!has_kernel) {
      bad_input(
          "operation \"", operation.name, "\" has no kernel for ", name_of(dtype), " on the ",
          device_.name(),
          " device and cannot be composed of others: set train.precision to \"f32\" or choose "
          "another train.device");
    }
    return outputs_of(node);
  }

  std::vector<Tensor> composed(const NodePointer& node) {
    std::vector<Tensor> outputs = node->operation->composition(node);
    LACUNA_CHECK(outputs.empty() || outputs.size() == node->outputs.size(), node->operation->name);
    for (Tensor& output : outputs) output = lower(output);
    return outputs;
  }

  static std::vector<Tensor> outputs_of(const NodePointer& node) {
    std::vector<Tensor> outputs;
    for (size_t i = 0; i < node->outputs.size(); ++i)
      outputs.emplace_back(node, static_cast<int>(i));
    return outputs;
  }

  const Device& device_;
  bool eager_;
  std::unordered_map<const Node*, std::vector<Tensor>> lowered_;
  std::vector<NodePointer> keep_alive_;  // the map's keys are addresses
};

// Offsets in the arena, given out and taken back in the order of execution: best fit, neighbours
// that are free are joined.
class ArenaOffsets {
 public:
  static constexpr size_t alignment = 256;

  size_t take(size_t bytes) {
    bytes = rounded(bytes);
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
    }
    if (best == free_.end()) return grow(bytes);
    const auto [offset, size] = *best;
    free_.erase(best);
    if (size > bytes) free_[offset + bytes] = size - bytes;
    return offset;
  }
  void give_back(size_t offset, size_t bytes) {
    auto it = free_.emplace(offset, rounded(bytes)).first;
    if (const auto next = std::next(it);
        next != free_.end() && it->first + it->second == next->first) {
      it->second += next->second;
      free_.erase(next);
    }
    if (it != free_.begin()) {
      if (const auto before = std::prev(it); before->first + before->second == it->first) {
        before->second += it->second;
        free_.erase(it);
      }
    }
  }
  size_t end() const { return end_; }
  static size_t rounded(size_t bytes) {
    return std::max<size_t>(1, (bytes + alignment - 1) / alignment) * alignment;
  }

 private:
  size_t grow(size_t bytes) {
    size_t offset = end_;
    if (!free_.empty()) {
      if (const auto last = std::prev(free_.end()); last->first + last->second == end_) {
        offset = last->first;
        free_.erase(last);
      }
    }
    end_ = offset + bytes;
    return offset;
  }
  std::map<size_t, size_t> free_;  // offset -> bytes
  size_t end_ = 0;
};

class Planner {
 public:
  Planner(const Device& device, const PlanOptions& options)
      : device_(device), options_(options), lowering_(device, options.eager) {}

  Plan plan(const std::vector<NodePointer>& order, const std::vector<Tensor>& outputs,
            const std::vector<Update>& updates) {
    number_leaves(order);
    row_counts_ = row_counts_of(order);
    std::vector<Tensor> wanted;
    for (const Tensor& output : outputs) wanted.push_back(lowering_.lower(output));
    for (const Update& update : updates) {
      for (const Tensor& input : update.inputs) wanted.push_back(lowering_.lower(input));
    }
    for (const NodePointer& node : in_order(wanted)) add_node(node);
    mark_forward(outputs.empty() ? Tensor() : wanted[0]);
    for (size_t i = 0; i < outputs.size(); ++i) plan_.outputs.push_back(value_of(wanted[i]));
    add_changes(updates);
    find_waits();
    find_lifetimes(wanted);
    place();
    return std::move(plan_);
  }

 private:
  static constexpr size_t never = static_cast<size_t>(-1);

  void number_leaves(const std::vector<NodePointer>& order) {
    for (const NodePointer& node : order) {
      if (node->operation == nullptr && node->state == nullptr) {
        leaf_number_.emplace(node.get(), leaf_number_.size());
      }
    }
  }

  // A composition takes over those of the node that it stands for.
  size_t number_of_rows(const RowCounts& rows) const {
    const auto found = std::find(row_counts_.begin(), row_counts_.end(), rows);
    LACUNA_CHECK(found != row_counts_.end(), "rows that the recorded graph does not have");
    return static_cast<size_t>(found - row_counts_.begin());
  }

  size_t value_of(const Tensor& tensor) const {
    return first_value_.at(tensor.node().get()) + static_cast<size_t>(tensor.output());
  }

  size_t new_value(const Spec& spec, size_t root) {
    plan_.values.push_back({.spec = spec});
    roots_.push_back(root == never ? plan_.values.size() - 1 : root);
    return plan_.values.size() - 1;
  }

  void add_node(const NodePointer& node) {
    first_value_[node.get()] = plan_.values.size();
    if (node->operation == nullptr) {
      Plan::Value& value = plan_.values[new_value(node->outputs[0], never)];
      if (node->state != nullptr) {
        value.place = Plan::Value::Place::state;
        value.state = node->state;
      } else {
        value.place = Plan::Value::Place::leaf;
        value.leaf = leaf_number_.at(node.get());
      }
      return;
    }
    if (node->operation->kind == Operation::Kind::view) {
      const size_t source = value_of(node->inputs[0]);
      const size_t value = new_value(node->outputs[0], roots_[source]);
      plan_.values[value].offset =
          plan_.values[source].offset +
          static_cast<size_t>(node->view_offset) * size_of(node->outputs[0].dtype);
      return;
    }
    Plan::Step step;
    step.operation = node->operation;
    step.attributes = node->attributes;
    step.communicator = node->communicator;
    if (node->rows != nullptr) step.rows = number_of_rows(node->rows);
    for (const Tensor& input : node->inputs) step.inputs.push_back(value_of(input));
    for (const Spec& output : node->outputs) step.outputs.push_back(new_value(output, never));
    if (node->operation->kind == Operation::Kind::kernel) {
      step.kernel = device_.find(node->operation->name, node->inputs[0].dtype());
    }
    step_of_[node.get()] = plan_.steps.size();
    plan_.steps.push_back(std::move(step));
  }

  void mark_forward(const Tensor& first_output) {
    if (!first_output.defined()) return;
    for (const NodePointer& node : in_order({first_output})) {
      if (const auto found = step_of_.find(node.get()); found != step_of_.end()) {
        plan_.steps[found->second].forward = true;
      }
    }
  }

  void add_changes(const std::vector<Update>& updates) {
    for (const Update& update : updates) {
      Plan::Change change;
      change.operation = update.operation;
      change.communicator = update.communicator;
      if (update.operation->kind != Operation::Kind::collective) {
        const DType dtype = update.inputs.at(0).dtype();
        change.kernel = device_.find(update.operation->name, dtype);
        LACUNA_CHECK(change.kernel != nullptr, "no kernel for update \"", update.operation->name,
                     "\" of ", name_of(dtype));
      }
      change.attributes = update.attributes;
      change.targets = update.targets;
      for (const Tensor& input : update.inputs)
        change.inputs.push_back(value_of(lowering_.lower(input)));
      plan_.changes.push_back(std::move(change));
    }
  }

  // A collective is waited for by the first step that reads what it brings.
  void find_waits() {
    std::unordered_map<size_t, size_t> pending;  // root value -> collective step
    arrival_.assign(plan_.steps.size(), never);
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      Plan::Step& step = plan_.steps[s];
      for (const size_t input : step.inputs) {
        if (const auto found = pending.find(roots_[input]); found != pending.end()) {
          const size_t collective = found->second;
          step.wait_for.push_back(collective);
          arrival_[collective] = s;
          std::erase_if(pending, [&](const auto& entry) { return entry.second == collective; });
        }
      }
      if (step.operation->kind == Operation::Kind::collective) {
        for (const size_t output : step.outputs) pending[roots_[output]] = s;
      }
    }
  }

  // last_use_[root] = the last step that needs it; `never` = the end of the run.
  void find_lifetimes(const std::vector<Tensor>& wanted) {
    last_use_.assign(plan_.values.size(), 0);
    const auto use = [&](size_t value, size_t step) {
      size_t& last = last_use_[roots_[value]];
      last = std::max(last, step);
    };
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const Plan::Step& step = plan_.steps[s];
      const bool collective = step.operation->kind == Operation::Kind::collective;
      const size_t until = collective ? arrival_[s] : s;
      for (const size_t input : step.inputs) use(input, until);
      for (const size_t output : step.outputs) use(output, until);
    }
    for (const Tensor& tensor : wanted) use(value_of(tensor), never);
  }

  bool in_arena(size_t value) const {
    return roots_[value] == value && plan_.values[value].place == Plan::Value::Place::arena;
  }

  size_t bytes_of(size_t value) const {
    const Spec& spec = plan_.values[value].spec;
    return static_cast<size_t>(spec.shape.count()) * size_of(spec.dtype);
  }

  // The input whose memory output 0 of this step takes over, if any: of as many elements of the
  // same type, since a kernel in place writes an element where it has read that very one.
  size_t reusable_input(const Plan::Step& step, size_t s) const {
    if (options_.eager || !step.operation->in_place) return never;
    const Spec& output = plan_.values[step.outputs[0]].spec;
    for (const size_t input : step.inputs) {
      const Spec& spec = plan_.values[input].spec;
      const bool alike = spec.dtype == output.dtype && spec.shape.count() == output.shape.count();
      if (alike && in_arena(input) && last_use_[input] == s) return input;
    }
    return never;
  }

  void place() {
    ArenaOffsets offsets;
    std::vector<std::vector<size_t>> dying(plan_.steps.size());
    for (size_t value = 0; value < plan_.values.size(); ++value) {
      if (in_arena(value) && last_use_[value] != never) dying[last_use_[value]].push_back(value);
    }
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const Plan::Step& step = plan_.steps[s];
      const size_t reused = reusable_input(step, s);
      for (size_t i = 0; i < step.outputs.size(); ++i) {
        const size_t output = step.outputs[i];
        plan_.unshared_bytes += ArenaOffsets::rounded(bytes_of(output));
        if (i == 0 && reused != never) {
          plan_.values[output].offset = plan_.values[reused].offset;
          std::erase(dying[s], reused);
        } else {
          plan_.values[output].offset = offsets.take(bytes_of(output));
        }
      }
      if (options_.eager) continue;
      for (const size_t value : dying[s])
        offsets.give_back(plan_.values[value].offset, bytes_of(value));
    }
    plan_.arena_bytes = offsets.end();
    // Views lie at their offset from the root.
    for (size_t value = 0; value < plan_.values.size(); ++value) {
      const size_t root = roots_[value];
      if (root == value) continue;
      Plan::Value& view = plan_.values[value];
      const Plan::Value& source = plan_.values[root];
      view.place = source.place;
      view.leaf = source.leaf;
      view.state = source.state;
      if (source.place == Plan::Value::Place::arena) view.offset += source.offset;
    }
  }

  const Device& device_;
  PlanOptions options_;
  Lowering lowering_;
  Plan plan_;
  std::unordered_map<const Node*, size_t> leaf_number_;
  std::vector<RowCounts> row_counts_;
  std::unordered_map<const Node*, size_t> first_value_;
  std::unordered_map<const Node*, size_t> step_of_;
  std::vector<size_t> roots_;    // value -> the value whose memory it is a view of (itself if none)
  std::vector<size_t> arrival_;  // collective step -> the step that waits for it
  std::vector<size_t> last_use_;
};

template <typename T>
void append(std::string& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void append_attributes(std::string& bytes, const Attributes& attributes) {
  append(bytes, attributes.id());
  append(bytes, attributes.bytes().size());
  bytes += attributes.bytes();
}

void append_spec(std::string& bytes, const Spec& spec) {
  append(bytes, spec.dtype);
  append(bytes, int64_t{spec.shape.rank()});
  for (const int64_t size : spec.shape.sizes()) append(bytes, size);
}

}  // namespace

std::vector<RowCounts> row_counts_of(const std::vector<NodePointer>& order) {
  std::vector<RowCounts> all;
  for (const NodePointer& node : order) {
    if (node->rows == nullptr || std::find(all.begin(), all.end(), node->rows) != all.end())
      continue;
    all.push_back(node->rows);
  }
  return all;
}

std::string signature(const std::vector<NodePointer>& order, const std::vector<Tensor>& outputs,
                      const std::vector<Update>& updates) {
  std::string bytes;
  bytes.reserve(order.size() * 128);
  std::unordered_map<const Node*, size_t> number;
  const std::vector<RowCounts> row_counts = row_counts_of(order);
  const auto append_tensor = [&](const Tensor& tensor) {
    append(bytes, number.at(tensor.node().get()));
    append(bytes, int64_t{tensor.output()});
  };
  for (const NodePointer& node : order) {
    number.emplace(node.get(), number.size());
    append(bytes, node->operation);
    append(bytes, node->state);
    append(bytes, node->communicator);
    append(bytes, node->view_offset);
    if (node->rows != nullptr)  // which, not how many
      append(bytes,
             std::find(row_counts.begin(), row_counts.end(), node->rows) - row_counts.begin());
    append(bytes, node->name.size());
    if (node->state == nullptr) bytes += node->name;
    append_attributes(bytes, node->attributes);
    append(bytes, node->outputs.size());
    for (const Spec& spec : node->outputs) append_spec(bytes, spec);
    append(bytes, node->inputs.size());
    for (const Tensor& input : node->inputs) append_tensor(input);
  }
  append(bytes, outputs.size());
  for (const Tensor& output : outputs) append_tensor(output);
  for (const Update& update : updates) {
    append(bytes, update.operation);
    append(bytes, update.communicator);
    append_attributes(bytes, update.attributes);
    append(bytes, update.inputs.size());
    for (const Tensor& input : update.inputs) append_tensor(input);
    append(bytes, update.targets.size());
    for (const State* target : update.targets) append(bytes, target);
  }
  return bytes;
}

Plan make_plan(const std::vector<NodePointer>& order, const std::vector<Tensor>& outputs,
               const std::vector<Update>& updates, const Device& device,
               const PlanOptions& options) {
  return Planner(device, options).plan(order, outputs, updates);
}

}  // namespace lacuna
