// Hold: a stage's hold on what it writes: the lease while it works there, and the log of its
// attempts.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "run/attempts.h"
#include "run/lease.h"
#include "stages/setup/stage.h"

namespace lacuna {

// Collective. Whether the run of this folder shall begin anew (--force). It goes on in a job that
// went back to the queue, which SLURM starts with the same command: what it would move aside is its
// own.
bool begins_anew(const std::filesystem::path& run, const Arguments& arguments,
                 StageContext& context);

class Hold {
 public:
  enum class Kind { run, output };  // the folders above a run are made
  // Collective. Takes the lease of a run's folder or of an output, which all ranks learn if it is
  // another's: bad_input.
  Hold(const std::filesystem::path& what, Kind kind, StageContext& context);

  // Collective. Does the work as an attempt that `attempt_log` tells of, with its end. `at`, asked
  // on rank 0 before and after: how far the work on disk has come. Errors: the work's; no_progress
  // (run/attempts.h).
  using At = std::function<std::string()>;
  ExitStatus attempt(const std::filesystem::path& attempt_log, const At& at,
                     const std::function<ExitStatus()>& work);

 private:
  bool end(ExitStatus status, const std::string& why, const At& at);
  void note_end(ExitStatus status, const std::string& why, const At& at) noexcept;

  StageContext& context_;
  std::unique_ptr<Lease> lease_;  // on rank 0, as all here
  std::unique_ptr<AttemptLog> log_;
};

}  // namespace lacuna
