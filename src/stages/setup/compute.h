// Compute: the device, threads and precision that a stage works with, agreed over all ranks.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "backend/device.h"
#include "comm/placement.h"
#include "kernels/convolution.h"
#include "run/checkpoint.h"
#include "stages/setup/stage.h"
#include "train/options.h"

namespace lacuna {

struct Compute {
  std::unique_ptr<Device> device;
  DType dtype = DType::f32;                    // of activations
  std::string arithmetic;                      // all that a configuration says of rounding
  int threads = 1;                             // of this rank
  int local_rank = 0, local_ranks = 1;         // of the ranks on its node
  std::map<std::string, std::string> engines;  // of train.plans, by problem
  Environment environment;  // what the bits of a result depend on; stored with checkpoints
};

// The dtype of activations that train.precision asks for on a device. `before` as below; `isa` is
// what is used, `pays_from` the least instruction set at which bf16 is faster than f32 on every
// processor.
DType activation_dtype(const TrainOptions& options, const std::string& before, const Device& device,
                       Isa isa, Isa pays_from);

// train.convolution as a device has it. What is not "direct" is bad_input for a new run on a device
// that has nothing else (`before` as below), and "direct" for those that go on from another one's
// results.
ConvolutionMethods convolution_methods(const TrainOptions& options, const std::string& before,
                                       std::string_view device);

// Collective. Says in one line where the ranks are. precision: "auto", "f32", "bf16" or "f16";
// `before` is that of the run which is continued, which "auto" keeps ("" for a new run).
// `time_plans`: GpuOptions.
Compute make_compute(const TrainOptions& options, StageContext& context,
                     const std::string& before = "", bool time_plans = false);

}  // namespace lacuna
