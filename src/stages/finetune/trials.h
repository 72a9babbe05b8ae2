// Trials: what finetune has found so far, kept in RUN/trials.h5 (docs/formats.md) as each trial
// ends, so that a killed run does not repeat it.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "stages/setup/stage.h"
#include "tasks/score.h"
#include "train/early_stop.h"

namespace lacuna {

// What a trial found; no scores where it did not look, or what it trained has diverged.
struct TrialResult {
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<Score> test = {};      // the first is the task's main score
  std::vector<Score> held_out = {};  // likewise
  double chosen = none;  // the rate, k or regularisation that did best on the held-out labels
};

// What the results follow from, beside the run's configuration.
struct TrialsOrigin {
  std::string run;  // folder of the run that the weights are from
  int64_t step = 0;
  std::string checkpoint;  // its checksums
  std::string train_data, test_data;
  std::string environment;  // may differ when a run continues, which it then says
};

class Trials {
 public:
  // Collective, as everything here. Reads what the folder holds; a folder without trials.h5 gets
  // one. bad_input when its trials are of another origin.
  Trials(const std::filesystem::path& folder, const TrialsOrigin& origin,
         const EarlyStop& early_stop, StageContext& context);

  // The same check for a folder that may have none; changes nothing.
  static void check(const std::filesystem::path& folder, const TrialsOrigin& origin,
                    StageContext& context);

  const std::filesystem::path& folder() const { return folder_; }

  // How far they have come, on the rank that keeps them: "2 trials, step 50 of the next".
  std::string how_far() const;

  // What the trial of this name has found, now or in a process before. `run` is collective and
  // gives the same on every rank; it may keep checkpoints in a folder of its own,
  // RUN/trials/<name>, which is removed when the trial has ended. Ends early before a trial where
  // that is asked for.
  using Run = std::function<TrialResult(const std::filesystem::path& folder)>;
  TrialResult once(const std::string& name, const Run& run);

 private:
  struct Trial {
    std::string name;
    TrialResult result;
  };
  struct Stored {
    TrialsOrigin origin;
    std::vector<Trial> trials;
  };
  static Stored read(const std::filesystem::path& file);
  void write() const;
  std::filesystem::path folder_of(const std::string& name) const;
  void remove_folder(const std::string& name) const;

  std::filesystem::path folder_;
  TrialsOrigin origin_;
  const EarlyStop& early_stop_;
  StageContext& context_;
  std::vector<Trial> trials_;
};

}  // namespace lacuna
