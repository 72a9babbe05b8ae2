// Executor: runs recorded graphs on one device, and keeps their plans.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "graph/plan.h"
#include "graph/recording.h"

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
  void run(const std::vector<Tensor>& outputs, const std::vector<Update>& updates = {});

  // Output i of the last run, on the host.
  HostTensor output(size_t i) const;
  // Output i of the last run as one number.
  double scalar(size_t i) const;

  const StepTimes& times() const { return times_; }
  // Seconds by operation, over all plans.
  std::map<std::string, double> times_by_operation() const;
  size_t plan_count() const { return plans_.size(); }
  // Of the last run's plan.
  const Plan& plan() const { return *current_; }

 private:
  Plan& plan_for(const std::vector<Tensor>& outputs, const std::vector<Update>& updates);
  void* address(const Plan::Value& value) const;
  View view(size_t value) const;
  void run_steps(Plan& plan);
  void run_changes(const Plan& plan);

  Device& device_;
  PlanOptions options_;
  std::unordered_map<std::string, std::unique_ptr<Plan>> plans_;
  Plan* current_ = nullptr;
  DeviceMemory arena_;
  std::vector<const void*> leaves_;
  std::vector<Request> requests_;  // by step
  StepTimes times_;
};

}  // namespace lacuna
