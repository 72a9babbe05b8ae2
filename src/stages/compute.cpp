#include "stages/compute.h"

#include <algorithm>

#include "base/build_info.h"
#include "base/log.h"
#include "comm/mpi.h"
#include "data/hdf5.h"
#include "stages/versions.h"

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

// A rule on the processor, not a timing, so that the same machine always does the same.
DType activations(const TrainOptions& options, const std::string& before, Isa isa, bool pays) {
  if (options.device == "reference") return DType::f64;
  std::string wanted = options.precision;
  if (wanted == "auto" && !before.empty()) wanted = before;
  if (wanted == "auto") wanted = pays ? "bf16" : "f32";
  if (wanted == "bf16" && isa < Isa::avx512) {
    bad_input(
        "train.precision is \"bf16\", which needs AVX-512 on every rank, and the instruction set ",
        "used is ", name_of(isa), ": set train.precision to \"f32\"");
  }
  return wanted == "bf16" ? DType::bf16 : DType::f32;
}

}  // namespace

Compute make_compute(const TrainOptions& options, StageContext& context,
                     const std::string& before) {
  const int leader = context.session != nullptr ? context.session->node_leader() : 0;
  const Placement placement = find_placement(context.communicator, view_of_this_rank(leader));
  Compute compute;
  compute.threads = options.threads > 0 ? static_cast<int>(options.threads) : placement.threads;
  const Isa isa = most_used(options, placement.isa);
  compute.dtype = activations(options, before, isa, isa >= placement.bf16_from);
  compute.device = make_device(options.device, compute.threads, isa);
  context.log.line(placement_line(placement), "; ", compute.device->name(), " device, ",
                   name_of(isa), ", ", name_of(compute.dtype), " activations");
  for (const std::string& warning : placement.warnings) context.log.warning(warning);
  const BuildInfo build = build_info();
  compute.environment = {.code_version = concat(build.version, " ", build.commit),
                         .mpi = mpi_version(),
                         .hdf5 = hdf5::version(),
                         .onednn = onednn_version(),
                         .ranks = context.communicator.size(),
                         .threads = compute.threads,
                         .instruction_set = std::string(name_of(isa)),
                         .precision = compute.dtype == DType::bf16  ? "bf16"
                                      : compute.dtype == DType::f32 ? "f32"
                                                                    : "f64"};
  return compute;
}

}  // namespace lacuna
