#include "stages/schema.h"

#include <algorithm>
#include <vector>

#include "augment/options.h"

namespace lacuna {
namespace {

// Keys that the stages themselves read.
std::vector<Key> stage_keys() {
  return {
      key::integer("seed", "1", "Every random draw of the run follows from it.").min(0),
      key::number("log.interval", "10", "Time between two lines of progress in a batch log.")
          .unit("seconds")
          .min(0)
          .execution(),
  };
}

// What one module contributes, and to which stages.
struct Contribution {
  std::vector<Key> (*keys)();
  std::vector<std::string> stages;
};

std::vector<Contribution> contributions() {
  return {
      {stage_keys, {"pretrain", "embed", "finetune"}},
      {augment_keys, {"pretrain", "finetune"}},
  };
}

bool concerns(const Contribution& contribution, const std::string& stage) {
  const auto& stages = contribution.stages;
  return std::find(stages.begin(), stages.end(), stage) != stages.end();
}

}  // namespace

Schema schema_of(const std::string& stage) {
  Schema schema;
  for (const Contribution& each : contributions()) {
    if (concerns(each, stage)) {
      schema.add(each.keys());
    } else {
      schema.add_foreign(each.keys(), each.stages.front());
    }
  }
  return schema;
}

Schema full_schema() {
  Schema schema;
  for (const Contribution& each : contributions()) schema.add(each.keys());
  return schema;
}

}  // namespace lacuna
