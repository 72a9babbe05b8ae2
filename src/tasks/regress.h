// The task "regress": real values, by an encoder with a linear layer, trained by squared error.
// Each value is learned as its distance from the mean over the labelled samples, in standard
// deviations, so that neither units nor offset matter.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> regress_keys();
std::unique_ptr<NetworkTask> make_regress(const TaskParts& parts);

}  // namespace lacuna
