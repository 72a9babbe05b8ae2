#include "backend/boards.h"
#include "base/text.h"
#include "stages/stage.h"
#include "stages/stopping.h"

namespace lacuna {
namespace {

Option settings() {
  return {.name = "set",
          .argument = "KEY=VALUE",
          .doc = "Changes a key of the configuration, such as optimizer.lr=0.3; may be repeated.",
          .repeated = true};
}

Option run_folder() {
  return {.name = "run",
          .argument = "DIR",
          .doc = "Folder of the run; otherwise runs/<name of the TOML>."};
}

Option force(const std::string& what) {
  return {.name = "force", .argument = "", .doc = "Moves " + what + " that exists aside."};
}

}  // namespace

Syntax check_syntax() {
  std::vector<std::string> devices = {"cpu", "cuda"};
  for (const Board& board : boards()) devices.emplace_back(board.name);
  return {
      .stage = "check",
      .argument = "CONFIG.toml",
      .argument_doc = "The experiment, as pretrain takes it.",
      .summary =
          "Tells before a job is submitted what is in the data, and what it will take: memory, "
          "disk, time, launcher.",
      .options = {
          settings(),
          {.name = "device",
           .argument = join(devices, "|"),
           .doc = "This machine's processor or GPU (cuda), or a GPU that need not be here.",
           .default_value = "cpu",
           .choices = devices},
          {.name = "ranks", .argument = "P", .doc = "Ranks of the job.", .default_value = "1"},
          {.name = "nodes",
           .argument = "N",
           .doc = "Nodes that the ranks are divided over.",
           .default_value = "1"},
          {.name = "bandwidth",
           .argument = "GB/s",
           .doc = "What each rank sends to another in a second, for the estimate of time.",
           .default_value = "10"},
          {.name = "sbatch",
           .argument = "",
           .doc = "Prints nothing but what the job asks for, as words for sbatch."},
          {.name = "time-plans",
           .argument = "FILE",
           .doc = "With --device cuda, finds the fastest plans of cuDNN and writes them, for "
                  "train.plans."},
          {.name = "plans", .argument = "", .doc = "Lists the plans of cuDNN too, by problem."}}};
}

Syntax pretrain_syntax() {
  return {.stage = "pretrain",
          .argument = "CONFIG.toml",
          .argument_doc = "The experiment; its keys are in docs/configuration.md.",
          .summary = "Trains an encoder without labels, or continues a run.",
          .options = {settings(),
                      run_folder(),
                      {.name = "init-from",
                       .argument = "RUN",
                       .doc = "Starts a new run from the weights of another one."},
                      max_hours_option(),
                      force("a run"),
                      {.name = "eager",
                       .argument = "",
                       .doc = "Executes operation by operation, without plan and fusion."}}};
}

Syntax embed_syntax() {
  return {.stage = "embed",
          .argument = "RUN",
          .argument_doc = "Folder of a run that pretrain made.",
          .summary = "Writes the representations of a data set.",
          .options = {
              {.name = "data",
               .argument = "FILE.h5",
               .doc = "The data set; a pattern or several are allowed.",
               .required = true,
               .repeated = true},
              {.name = "out", .argument = "FILE.h5", .doc = "The file to write.", .required = true},
              settings(),
              {.name = "checkpoint",
               .argument = "last|best|STEP",
               .doc = "Which checkpoint of the run.",
               .default_value = "last",
               .choices = {"last", "best"},
               .or_number = true},
              {.name = "weights",
               .argument = "student|teacher",
               .doc = "Trained weights, or their moving average where the objective has one.",
               .default_value = "student",
               .choices = {"student", "teacher"}},
              {.name = "layer",
               .argument = "encoder|projector",
               .doc = "Whose output is written.",
               .default_value = "encoder",
               .choices = {"encoder", "projector"}},
              max_hours_option(),
              force("an output")}};
}

Syntax finetune_syntax() {
  return {.stage = "finetune",
          .argument = "CONFIG.toml",
          .argument_doc = "The task; its keys are in docs/configuration.md.",
          .summary = "Trains a head, or the whole encoder, with labels and tells its accuracy.",
          .options = {{.name = "from",
                       .argument = "RUN",
                       .doc = "Folder of the run that pretrain made.",
                       .required = true},
                      settings(),
                      run_folder(),
                      max_hours_option(),
                      force("a run")}};
}

Syntax status_syntax() {
  return {.stage = "status",
          .argument = "RUN",
          .argument_doc = "Folder of a run that pretrain or finetune made.",
          .summary = "Tells how far a run has come, and what ended each start of it.",
          .options = {}};
}

Syntax sweep_syntax() {
  return {
      .stage = "sweep",
      .argument = "GRID.toml",
      .argument_doc =
          "Configurations, and lists of values for some of their keys (docs/clusters.md).",
      .summary = "Tells the runs of a grid of settings, and how they stand, as a table.",
      .options = {
          {.name = "count", .argument = "", .doc = "How many there are, after a look at each."},
          {.name = "task", .argument = "K", .doc = "The arguments of run K, from 0, one a line."},
          {.name = "stage",
           .argument = "pretrain|finetune",
           .doc = "Which arguments.",
           .default_value = "pretrain",
           .choices = {"pretrain", "finetune"}}}};
}

Syntax inspect_syntax() {
  return {.stage = "inspect",
          .argument = "ANY.h5",
          .argument_doc = "A data set, a checkpoint, representations or metrics.",
          .summary = "Tells in plain words what an HDF5 file holds.",
          .options = {}};
}

std::vector<Stage> stages() {
  return {
      {check_syntax(), false, check},     {pretrain_syntax(), true, pretrain},
      {embed_syntax(), true, embed},      {finetune_syntax(), true, finetune},
      {status_syntax(), false, status},   {sweep_syntax(), false, sweep},
      {inspect_syntax(), false, inspect},
  };
}

}  // namespace lacuna
