// Executor: runs recorded graphs on one device, and keeps their plans.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "graph/forward_context.h"
#include "graph/plan.h"

namespace lacuna {

// Where the time of steps went, in seconds; sums since the executor was made.
struct StepTimes {
  double plan = 0;  // signature and planning
  double forward = 0;
  double backward = 0;
  double communicate = 0;  // waiting for collectives
  double update = 0;
};

class Executor {
 public:
  explicit Executor(Device& device, PlanOptions options = {})
      : device_(device), options_(options) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Computes outputs and then makes the updates, in order. `outputs[0]`, if there are several, is
  // the loss: what it depends on counts as forward.
  void run(const std::vector<Tensor>& outputs, const std::vector<Update>& updates = {}) {
    prepare(outputs, updates);
    start();
  }
  // run() in two parts. prepare() plans and sends the leaves: what ran last may still be running,
  // and its outputs are there until start(). A device that reads the host's memory reads the leaves
  // in start().
  void prepare(const std::vector<Tensor>& outputs, const std::vector<Update>& updates);
  void start();

  // Output i of the last run, on the host.
  HostTensor output(size_t i) const;
  // Output i of the last run as one number.
  double scalar(size_t i) const;

  // Told of each kernel and collective of a run behind its start, updates included, in the device's
  // order: for profiles. Runs are not recorded while there is an observer; none: {}.
  using Observer = std::function<void(const Operation& operation, const Call& call)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  const StepTimes& times() const { return times_; }
  // Seconds by operation, over all plans.
  std::map<std::string, double> times_by_operation() const;
  // Plans made so far, those that gave way to others included.
  size_t plan_count() const { return plans_made_; }
  size_t plans_kept() const { return plans_.size(); }
  // Of the last run's plan.
  const Plan& plan() const { return *current_; }

 private:
  // Of a plan's runs with the same row counts, which a capture holds.
  struct Recordings {
    uint64_t used = 0;  // the run that used it last
    uint64_t runs = 0;
    // By where arena and leaves lie: a capture holds their addresses.
    std::map<std::pair<const void*, const void*>, std::unique_ptr<Replay>> replays;
  };
  struct Kept {
    std::unique_ptr<Plan> plan;
    uint64_t used = 0;                                      // the run that used it last
    std::map<std::vector<int64_t>, Recordings> recordings;  // by division()
  };
  void drop_oldest_plan();
  RowCounts rows_of(const Plan::Step& step) const;
  std::vector<int64_t> division() const;
  void make_room_for_recordings();
  static void forget_divisions(Kept& kept);
  Kept& plan_for(const std::vector<Tensor>& outputs, const std::vector<Update>& updates);
  void upload_leaves(const std::vector<NodePointer>& order);
  void* address(const Plan::Value& value) const;
  View view(size_t value) const;
  Request start_collective(const Operation& operation, Communicator& communicator,
                           const RowCounts& rows, const Call& call);
  bool can_be_captured(const Plan& plan) const;
  bool run_again(Kept& kept);
  void run_steps(Plan& plan);
  void run_changes(const Plan& plan);

  Device& device_;
  PlanOptions options_;
  // The plans used last, at most plans_at_once: ranks with uneven numbers of rows have a few that
  // return, and none of many more may fill the memory. So with recordings, of which there are as
  // many as there are divisions of rows over all ranks that return.
  static constexpr size_t plans_at_once = 32;
  static constexpr size_t recordings_at_once = 32;
  static constexpr size_t divisions_counted = 1024;  // of a plan's rows, to see which return
  std::unordered_map<std::string, Kept> plans_;
  size_t plans_made_ = 0;
  uint64_t runs_ = 0;
  std::map<std::string, double> times_of_dropped_plans_;
  Observer observer_;
  Plan* current_ = nullptr;
  Kept* prepared_ = nullptr;
  DeviceMemory arena_;
  std::unique_ptr<Uploads>
      uploads_;  // of the leaves, where the device does not read the host's memory
  std::vector<const void*> leaves_;
  std::vector<RowCounts> row_counts_;
  std::vector<Request> requests_;  // by step
  StepTimes times_;
};

}  // namespace lacuna
