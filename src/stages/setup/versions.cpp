#include <dnnl.h>
#include <hwy/targets.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/build_info.h"
#include "base/text.h"
#include "comm/mpi.h"
#include "io/hdf5.h"
#include "stages/setup/invocation.h"
#include "stages/setup/versions.h"

namespace lacuna {
namespace {

// What the processor has for bfloat16, which Highway's names do not tell.
std::vector<std::string> bfloat16_units() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    if ((d >> 22 & 1u) != 0) names.emplace_back("AMX-BF16");
  }
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) {
    if ((a >> 5 & 1u) != 0) names.emplace_back("AVX512-BF16");
  }
#endif
  return names;
}

// The instruction sets that this processor and system offer, best first.
std::string instruction_sets() {
  std::vector<std::string> names = bfloat16_units();
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t rest = supported; rest != 0; rest &= rest - 1) {
    names.emplace_back(hwy::TargetName(rest & -rest));
  }
  return join(names);
}

}  // namespace

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return concat(version->major, ".", version->minor, ".", version->patch);
}

std::string version_text() {
  const BuildInfo build = build_info();
  return concat("lacuna ", build.version, build.commit.empty() ? "" : " ", build.commit, "\n",
                "compiler          ", build.compiler, ", ", build.build_type, "\n",
                "MPI               ", mpi_version(), "\n", "HDF5              ", hdf5::version(),
                "\n", "oneDNN            ", onednn_version(), "\n", "instruction sets  ",
                instruction_sets(), "\n");
}

}  // namespace lacuna
