// Launchers: how the ranks of a job are started, by what this program's MPI and this machine's
// SLURM can do together. The rule is that of jobs/common.sh, and a test compares both.
#pragma once

#include <string>
#include <vector>

namespace lacuna {

struct LauncherFacts {
  std::string mpi = {};        // of this program: "Open MPI v4.1.4"
  std::string overruled = {};  // LACUNA_LAUNCHER
  bool slurm = false;          // srun is in PATH
  bool asked = false;          // srun has answered
  std::string offers = {};     // what srun --mpi=list says
  std::string mpirun = {};     // what the mpirun in PATH says of itself; "" for none
  bool in_allocation = false;  // of SLURM
};

// Asks srun and mpirun, for seconds at most; asks nobody in a process that a launcher has started,
// which must not start others.
LauncherFacts find_launcher_facts();

struct Launcher {
  std::string command;                // "srun --mpi=pmix --kill-on-bad-exit=1"
  std::string why;                    // in a few words
  std::vector<std::string> warnings;  // one sentence each
};

Launcher choose_launcher(const LauncherFacts& facts);

// The words that start so many ranks: in a job, or anywhere without SLURM.
std::string launch_line(const LauncherFacts& facts, const Launcher& launcher, int ranks,
                        const std::string& command);

}  // namespace lacuna
