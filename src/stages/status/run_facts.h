// What a run's folder tells without reading its checkpoints, also while the run works.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace lacuna {

// The last whole line of metrics.jsonl; "" where there is none.
std::string last_metrics(const std::filesystem::path& run);

// A number of a line of metrics.jsonl or of result.json, which are ours and flat.
std::optional<double> number_in(const std::string& line, const std::string& name);

}  // namespace lacuna
