// The task "tag": of each class whether a sample is of it (several labels of a sample), by an
// encoder with a linear layer, trained by binary cross entropy.
#pragma once

#include "tasks/task.h"

namespace lacuna {

std::vector<Key> tag_keys();
std::unique_ptr<NetworkTask> make_tag(const TaskParts& parts);

}  // namespace lacuna
