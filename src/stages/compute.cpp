#include "stages/compute.h"

#include "base/log.h"

#include "base/build_info.h"
#include "comm/mpi.h"
#include "data/hdf5.h"
#include "stages/versions.h"

namespace lacuna {

namespace {

// A rule on the processor, not a timing (docs/performance.md): bf16 pays where matrix units are.
DType activations(const TrainOptions& options, const std::string& before, Isa isa) {
  if (options.device == "reference") return DType::f64;
  std::string wanted = options.precision;
  if (wanted == "auto" && !before.empty()) wanted = before;
  if (wanted == "auto") wanted = isa >= Isa::amx ? "bf16" : "f32";
  if (wanted == "bf16" && isa < Isa::avx512) {
    bad_input(
        "train.precision is \"bf16\", which needs AVX-512 on every rank, and the least of the ",
        "processors has ", name_of(isa), ": set train.precision to \"f32\"");
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
  compute.dtype = activations(options, before, placement.isa);
  compute.device = make_device(options.device, compute.threads);
  context.log.line(placement_line(placement), "; ", compute.device->name(), " device, ",
                   name_of(placement.isa), ", ", name_of(compute.dtype), " activations");
  for (const std::string& warning : placement.warnings) context.log.warning(warning);
  const BuildInfo build = build_info();
  compute.environment = {.code_version = concat(build.version, " ", build.commit),
                         .mpi = mpi_version(),
                         .hdf5 = hdf5::version(),
                         .onednn = onednn_version(),
                         .ranks = context.communicator.size(),
                         .threads = compute.threads,
                         .instruction_set = std::string(name_of(placement.isa)),
                         .precision = compute.dtype == DType::bf16  ? "bf16"
                                      : compute.dtype == DType::f32 ? "f32"
                                                                    : "f64"};
  return compute;
}

}  // namespace lacuna
