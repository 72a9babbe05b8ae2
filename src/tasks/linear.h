// The task "linear": the linear probe, logistic regression on fixed representations, each feature
// of which is brought to mean 0 and deviation 1 first.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> linear_keys();
std::unique_ptr<ProbeTask> make_linear(const TaskParts& parts);

}  // namespace lacuna
