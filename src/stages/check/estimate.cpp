#include "stages/check/estimate.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

#include "base/error.h"

namespace lacuna {

double StepEstimate::seconds() const {
  return (beside ? std::max(compute, load) : compute + load) + sums;
}

StepEstimate estimate_step(const Measured& measured, const Network& network) {
  StepEstimate step;
  step.compute = measured.compute_seconds;
  step.load = static_cast<double>(measured.samples) *
              (measured.read_seconds + measured.make_seconds) / std::max(1, measured.threads);
  step.beside = measured.beside;
  if (network.traffic.bytes > 0) {
    step.sums = network.traffic.bytes / network.bytes_per_second +
                static_cast<double>(network.traffic.messages) * network.latency;
  }
  return step;
}

int64_t wall_seconds(double run_seconds) {
  constexpr double margin = 1.2, start_and_end = 300;
  return 60 * static_cast<int64_t>(std::ceil((margin * run_seconds + start_and_end) / 60));
}

std::string slurm_time(int64_t seconds) {
  const int64_t days = seconds / 86400;
  return concat(days > 0 ? concat(days, "-") : "", std::setfill('0'), std::setw(2),
                seconds / 3600 % 24, ":", std::setw(2), seconds / 60 % 60, ":", std::setw(2),
                seconds % 60);
}

std::vector<std::string> sbatch_words(const JobRequest& request) {
  LACUNA_CHECK(request.ranks % request.nodes == 0, request.ranks, " on ", request.nodes);
  const int on_a_node = request.ranks / request.nodes;
  // A fifth more than counted, in whole 100 MiB.
  const double mib = 1.2 * request.memory * on_a_node / (1 << 20);
  std::vector<std::string> words = {concat("--nodes=", request.nodes),
                                    concat("--ntasks-per-node=", on_a_node)};
  if (request.threads > 0) words.push_back(concat("--cpus-per-task=", request.threads));
  if (request.gpus) words.push_back(concat("--gpus-per-node=", on_a_node));
  words.push_back(concat("--mem=", 100 * static_cast<int64_t>(std::ceil(mib / 100)), "M"));
  if (request.seconds)
    words.push_back(concat("--time=", slurm_time(wall_seconds(*request.seconds))));
  return words;
}

}  // namespace lacuna
