// The task "classify": classes, by an encoder with a linear layer, trained by cross entropy.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> classify_keys();
std::unique_ptr<NetworkTask> make_classify(const TaskParts& parts);

}  // namespace lacuna
