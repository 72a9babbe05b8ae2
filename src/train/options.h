// What the keys seed, log.interval and train.* say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/configuration.h"
#include "kernels/convolution.h"

namespace lacuna {

struct TrainOptions {
  uint64_t seed;
  int64_t epochs;
  int64_t batch;       // samples of the global batch
  int64_t accumulate;  // parts of a batch
  int64_t max_steps;   // 0: no limit
  std::string device;
  std::string precision;  // "auto", "f32", "bf16", "f16"
  ConvolutionMethods convolutions;
  bool tf32;
  bool deterministic;
  bool recording;               // of steps as CUDA graphs
  std::string plans;            // a file, or ""
  std::string instruction_set;  // "auto", or the most that kernels may use: isa_keys
  int64_t threads;              // 0: all that this rank may use
  bool synchronise_statistics;
  bool shard_optimizer;
  int64_t bucket_bytes;
  double checkpoint_minutes;
  int64_t checkpoint_steps;  // 0: by time alone
  int64_t keep;
  std::vector<std::string> stop_signals;
  double log_interval;
};

std::vector<Key> train_keys();
TrainOptions train_options(const Configuration& configuration);

}  // namespace lacuna
