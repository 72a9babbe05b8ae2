// Estimate: how long a run will take and what it needs of a node, from what check has measured and
// counted; and the words that say so to sbatch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace lacuna {

// Of a rank, on a machine like this one.
struct Measured {
  double compute_seconds = 0;  // a step, without data and other ranks
  double read_seconds = 0;     // a sample, on one thread: read and decoded
  double make_seconds = 0;     // a sample, on one thread: its views
  int64_t samples = 0;         // of a step
  int threads = 1;             // that load; without workers those that compute, between steps
  bool beside = false;         // there are workers: loading goes on beside computing
};

struct Network {
  Traffic traffic;                 // of a step
  double bytes_per_second = 1e10;  // of a rank
  double latency = 50e-6;          // seconds of a message
};

// Of a step. Sums over ranks count in full, though most of them travel while a step is computed.
struct StepEstimate {
  double compute = 0;
  double load = 0;
  double sums = 0;
  bool beside = false;
  double seconds() const;
};
StepEstimate estimate_step(const Measured& measured, const Network& network);

// What a job of some ranks asks of SLURM.
struct JobRequest {
  int ranks = 1;
  int nodes = 1;                       // divides the ranks
  int threads = 0;                     // of a rank; 0: not known here
  bool gpus = false;                   // one for each rank
  double memory = 0;                   // bytes of a rank
  std::optional<double> seconds = {};  // of the run
};

// A fifth more than estimated, and five minutes for the start, the last checkpoint, and the warning
// before the end.
int64_t wall_seconds(double run_seconds);

// "1-02:30:00", "00:05:00": as SLURM reads it, whole minutes.
std::string slurm_time(int64_t seconds);

// "--nodes=2", "--ntasks-per-node=4", ...: as they stand in the job scripts behind #SBATCH.
std::vector<std::string> sbatch_words(const JobRequest& request);

}  // namespace lacuna
