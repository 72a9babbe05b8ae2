// The run folder: everything that one experiment leaves behind.
//
//   runs/<name of the TOML>/config.toml      the resolved configuration
//                          /metrics.jsonl    one line a step (run/metrics.h)
//                          /checkpoints/     (run/checkpoint.h)
//
// It is made whole or not at all, and nothing in it is overwritten by another experiment.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/configuration.h"

namespace lacuna {

// "runs/fashion-simclr" for "inputs/images/fashion-simclr.toml": the same at every start, so that a
// requeued job finds its run.
std::filesystem::path default_run_folder(const std::filesystem::path& toml);

// Keys that may differ, beside those of execution, in a run that is continued.
struct Changeable {
  std::vector<std::string> may_grow = {"train.epochs"};
  std::vector<std::string> may_change = {};
};

struct OpenedRun {
  std::filesystem::path folder;
  bool is_new = true;
  bool grown = false;  // an existing run is to go on for longer than it was asked before
  std::vector<std::string>
      notes;  // sentences for the user: what differs and is allowed, what was moved
};

// Makes the run folder, or opens an existing one to continue it; called by one rank.
//
// An existing run continues if only execution keys differ, if a key of `may_grow` has a greater
// integer now, or a key of `may_change` another value; its config.toml then becomes the present
// one. Otherwise Error bad_input with all other keys, both values and the remedy. With `force` an
// existing folder is moved aside (x.1, x.2, ...) and a new run begins. Also bad_input: something
// else has the name, or the folder cannot be made. A run whose last checkpoint is `finished` and
// that is not `grown` has nothing left to do.
OpenedRun open_run(const std::filesystem::path& folder, const Configuration& configuration,
                   const Schema& schema, bool force = false, const Changeable& keys = {});

// Whether something stands at that place; an empty folder is nothing.
bool run_exists(const std::filesystem::path& folder);

// Throws what open_run would throw for an existing folder; changes nothing.
void check_run(const std::filesystem::path& folder, const Configuration& configuration,
               const Schema& schema, const Changeable& keys = {});

// The text of the run's config.toml; bad_input when the folder is no run.
std::string stored_configuration(const std::filesystem::path& folder);

}  // namespace lacuna
