// ForwardContext: what one forward pass is recorded with, and what it leaves to be done after the
// step.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "graph/state.h"
#include "graph/tensor.h"

namespace lacuna {

// A change of State, made after everything else of the step has been computed, in recorded order.
// The kernel's outputs are the targets' memory; it may read it first (an optimizer does). A
// collective's too: it sees what was changed before, and has arrived before the next change that is
// none.
struct Update {
  const Operation* operation = nullptr;
  std::vector<Tensor> inputs;
  std::vector<State*> targets;
  Attributes attributes;
  Communicator* communicator = nullptr;  // of collectives
};

// The rows of one stream in a step.
struct StreamRows {
  std::vector<int64_t> counts;           // that each rank holds; entries may differ
  std::span<const SampleKey> keys = {};  // which samples this rank's are; memory of the batch
};

struct ForwardContext {
  Communicator& communicator;
  bool training = true;
  // Type of activations: f64 on the reference device, f32 or bf16 on others.
  DType compute = DType::f32;
  // Type of parameters and losses: f64 on the reference device, else f32.
  DType parameters = DType::f32;
  // Rows of the global batch that each rank holds, of the first stream; one entry per rank, entries
  // may differ.
  std::vector<int64_t> rows;
  // Statistics over the global batch (default) or over this rank's rows only.
  bool synchronise_statistics = true;

  // Of a stream by its name; "" is the first. A name that the step does not have is a defect.
  const std::vector<int64_t>& rows_of(const std::string& name) const {
    return name.empty() ? rows : further(name).counts;
  }
  std::span<const SampleKey> keys_of(const std::string& name) const {
    return name.empty() ? keys : further(name).keys;
  }
  int64_t global_rows(const std::string& name = "") const {
    const std::vector<int64_t>& all = rows_of(name);
    return std::accumulate(all.begin(), all.end(), int64_t{0});
  }
  // Where this rank's rows begin in the global batch: a leaf i64 [], so that the plan stays the
  // same where other ranks hold other numbers of rows.
  Tensor first_row(const std::string& name = "") {
    const std::vector<int64_t>& all = rows_of(name);
    const int64_t& kept = places.emplace_back(
        std::accumulate(all.begin(), all.begin() + communicator.rank(), int64_t{0}));
    return host_leaf(concat("first_row", name), DType::i64, Shape{}, &kept);
  }
  // The numbers of this rank's rows in the global batch, one after the other: a leaf i64 [rows].
  Tensor row_numbers(const std::string& name = "");

  // Draws of layers: uniform in [0, 1), one per row of this rank, as `value` maps them, P [rows]. A
  // function of (seed, epoch, sample; purpose; view; how many draws of the view were recorded
  // before), never of a row's place in the batch, which changes with the number of ranks. The leaf
  // has the same name from step to step, so the plan stays.
  Tensor per_row(const std::string& name, Purpose purpose,
                 const std::function<double(double)>& value);
  // Many draws for each row of this rank: P [rows] + shape, uniform in [0, 1) or standard normal,
  // as `value` maps them. A function of the same, and of the element's place within `shape`,
  // outermost axis first: what stands before padding of that axis does not depend on its length.
  enum class Distribution { uniform, normal };
  Tensor per_element(const std::string& name, Purpose purpose, const Shape& shape,
                     Distribution distribution, const std::function<double(double)>& value);
  // Whether layers draw: in training, and not in a teacher, whose output is what others must match.
  bool draws() const { return training && !without_draws; }
  // Which samples this rank's rows are, in which epoch; memory of the batch. Needed where layers
  // draw.
  std::span<const SampleKey> keys = {};
  // Which rows the layers see, and which view of their samples: an objective sets both before it
  // calls them, so that what is drawn for a view does not depend on the views before it.
  std::string stream = {};  // a further stream's name; "" is the first
  int view = 0;
  bool without_draws = false;

  // Values that change from step to step (learning rate, a teacher's momentum): leaves of f64 [],
  // so that the plan stays the same.
  Tensor value(const std::string& name, double v) {
    const double& kept = values.emplace_back(v);
    return host_leaf(name, DType::f64, Shape{}, &kept);
  }

  // Whether this is the last micro-batch of a step whose gradients are accumulated over
  // micro-batches: what happens once a step (a teacher's update) is recorded with it.
  bool last_micro_batch = true;
  // Further streams of the step, by their names.
  std::map<std::string, StreamRows> streams = {};
  // Of how many micro-batches it is one.
  int64_t micro_batches = 1;
  // What was divided by counts that each micro-batch has others of (nn/loss.h): gradients of a loss
  // that is made of it do not add up to those of the batch.
  std::vector<Tensor> divided = {};
  // The loss and the count over all ranks, f64 [], that the sum of the micro-batches' losses is
  // still to be divided by; undefined: none.
  Tensor undivided = {}, undivided_count = {};
  // Share of the training that is done, in [0, 1]: schedules of an objective's own follow it.
  double progress = 0;

  // Shares of figures to watch, by name: f64 [], summed over ranks and written with the loss.
  std::vector<std::pair<std::string, Tensor>> metrics = {};
  std::vector<Update> updates = {};
  std::deque<double> values = {};  // addresses stay valid
  std::deque<int64_t> places = {};
  std::deque<std::vector<int64_t>> numbers = {};
  std::deque<HostTensor> drawn = {};
  // Of per_row and per_element, by stream and view.
  std::map<std::pair<std::string, int>, uint64_t> calls = {};

 private:
  const StreamRows& further(const std::string& name) const {
    const auto found = streams.find(name);
    LACUNA_CHECK(found != streams.end(), "the step has no stream ", name);
    return found->second;
  }
};

}  // namespace lacuna
