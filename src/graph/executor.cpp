#include "graph/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "graph/differentiate.h"
#include "graph/staging.h"

namespace lacuna {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool is_host_leaf(const Node& node) { return node.operation == nullptr && node.state == nullptr; }

size_t bytes_of(const Spec& spec) {
  return static_cast<size_t>(spec.shape.count()) * size_of(spec.dtype);
}

// Gives back before it takes more.
void ensure(DeviceMemory& memory, Device& device, size_t bytes) {
  if (bytes <= memory.bytes()) return;
  memory = DeviceMemory();
  memory = DeviceMemory(device, bytes);
}

void add_times(const Plan& plan, std::map<std::string, double>& times) {
  for (const Plan::Step& step : plan.steps)
    times[std::string(step.operation->name)] += step.seconds;
}

}  // namespace

void Executor::drop_oldest_plan() {
  const auto oldest =
      std::min_element(plans_.begin(), plans_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  add_times(*oldest->second.plan, times_of_dropped_plans_);
  plans_.erase(oldest);
}

Executor::Kept& Executor::plan_for(const std::vector<Tensor>& outputs,
                                   const std::vector<Update>& updates) {
  std::vector<Tensor> wanted = outputs;
  for (const Update& update : updates) {
    wanted.insert(wanted.end(), update.inputs.begin(), update.inputs.end());
  }
  const std::vector<NodePointer> order = in_order(wanted);
  leaves_.clear();
  for (const NodePointer& node : order) {
    if (is_host_leaf(*node)) leaves_.push_back(node->host);
  }
  row_counts_ = row_counts_of(order);
  if (!device_.reads_host_memory()) upload_leaves(order);
  std::string key = signature(order, outputs, updates);
  auto kept = plans_.find(key);
  if (kept == plans_.end()) {
    if (plans_.size() == plans_at_once) drop_oldest_plan();
    auto made = std::make_unique<Plan>(make_plan(order, outputs, updates, device_, options_));
    kept = plans_.emplace(std::move(key), Kept{std::move(made), 0, {}}).first;
    ++plans_made_;
  }
  kept->second.used = ++runs_;
  return kept->second;
}

// Replaces the leaves' addresses by those of their copies, which travel as one block.
void Executor::upload_leaves(const std::vector<NodePointer>& order) {
  constexpr size_t alignment = 256;
  std::vector<size_t> sizes;
  std::vector<size_t> places;
  size_t end = 0;
  for (const NodePointer& node : order) {
    if (!is_host_leaf(*node)) continue;
    sizes.push_back(bytes_of(node->outputs[0]));
    places.push_back(end);
    // An empty leaf has an address too, as in the arena: kernels may hand it to memcpy.
    end += std::max<size_t>(1, (sizes.back() + alignment - 1) / alignment) * alignment;
  }
  if (uploads_ == nullptr) uploads_ = device_.make_uploads();
  char* block = static_cast<char*>(uploads_->fill(end));
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (sizes[i] > 0) std::memcpy(block + places[i], leaves_[i], sizes[i]);
  }
  const char* sent = static_cast<const char*>(uploads_->send());
  for (size_t i = 0; i < leaves_.size(); ++i) leaves_[i] = sent + places[i];
}

void* Executor::address(const Plan::Value& value) const {
  char* base = nullptr;
  switch (value.place) {
    case Plan::Value::Place::arena:
      base = static_cast<char*>(arena_.data());
      break;
    case Plan::Value::Place::state:
      base = static_cast<char*>(value.state->data());
      break;
    case Plan::Value::Place::leaf:
      base = const_cast<char*>(
          static_cast<const char*>(leaves_[value.leaf]));  // kernels only read inputs
      break;
  }
  return base + value.offset;
}

View Executor::view(size_t value) const {
  const Plan::Value& v = current_->values[value];
  return {address(v), v.spec.dtype, v.spec.shape};
}

void Executor::prepare(const std::vector<Tensor>& outputs, const std::vector<Update>& updates) {
  const double start = now();
  prepared_ = &plan_for(outputs, updates);
  times_.plan += now() - start;
}

void Executor::start() {
  LACUNA_CHECK(prepared_ != nullptr);
  Kept& kept = *std::exchange(prepared_, nullptr);
  current_ = kept.plan.get();
  if (current_->arena_bytes > arena_.bytes()) {
    for (auto& [other, each] : plans_)
      for (auto& [rows, recordings] : each.recordings)
        recordings.replays.clear();  // of the arena that goes
    ensure(arena_, device_, current_->arena_bytes);
  }
  if (!observer_ && run_again(kept)) return;
  run_steps(*current_);
  run_changes(*current_);
}

// All that a run does happens on the device's memory.
bool Executor::can_be_captured(const Plan& plan) const {
  const auto stays_there = [&](const auto& step) {
    return step.kernel != nullptr || device_.communicator(*step.communicator) != nullptr;
  };
  return !device_.reads_host_memory() &&
         std::all_of(plan.steps.begin(), plan.steps.end(), stays_there) &&
         std::all_of(plan.changes.begin(), plan.changes.end(), stays_there);
}

RowCounts Executor::rows_of(const Plan::Step& step) const {
  return step.rows == Plan::no_rows ? nullptr : row_counts_.at(step.rows);
}

// The row counts of the run, one behind the other; -1 for those that are as the ones before.
std::vector<int64_t> Executor::division() const {
  std::vector<int64_t> all;
  for (size_t i = 0; i < row_counts_.size(); ++i) {
    const std::vector<int64_t>& rows = *row_counts_[i];
    if (i > 0 && rows == *row_counts_[i - 1])
      all.push_back(-1);
    else
      all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

// The recordings used longest ago go; their rows must return as often as new ones until they are
// recorded again, so that divisions that hardly return cost no more than a run without recording.
void Executor::make_room_for_recordings() {
  size_t count = 0;
  Recordings* oldest = nullptr;
  for (auto& [key, kept] : plans_) {
    for (auto& [rows, recordings] : kept.recordings) {
      if (recordings.replays.empty()) continue;
      ++count;
      if (oldest == nullptr || recordings.used < oldest->used) oldest = &recordings;
    }
  }
  if (count < recordings_at_once) return;
  oldest->replays.clear();
  oldest->runs = 0;
}

void Executor::forget_divisions(Kept& kept) {
  if (kept.recordings.size() <= divisions_counted) return;
  std::erase_if(kept.recordings, [](const auto& each) { return each.second.replays.empty(); });
}

// As a capture, once the first runs have made all that is made once (the library's plans,
// scratch). What differs from run to run, the leaves, has been sent before.
bool Executor::run_again(Kept& kept) {
  constexpr uint64_t first_captured = 3;
  if (!can_be_captured(*kept.plan)) return false;
  Recordings& of_rows = kept.recordings[division()];
  of_rows.used = runs_;
  if (++of_rows.runs < first_captured) {
    forget_divisions(kept);
    return false;
  }
  const double start = now();
  const void* leaves = leaves_.empty() ? nullptr : leaves_.front();
  if (of_rows.replays.empty()) make_room_for_recordings();
  std::unique_ptr<Replay>& replay = of_rows.replays[{arena_.data(), leaves}];
  if (replay == nullptr || !replay->is_valid()) {
    replay = device_.capture([&] {
      run_steps(*kept.plan);
      run_changes(*kept.plan);
    });
  }
  if (replay == nullptr) return false;
  replay->run();
  times_.forward += now() - start;
  return true;
}

// On the memory where the operands are, if there is something that reaches it, else by way of the
// host's.
Request Executor::start_collective(const Operation& operation, Communicator& communicator,
                                   const RowCounts& counts, const Call& call) {
  std::span<const int64_t> rows;
  if (counts != nullptr) rows = *counts;
  if (device_.reads_host_memory()) return operation.start(communicator, call, rows);
  if (Communicator* there = device_.communicator(communicator))
    return operation.start(*there, call, rows);
  return start_staged(operation, communicator, call, rows, device_);
}

void Executor::run_steps(Plan& plan) {
  requests_.clear();
  requests_.resize(plan.steps.size());
  std::vector<View> in;
  std::vector<View> out;
  double last = now();
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    Plan::Step& step = plan.steps[s];
    if (!step.wait_for.empty()) {
      for (const size_t collective : step.wait_for) requests_[collective].wait();
      const double t = now();
      times_.communicate += t - last;
      last = t;
    }
    in.clear();
    out.clear();
    for (const size_t value : step.inputs) in.push_back(view(value));
    for (const size_t value : step.outputs) out.push_back(view(value));
    const Call call{in, out, step.attributes, device_.context()};
    if (step.kernel != nullptr) {
      step.kernel(call);
    } else {
      requests_[s] = start_collective(*step.operation, *step.communicator, rows_of(step), call);
    }
    if (observer_) observer_(*step.operation, call);
    const double t = now();
    step.seconds += t - last;
    (step.forward ? times_.forward : times_.backward) += t - last;
    last = t;
  }
  for (Request& request : requests_) request.wait();
  times_.communicate += now() - last;
}

void Executor::run_changes(const Plan& plan) {
  double last = now();
  std::vector<Request> requests;
  const auto wait = [&] {
    if (requests.empty()) return;
    times_.update += now() - last;
    last = now();
    for (Request& request : requests) request.wait();
    requests.clear();
    times_.communicate += now() - last;
    last = now();
  };
  std::vector<View> in;
  std::vector<View> out;
  for (const Plan::Change& change : plan.changes) {
    in.clear();
    out.clear();
    for (const size_t value : change.inputs) in.push_back(view(value));
    for (State* target : change.targets)
      out.push_back({target->data(), target->dtype(), target->shape()});
    const Call call{in, out, change.attributes, device_.context()};
    if (change.kernel != nullptr) {
      wait();
      change.kernel(call);
    } else {
      requests.push_back(start_collective(*change.operation, *change.communicator, nullptr, call));
    }
    if (observer_) observer_(*change.operation, call);
  }
  wait();
  times_.update += now() - last;
}

HostTensor Executor::output(size_t i) const {
  const View v = view(current_->outputs.at(i));
  HostTensor host(v.dtype, v.shape);
  device_.copy_out(host.data(), v.data, host.bytes());
  return host;
}

double Executor::scalar(size_t i) const {
  const HostTensor host = output(i);
  LACUNA_CHECK(host.shape().count() == 1);
  switch (host.dtype()) {
    case DType::f64:
      return host.as<double>()[0];
    case DType::f32:
      return static_cast<double>(host.as<float>()[0]);
    default:
      LACUNA_CHECK(false, "scalar of ", name_of(host.dtype()));
  }
  return 0;
}

std::map<std::string, double> Executor::times_by_operation() const {
  std::map<std::string, double> times = times_of_dropped_plans_;
  for (const auto& [key, kept] : plans_) add_times(*kept.plan, times);
  return times;
}

}  // namespace lacuna
