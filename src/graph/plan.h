// Plan: how a recorded graph is executed on one device — each node's kernel, where each value lies
// in one arena, and when each collective must have arrived. Made once per signature of a graph.
#pragma once

#include <string>
#include <vector>

#include "backend/device.h"
#include "graph/forward_context.h"
#include "graph/tensor.h"

namespace lacuna {

struct PlanOptions {
  // Node by node: no shared memory between values, and every operation that can be composed of
  // simpler ones is. What `--eager` runs; results agree up to rounding.
  bool eager = false;
};

struct Plan {
  // Where a value lies.
  struct Value {
    enum class Place { arena, leaf, state };
    Place place = Place::arena;
    Spec spec;
    size_t offset = 0;  // bytes from the start of the arena or of the leaf
    size_t leaf = 0;    // index among the graph's host leaves
    const State* state = nullptr;
  };
  static constexpr size_t no_rows = static_cast<size_t>(-1);
  struct Step {
    const Operation* operation = nullptr;
    Kernel kernel = nullptr;  // nullptr for collectives
    std::vector<size_t> inputs;
    std::vector<size_t> outputs;
    Attributes attributes;
    Communicator* communicator = nullptr;
    size_t rows = no_rows;         // of collectives over rows: index into row_counts_of()
    std::vector<size_t> wait_for;  // steps whose collective must have arrived first
    bool forward = false;          // the first output depends on it
    double seconds = 0;            // spent here so far, for the accounting
  };
  struct Change {
    const Operation* operation = nullptr;
    Kernel kernel = nullptr;  // nullptr for collectives
    std::vector<size_t> inputs;
    std::vector<State*> targets;
    Attributes attributes;
    Communicator* communicator = nullptr;
  };

  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Change> changes;
  std::vector<size_t> outputs;  // values
  size_t arena_bytes = 0;
  size_t unshared_bytes = 0;  // what the arena would need if no two values shared memory
};

// The row counts in a graph, each once, in the order of the nodes that have them first.
std::vector<RowCounts> row_counts_of(const std::vector<NodePointer>& order);

// Equal exactly for graphs that the same plan can run.
std::string signature(const std::vector<NodePointer>& order, const std::vector<Tensor>& outputs,
                      const std::vector<Update>& updates);

// `order` is in_order() of the outputs and of the updates' inputs. An operation that the device can
// neither run nor compose is a bad_input Error that names operation, device, dtype and remedy.
Plan make_plan(const std::vector<NodePointer>& order, const std::vector<Tensor>& outputs,
               const std::vector<Update>& updates, const Device& device,
               const PlanOptions& options);

}  // namespace lacuna
