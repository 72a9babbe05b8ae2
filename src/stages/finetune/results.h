// The result of finetune: result.json and the line RESULT (docs/formats.md).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/configuration.h"
#include "stages/finetune/trials.h"
#include "tasks/list.h"

namespace lacuna {

// One line of JSON, of the results of all draws. `class_names`: of each class, where these have
// other names than their numbers.
std::string result_text(const Configuration& configuration, const TaskEntry& task,
                        const std::vector<std::string>& class_names,
                        const std::vector<TrialResult>& draws, const std::filesystem::path& from,
                        int64_t step);

}  // namespace lacuna
