// What a run's folder tells without reading its checkpoints, also while the run works.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lacuna {

// The last whole line of metrics.jsonl; "" where there is none.
std::string last_metrics(const std::filesystem::path& run);

// A number of a line of metrics.jsonl or of result.json, which are ours and flat.
std::optional<double> number_in(const std::string& line, const std::string& name);

// The scores that a result.json of finetune names, the main one first; none in one that earlier
// versions have written, or in another text.
struct ScoreFact {
  std::string name;          // "accuracy"
  double value = 0;          // NaN where it is not finite
  double low = 0, high = 0;  // of its interval; likewise
  std::string better;        // "higher", "lower"
};
std::vector<ScoreFact> scores_in(const std::string& result);

}  // namespace lacuna
