// Attempts: what each start of a run did, kept in RUN/attempts.toml (docs/formats.md), so that a
// user sees what ended it and a job that gets nowhere does not go on for ever.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace lacuna {

// Of the log in a run's folder.
constexpr const char* attempts_name = "attempts.toml";

// Who runs: SLURM's job, this host, this process.
struct Runner {
  std::string job;      // SLURM_JOB_ID, "" outside SLURM
  int64_t restart = 0;  // SLURM_RESTART_COUNT
  std::string host;
  int64_t process = 0;
};
Runner this_runner();
// "job 12 on node0 (process 4711)"
std::string text_of(const Runner& runner);

struct Attempt {
  Runner runner;
  int64_t ranks = 1;
  std::string started;  // "2026-11-27T01:50:00Z"
  std::string at;       // where it began: "step 120"
  // Absent while it runs, and for ever when it was killed.
  std::optional<int64_t> status;
  std::string ended;
  std::string why;  // the sentence that it ended with
};

// Those of a file, the oldest first; none when there is none. bad_input when it cannot be read.
std::vector<Attempt> read_attempts(const std::filesystem::path& file);

// Whether SLURM started this process because the job of the log's last attempt went back to the
// queue.
bool is_restart_of_last(const std::vector<Attempt>& attempts, const Runner& here);

// Kept by one rank.
class AttemptLog {
 public:
  // A job that SLURM starts again gets two restarts without progress.
  static constexpr int restarts_without_progress = 2;

  // Adds an attempt that begins `at`. Error no_progress when those of this job before it, the first
  // and its restarts, all began there too; bad_input or no_space as for any file that is read and
  // written.
  AttemptLog(std::filesystem::path file, int64_t ranks, const std::string& at);

  // How this attempt ends. Whether the job shall not go on: it stops early, `at` where it began,
  // and so did those before.
  bool end(ExitStatus status, const std::string& why, const std::string& at);

 private:
  void write() const;
  int without_progress() const;

  std::filesystem::path file_;
  std::vector<Attempt> attempts_;
};

}  // namespace lacuna
