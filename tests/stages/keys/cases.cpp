#include "stages/keys/cases.h"

#include <set>

#include "stages/keys/schema.h"

namespace lacuna::keys {

const std::vector<Exception>& exceptions() {
  static const std::vector<Exception> all = {
      {"data.buffer", "bounds memory; batches are the same", "tests/data/load/loader.cpp"},
      {"data.workers", "who makes the batches, which are the same", "tests/data/load/loader.cpp"},
      {"data.stage", "copies are read, which are the same", "tests/end_to_end/data_files.py"},
      {"embed.copy", "embed alone reads it, from the run", "tests/end_to_end/embed_stage.py"},
      {"train.stop_signals", "needs a signal", "tests/end_to_end/stops.py"},
      {"train.on_bad_loss", "needs a loss that is no number", "tests/end_to_end/roll_back.py"},
  };
  return all;
}

// Of the keys that several stages have, for each of them.
static std::vector<Case> shared_cases() {
  return {
      {"seed", "2"},
      {"log.interval", "0"},
      {"data.files", "\"OTHER\""},
      {"data.dataset", "more"},
      {"data.channels", "first"},
      {"data.range", "[0, 300]"},
      {"data.percentiles", "[10, 80]", {"data.range=percentiles"}},
      {"data.statistics", "given", {"data.mean=[0.1, 0.2, 0.3]", "data.std=[1, 1, 1]"}},
      {"data.mean",
       "[0.2, 0.2, 0.3]",
       {"data.statistics=given", "data.mean=[0.1, 0.2, 0.3]", "data.std=[1, 1, 1]"}},
      {"data.std",
       "[1, 2, 1]",
       {"data.statistics=given", "data.mean=[0.1, 0.2, 0.3]", "data.std=[1, 1, 1]"}},
      {"data.lanes", "1"},
      {"data.window", "1"},
      {"augment.size", "6"},
      {"augment.crop", "[0.9, 1.0]"},
      {"augment.crop_ratio", "[0.5, 2.0]"},
      {"augment.flip", "0"},
      {"augment.vertical_flip", "1"},
      {"augment.turns", "1"},
      {"augment.jitter", "[0, 0, 0, 0]"},
      {"augment.jitter_probability", "0"},
      {"augment.greyscale", "1"},
      {"data.colours", "false"},
      {"augment.blur", "[1]"},
      {"augment.blur_kernel", "7", {"augment.blur=[1]"}},
      {"augment.blur_sigma", "[2, 3]", {"augment.blur=[1]"}},
      {"augment.solarise", "[1]"},
      {"augment.solarise_threshold", "0.2", {"augment.solarise=[1]"}},
      {"augment.noise", "1"},
      {"augment.noise_sigma", "[0.5, 1]", {"augment.noise=1"}},
      {"augment.channel_drop", "1"},
      {"optimizer.name", "adamw"},
      {"optimizer.lr", "0.3"},
      {"optimizer.weight_decay", "1"},
      {"optimizer.clip", "0.01"},
      {"optimizer.warmup", "1"},
      {"optimizer.momentum", "0"},
      {"optimizer.trust", "0.1", {"optimizer.name=lars"}},
      {"optimizer.beta1", "0.1", {"optimizer.name=adamw"}},
      {"optimizer.beta2", "0.1", {"optimizer.name=adamw"}},
      {"optimizer.epsilon", "1", {"optimizer.name=adamw"}},
      {"train.epochs", "2"},
      {"train.batch", "6"},
      {"train.max_steps", "1"},
      {"train.device", "cpu"},
      {"train.precision", "f16", {"train.device=cpu"}},
      {"train.convolution", "fast"},
      {"train.tf32", "true"},
      {"train.deterministic", "false"},
      {"train.recording", "false"},
      {"train.plans", "there-is-none"},
      {"train.instruction_set", "baseline"},
      {"train.threads", "2"},
      {"train.statistics", "local", {}, 2},
      {"train.shard_optimizer", "true", {}, 2},
      {"train.bucket", "64", {}, 2},
      {"train.keep", "1", {"train.checkpoint_steps=1"}},
  };
}

std::vector<Case> pretrain_cases() {
  std::vector<Case> all = shared_cases();
  const Settings vit = {"encoder.name=vit_tiny", "encoder.depth=1", "encoder.patch=4"};
  const Settings watch = {"watch.every=1"};
  const Settings signal = {"data.kind=signal", "data.dataset=signals"};
  const Settings windows = {"data.kind=signal", "data.dataset=flat", "data.leading=0",
                            "data.hop=7"};
  const Settings table = {"data.kind=vector", "data.dataset=table", "encoder.name=mlp",
                          "encoder.width=3"};
  const Settings clip = {"objective.name=clip", "part.paired.data.dataset=images",
                         "part.paired.encoder.width=1"};
  const auto with = [](Settings settings, const char* more) {
    settings.emplace_back(more);
    return settings;
  };
  for (Case& each : all)
    if (each.key == "log.interval") each.with = {"train.epochs=2"};
  all.insert(all.end(),
             {
                 {"data.label", "there/is/none"},
                 {"augment.mask", "0.5", {"objective.name=inpaint"}},
                 {"augment.mask_edge", "[0.1, 0.2]", {"objective.name=inpaint"}},
                 {"data.kind", "signal", {"data.dataset=signals"}},
                 {"data.leading", "2", {"data.kind=signal", "data.dataset=series"}},
                 {"data.samples", "last"},
                 {"data.missing", "mean", {"data.dataset=holes", "data.missing=0.7"}},
                 {"data.valid", "valid", {"data.missing=mean"}},
                 {"data.length", "10", with(windows, "data.length=20")},
                 {"data.hop", "20", with(windows, "data.length=20")},
                 {"data.offsets",
                  "offsets",
                  {"data.kind=signal", "data.dataset=flat", "data.leading=0", "data.length=8"}},
                 {"augment.size", "20", signal},
                 {"augment.crop", "[0.9, 1.0]", signal},
                 {"augment.shift", "0.5", signal},
                 {"augment.scale", "0.9", signal},
                 {"augment.noise", "0", signal},
                 {"augment.noise_sigma", "[0.5, 1]", signal},
                 {"augment.channel_drop", "1", signal},
                 {"augment.time_mask", "1", signal},
                 {"augment.mask", "0.5", with(signal, "objective.name=inpaint")},
                 {"augment.mask_span", "[0.5, 0.9]", with(signal, "objective.name=inpaint")},
                 {"augment.corrupt", "[0.9]", table},
                 {"augment.mask", "0.5", with(table, "objective.name=inpaint")},
                 {"encoder.width", "2", table},
                 {"encoder.width", "2", with(signal, "encoder.name=fcn")},
                 {"encoder.depth", "1", table},
                 {"objective.name", "rotation"},
                 {"objective.temperature", "0.5", {"objective.name=simclr"}},
                 {"objective.hidden", "5", {"objective.name=simclr"}},
                 {"objective.hidden", "5", {"objective.name=byol"}},
                 {"objective.projection", "5", {"objective.name=simclr"}},
                 {"objective.projection", "5", {"objective.name=byol"}},
                 {"objective.hidden", "5", {"objective.name=simsiam"}},
                 {"objective.projection", "5", {"objective.name=simsiam"}},
                 {"objective.bottleneck", "5", {"objective.name=simsiam"}},
                 {"objective.momentum", "0.5", {"objective.name=byol"}},
                 {"objective.temperature", "0.5", clip},
                 {"objective.projection", "5", clip},
                 {"objective.decode", "features", {"objective.name=inpaint"}},
                 {"encoder.name", "resnet34", {"encoder.width=1"}},
                 {"encoder.width", "2"},
                 {"encoder.stem", "imagenet"},
                 {"encoder.stem_stride", "2"},
                 {"encoder.patch", "8", vit},
                 {"encoder.depth", "2", vit},
                 {"encoder.pool", "mean", vit},
                 {"encoder.positions", "sine", vit},
                 {"encoder.drop_path", "0.5", vit},
                 {"train.accumulate", "2", {"objective.name=rotation"}},
                 {"train.checkpoint_minutes", "1e-9"},
                 {"train.checkpoint_steps", "1"},
                 {"watch.every", "1"},
                 {"watch.samples", "5", watch},
                 {"watch.files", "\"OTHER\"", watch},
                 {"watch.dataset", "there/is/none", watch},
                 {"watch.label", "there/is/none", watch},
             });
  return all;
}

std::vector<Case> cases_of_part(const std::string& section) {
  std::set<std::string> repeated;
  for (const Key& key : schema_of("pretrain").keys())
    if (key.section == section) repeated.insert(key.name.substr(section.size() + 1));
  std::vector<Case> all;
  for (const Case& each : pretrain_cases()) {
    if (!repeated.contains(each.key)) continue;
    Case moved{section + "." + each.key,
               each.value,
               {"objective.name=clip", section + ".data.dataset=images"}};
    bool has_encoder = false;
    for (const std::string& setting : each.with) {
      if (!repeated.contains(setting.substr(0, setting.find('=')))) continue;
      moved.with.push_back(section + "." + setting);
      has_encoder = has_encoder || setting.starts_with("encoder.");
    }
    if (!has_encoder) moved.with.push_back(section + ".encoder.width=1");
    all.push_back(std::move(moved));
  }
  return all;
}

// Of the keys that a task has for itself, or that tasks of its kind share.
static std::vector<Case> own_cases(const std::string& task) {
  const Settings held_out = {"task.held_out=group", "task.group=patient"};
  std::vector<Case> all = {{"task.held_out", "time"},
                           {"task.group", "there/is/none", held_out},
                           {"task.time", "there/is/none", {"task.held_out=time"}}};
  if (task == "classify") {
    all.insert(all.end(), {{"task.start", "scratch"},
                           {"task.steps", "2"},
                           {"task.rates", "[0.3]"},
                           {"task.encoder", "frozen"},
                           {"task.layer_decay", "0.1"},
                           {"task.class_weights", "balanced", {"data.label=rare"}}});
  } else {
    all.insert(all.end(), {{"task.features", "pixels"}, {"task.weights", "teacher"}});
    all.push_back(task == "knn" ? Case{"task.k", "[7]"} : Case{"task.l2", "[10]"});
  }
  return all;
}

std::vector<Case> finetune_cases(const std::string& task) {
  // Accuracies of few samples may be equal by chance, those of several draws hardly.
  const Settings draws = {"task.draws=4", "task.labels=0.5"};
  std::vector<Case> all = shared_cases();
  for (Case& each : all)
    if (each.key == "seed") each.with = draws;
  if (task != "classify")
    for (Case& each : all) each.ranks = 1;  // it trains nothing
  all.insert(all.end(), {
                            {"task.name", task == "knn" ? "linear" : "knn"},
                            {"task.labels", "0.5"},
                            {"task.draws", "2"},
                            {"task.checkpoint", "1"},
                            {"data.label", "there/is/none"},
                            {"test.dataset", "more", draws},
                            {"test.label", "there/is/none"},
                            {"data.label_files", "\"there-is-none.h5\""},
                            {"test.label_files", "\"there-is-none.h5\""},
                            {"data.unlabelled", "[\"1\"]"},
                            {"test.files", "\"OTHER\"", draws},
                            {"augment.mask", "0.5"},
                            {"augment.mask_edge", "[0.1, 0.2]"},
                            {"train.accumulate", "2"},
                        });
  if (task != "classify") all.push_back({"train.checkpoint_steps", "1"});
  const std::vector<Case> own = own_cases(task);
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

// Of one task: its trials' checkpoints and unfinished files are gone when it has ended.
const std::vector<Exception>& finetune_exceptions() {
  static const std::vector<Exception> all = {
      {"train.checkpoint_minutes", "files that are gone in the end",
       "tests/end_to_end/finetune_stage.py"},
      {"train.checkpoint_steps", "files that are gone in the end",
       "tests/end_to_end/finetune_stage.py"},
      {"data.kind", "is the run's, which is of images", "tests/end_to_end/modalities.py"},
      {"augment.shift", "the run is of images", "tests/end_to_end/modalities.py"},
      {"augment.scale", "the run is of images", "tests/end_to_end/modalities.py"},
      {"augment.time_mask", "the run is of images", "tests/end_to_end/modalities.py"},
      {"augment.mask_span", "hides nothing in classify", "tests/end_to_end/modalities.py"},
      {"augment.corrupt", "the run is of images", "tests/end_to_end/modalities.py"},
      {"data.leading", "the run is of rows", "tests/end_to_end/modalities.py"},
      {"data.samples", "the run is of rows", "tests/end_to_end/foreign_files.py"},
      {"data.missing", "no number is missing", "tests/end_to_end/foreign_files.py"},
      {"data.valid", "no number is missing", "tests/end_to_end/foreign_files.py"},
      {"data.offsets", "the run is of images", "tests/end_to_end/modalities.py"},
      {"data.length", "the run is of images", "tests/end_to_end/modalities.py"},
      {"data.hop", "the run is of images", "tests/end_to_end/modalities.py"},
  };
  return all;
}

}  // namespace lacuna::keys
