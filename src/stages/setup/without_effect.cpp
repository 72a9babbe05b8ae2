#include "stages/setup/without_effect.h"

#include <algorithm>

#include "base/text.h"
#include "stages/keys/parts.h"
#include "tasks/list.h"

namespace lacuna {

namespace {

using Sentences = std::vector<std::string>;

// Adds a sentence if the configuration gives one of the keys; "optimizer." stands for all of a
// section.
void tell(Sentences& sentences, const Configuration& configuration,
          const std::vector<std::string>& keys, const std::string& why) {
  std::vector<std::string> given;
  for (const auto& [name, entry] : configuration.entries()) {
    const auto is_meant = [&name = name](const std::string& key) {
      return key.ends_with(".") ? name.starts_with(key) : name == key;
    };
    if (entry.set && std::any_of(keys.begin(), keys.end(), is_meant)) given.push_back(name);
  }
  if (given.empty()) return;
  sentences.push_back(
      concat(join(given), given.size() == 1 ? " has" : " have", " no effect here: ", why));
}

const std::vector<std::string> mask_keys = {"augment.mask", "augment.mask_edge",
                                            "augment.mask_span"};

void tell_of_features(Sentences& sentences, const Configuration& configuration) {
  std::vector<std::string> keys = {
      "optimizer.",      "train.epochs",           "train.batch",           "train.accumulate",
      "train.max_steps", "train.statistics",       "train.shard_optimizer", "train.bucket",
      "train.keep",      "train.checkpoint_steps", "data.colours"};
  for (const auto& [name, entry] : configuration.entries()) {
    if (name.starts_with("augment.") && name != "augment.size") keys.push_back(name);
  }
  tell(sentences, configuration, keys, "this task trains no network and changes no sample");
}

void tell_of_network(Sentences& sentences, const Configuration& configuration) {
  tell(sentences, configuration, {"train.epochs", "train.max_steps"},
       "the length of this training is task.steps");
  tell(sentences, configuration, {"optimizer.lr"}, "its learning rates are task.rates");
  tell(sentences, configuration, {"optimizer.warmup"}, "it warms up for a tenth of task.steps");
  tell(sentences, configuration, {"train.keep"},
       "a trial keeps its last checkpoint, until the trial has ended");
  tell(sentences, configuration, mask_keys, "nothing is hidden");
}

}  // namespace

std::vector<std::string> without_effect(const Configuration& configuration, const Recipe& recipe) {
  Sentences sentences;
  std::vector<std::string> parts = parts_of(configuration);
  parts.insert(parts.begin(), "");
  for (const std::string& part : parts) {
    const std::string field = part.empty() ? "mask" : part + ".mask";
    const std::vector<OutputField>& fields = recipe.outputs();
    const bool hides = std::any_of(fields.begin(), fields.end(),
                                   [&](const OutputField& each) { return each.name == field; });
    std::vector<std::string> keys = mask_keys;
    if (!part.empty())
      for (std::string& key : keys) key = concat("part.", part, ".", key);
    if (!hides) tell(sentences, configuration, keys, "this objective hides nothing");
  }
  return sentences;
}

std::vector<std::string> without_effect(const Configuration& configuration) {
  Sentences sentences;
  tell(sentences, configuration,
       {"data.range", "data.percentiles", "data.statistics", "data.mean", "data.std", "data.lanes",
        "data.window"},
       "samples are read and ordered as in the run that this starts from");
  if (task_of(configuration).trains_network())
    tell_of_network(sentences, configuration);
  else
    tell_of_features(sentences, configuration);
  return sentences;
}

}  // namespace lacuna
