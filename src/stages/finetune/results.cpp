#include "stages/finetune/results.h"

#include <algorithm>

#include "base/json.h"
#include "tasks/interval.h"

namespace lacuna {

namespace {

// Those of a score in all draws; none where a draw lacks it.
std::vector<Score> found_in_all(const std::vector<TrialResult>& draws, const std::string& name) {
  std::vector<Score> found;
  for (const TrialResult& draw : draws) {
    for (const Score& score : draw.test)
      if (score.name == name) found.push_back(score);
  }
  if (found.size() != draws.size()) found.clear();
  return found;
}

// Of several draws Student's t over them, else what the bootstrap over the test samples gave.
Score over_draws(const std::vector<Score>& draws) {
  std::vector<double> values;
  for (const Score& draw : draws) values.push_back(draw.value);
  const Mean mean = mean_of(values);
  return {draws[0].name, draws[0].better, mean.value,
          draws.size() > 1 ? mean.interval : draws[0].interval};
}

}  // namespace

std::string result_text(const Configuration& configuration, const TaskEntry& task,
                        const std::vector<std::string>& class_names,
                        const std::vector<TrialResult>& draws, const std::filesystem::path& from,
                        int64_t step) {
  std::vector<double> main_scores, chosen;
  for (const TrialResult& draw : draws) {
    main_scores.push_back(draw.test.empty() ? TrialResult::none : draw.test[0].value);
    chosen.push_back(draw.chosen);
  }
  JsonObject scores;
  std::string main_score;
  Direction better = Direction::higher;
  for (const Score& first : draws[0].test) {
    const std::vector<Score> found = found_in_all(draws, first.name);
    if (found.empty()) continue;
    const Score score = over_draws(found);
    scores.add(score.name, JsonObject()
                               .add("value", score.value)
                               .add("low", score.interval.low)
                               .add("high", score.interval.high)
                               .add("better", name_of(score.better)));
    if (!main_score.empty()) continue;
    main_score = score.name;
    better = score.better;
  }
  JsonObject result;
  result.add("task", configuration.text("task.name"));
  if (task.targets == TargetType::classes) result.add("accuracy", mean_of(main_scores).value);
  if (!class_names.empty()) result.add("classes", class_names);
  return result.add("draws", main_scores)
      .add("chosen", chosen)
      .add("labels", configuration.number("task.labels"))
      .add("from", from.string())
      .add("step", step)
      .add("score", main_score)
      .add("better", name_of(better))
      .add("interval",
           draws.size() > 1 ? "Student's t over the draws" : "bootstrap over the test samples")
      .add("scores", scores)
      .text();
}

}  // namespace lacuna
