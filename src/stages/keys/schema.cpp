#include "stages/keys/schema.h"

#include <algorithm>
#include <vector>

#include "data/options.h"
#include "encoders/list.h"
#include "modalities/list.h"
#include "objectives/list.h"
#include "stages/keys/finetune.h"
#include "stages/keys/parts.h"
#include "stages/keys/pretrain.h"
#include "train/optimizer.h"
#include "train/options.h"

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
  void (*add)(Schema& schema);
  std::vector<std::string> stages;
};

// A contribution that is a plain list of keys.
template <std::vector<Key> (*keys)()>
void listed(Schema& schema) {
  schema.add(keys());
}

std::vector<Contribution> contributions() {
  return {
      {listed<stage_keys>, {"pretrain", "embed", "finetune"}},
      {listed<finetune_keys>, {"finetune"}},
      {listed<data_keys>, {"pretrain", "finetune"}},
      {listed<pretrain_keys>, {"pretrain"}},
      {listed<modality_keys>, {"pretrain", "finetune"}},
      {listed<embed_keys>, {"pretrain"}},
      {listed<snapshot_keys>, {"pretrain"}},
      {listed<objective_keys>, {"pretrain"}},
      {listed<encoder_keys>, {"pretrain"}},
      {listed<part_keys>, {"pretrain"}},
      {listed<optimizer_keys>, {"pretrain", "finetune"}},
      {listed<train_keys>, {"pretrain", "finetune"}},
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
      each.add(schema);
    } else {
      Schema foreign;
      each.add(foreign);
      schema.add_foreign(foreign.keys(), each.stages.front());
    }
  }
  return schema;
}

Schema full_schema() {
  Schema schema;
  for (const Contribution& each : contributions()) each.add(schema);
  return schema;
}

}  // namespace lacuna
