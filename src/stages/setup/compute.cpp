#include "stages/setup/compute.h"

#include <algorithm>

#include "backend/list.h"
#include "base/build_info.h"
#include "base/log.h"
#include "comm/agree.h"
#include "comm/mpi.h"
#include "io/hdf5.h"
#include "stages/setup/plan_file.h"
#include "stages/setup/versions.h"

namespace lacuna {

namespace {

// What the processors have, or less if that is asked for.
Isa most_used(const TrainOptions& options, Isa least) {
  if (options.instruction_set == "auto") return least;
  const auto at = std::find(isa_keys.begin(), isa_keys.end(), options.instruction_set);
  const Isa wanted = static_cast<Isa>(at - isa_keys.begin());
  if (wanted > least) {
    bad_input("train.instruction_set is \"", options.instruction_set, "\", and the least of the ",
              "processors has ", name_of(least), ": set it to \"auto\"");
  }
  return wanted;
}

// As train.precision names it.
std::string precision_of(DType compute) {
  switch (compute) {
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    default:
      return "f32";
  }
}

// The same on every rank: the fastest that all have.
std::string chosen_device(const TrainOptions& options, StageContext& context) {
  if (options.device != "auto") return options.device;
  const std::string fastest = fastest_device();
  double without = fastest == "cpu" ? 1 : 0;
  context.communicator.all_reduce_sum(&without, 1, DType::f64).wait();
  if (without == 0) return fastest;
  if (without < context.communicator.size()) {
    context.log.warning(concat(without, " of ", context.communicator.size(),
                               " ranks can use no GPU, so all take the CPU"));
  }
  return "cpu";
}

// Says which keys are given for a GPU that there is not.
void tell_of_gpu_keys(const TrainOptions& options, const Device& device, Log& log) {
  if (!device.reads_host_memory()) return;
  std::vector<std::string> keys;
  if (options.tf32) keys.emplace_back("train.tf32");
  if (!options.deterministic) keys.emplace_back("train.deterministic");
  if (!options.recording) keys.emplace_back("train.recording");
  if (!keys.empty())
    log.warning(join(keys), keys.size() == 1 ? " has" : " have", " no effect here: no GPU is used");
}

}  // namespace

// A rule on the device, not a timing, so that the same machine always does the same.
DType activation_dtype(const TrainOptions& options, const std::string& before, const Device& device,
                       Isa isa, Isa pays_from) {
  if (device.parameter_dtype() == DType::f64) return DType::f64;
  const Device::Bf16 bf16 = device.bf16(pays_from);
  std::string wanted = options.precision;
  if (wanted == "auto" && !before.empty()) wanted = before;
  if (wanted == "auto") wanted = bf16 == Device::Bf16::faster ? "bf16" : "f32";
  if (wanted == "f16" && device.find("matrix_product", DType::f16) == nullptr) {
    bad_input(
        options.precision == "auto" ? "the run that is continued has" : "train.precision asks for",
        " float16, which only GPUs compute with: ",
        options.precision == "auto" ? "continue it on GPUs" : "set train.precision to \"auto\"");
  }
  if (wanted == "bf16" && bf16 == Device::Bf16::absent) {
    bad_input(
        "train.precision is \"bf16\", which needs AVX-512 on every rank, and the instruction set ",
        "used is ", name_of(isa), ": set train.precision to \"f32\"");
  }
  if (wanted == "f16") return DType::f16;
  return wanted == "bf16" ? DType::bf16 : DType::f32;
}

ConvolutionMethods convolution_methods(const TrainOptions& options, const std::string& before,
                                       std::string_view device) {
  if (device == "cpu" || options.convolutions == ConvolutionMethods::direct)
    return options.convolutions;
  if (before.empty()) {
    bad_input("train.convolution is not \"direct\", and only CPUs have others; train.device is \"",
              device, "\" here: set train.convolution to \"direct\", or train.device to \"cpu\"");
  }
  return ConvolutionMethods::direct;
}

Compute make_compute(const TrainOptions& options, StageContext& context, const std::string& before,
                     bool time_plans) {
  const int leader = context.session != nullptr ? context.session->node_leader() : 0;
  const Placement placement = find_placement(context.communicator, view_of_this_rank(leader),
                                             static_cast<int>(options.threads));
  Compute compute;
  compute.threads = placement.threads;
  compute.local_rank = placement.local_rank;
  compute.local_ranks = placement.local_ranks;
  const std::string device = chosen_device(options, context);
  const Isa isa = most_used(options, placement.isa);
  compute.engines = read_plan_file(options.plans, context.communicator);
  const GpuOptions gpu{.local_rank = placement.local_rank,
                       .deterministic = options.deterministic,
                       .tf32 = options.tf32,
                       .capture = options.recording,
                       .engines = compute.engines,
                       .time_plans = time_plans};
  ConvolutionMethods convolutions = ConvolutionMethods::direct;
  compute.device = agreed(context.communicator, [&] {
    convolutions = convolution_methods(options, before, device);
    return make_device(device, compute.threads, isa, gpu, convolutions);
  });
  const std::string address = compute.device->address();
  refuse_shared_devices(context.communicator, address);
  compute.dtype = activation_dtype(options, before, *compute.device, isa, placement.bf16_from);
  context.log.line(placement_line(placement), "; ", compute.device->description(),
                   compute.device->reads_host_memory() ? concat(", ", name_of(isa)) : "",
                   address.empty() || placement.ranks == 1 ? "" : " each", ", ",
                   name_of(compute.dtype), " activations");
  for (const std::string& warning : placement.warnings) context.log.warning(warning);
  tell_of_gpu_keys(options, *compute.device, context.log);
  if (compute.dtype != DType::f32) convolutions = ConvolutionMethods::direct;
  if (options.convolutions != convolutions) {
    context.log.warning(
        "train.convolution has no effect here: what is not \"direct\" is for CPUs and float32 "
        "activations");
  }
  const BuildInfo build = build_info();
  compute.environment = {.code_version = concat(build.version, " ", build.commit),
                         .mpi = mpi_version(),
                         .hdf5 = hdf5::version(),
                         .onednn = onednn_version(),
                         .ranks = context.communicator.size(),
                         .threads = compute.threads,
                         .device = compute.device->description(),
                         .instruction_set = std::string(name_of(isa)),
                         .precision = precision_of(compute.dtype)};
  compute.arithmetic = concat(compute.environment.precision,
                              convolutions == ConvolutionMethods::fast    ? ", fast convolutions"
                              : convolutions == ConvolutionMethods::exact ? ", exact convolutions"
                                                                          : "");
  return compute;
}

}  // namespace lacuna
