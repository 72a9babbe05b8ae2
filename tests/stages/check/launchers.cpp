#include "stages/check/launchers.h"

#include <catch2/catch.hpp>

using namespace lacuna;
using Catch::Matchers::Contains;

namespace {

const std::string without_pmix = "MPI plugin types are...\n\tnone\n\tcray_shasta\n\tpmi2\n";
const std::string with_pmix =
    "MPI plugin types are...\n\tnone\n\tpmi2\n\tpmix\nspecific pmix plugin versions available: "
    "pmix_v4\n";

LauncherFacts open_mpi(const std::string& offers) {
  return {.mpi = "Open MPI v4.1.4",
          .slurm = true,
          .asked = !offers.empty(),
          .offers = offers,
          .mpirun = "mpirun (Open MPI) 4.1.4\n"};
}

}  // namespace

TEST_CASE("Open MPI is started by srun where SLURM has PMIx, otherwise by mpirun") {
  const Launcher by_srun = choose_launcher(open_mpi(with_pmix));
  CHECK(by_srun.command == "srun --mpi=pmix --kill-on-bad-exit=1");
  CHECK_THAT(by_srun.why, Contains("Open MPI v4.1.4") && Contains("PMIx"));
  CHECK(by_srun.warnings.empty());

  const Launcher by_mpirun = choose_launcher(open_mpi(without_pmix));
  CHECK(by_mpirun.command == "mpirun --map-by slot:PE=$SLURM_CPUS_PER_TASK");
  CHECK_THAT(by_mpirun.why, Contains("no PMIx (none, cray_shasta, pmi2)"));
  REQUIRE(by_mpirun.warnings.size() == 1);
  CHECK_THAT(by_mpirun.warnings[0], Contains("train.checkpoint_minutes"));

  const Launcher silent = choose_launcher(open_mpi(""));
  CHECK(silent.command == by_mpirun.command);
  REQUIRE(silent.warnings.size() == 1);
  CHECK_THAT(silent.warnings[0], Contains("has not answered"));

  // A word of its own, as grep -w has it.
  CHECK(choose_launcher(open_mpi("none\npmix_v4\n")).command == by_mpirun.command);
}

TEST_CASE("another MPI is started by its mpiexec, and a launcher of the wrong MPI is named") {
  LauncherFacts facts = open_mpi(with_pmix);
  facts.mpi = "MPICH Version:\t4.0.2";
  const Launcher other = choose_launcher(facts);
  CHECK(other.command == "mpiexec");
  REQUIRE(other.warnings.size() == 1);
  CHECK_THAT(other.warnings[0], Contains("mpirun (Open MPI) 4.1.4\", and this program"));
  facts = open_mpi("");
  facts.slurm = false;
  CHECK(choose_launcher(facts).warnings.empty());
  facts.mpirun = "HYDRA build details:\n";
  CHECK(choose_launcher(facts).warnings.size() == 1);
  facts.mpirun = "";
  CHECK(choose_launcher(facts).warnings.empty());
}

TEST_CASE("LACUNA_LAUNCHER overrules") {
  LauncherFacts facts = open_mpi(with_pmix);
  facts.overruled = "srun --mpi=pmi2";
  CHECK(choose_launcher(facts).command == "srun --mpi=pmi2");
}

TEST_CASE("the line that starts ranks says how many where SLURM does not") {
  LauncherFacts facts = open_mpi(with_pmix);
  CHECK(launch_line(facts, choose_launcher(facts), 8, "lacuna x") ==
        "srun --mpi=pmix --kill-on-bad-exit=1 lacuna x");
  facts = open_mpi("");
  facts.slurm = false;
  CHECK(launch_line(facts, choose_launcher(facts), 8, "lacuna x") == "mpirun -n 8 lacuna x");
  facts.in_allocation = true;
  CHECK(launch_line(facts, choose_launcher(facts), 8, "lacuna x") ==
        "mpirun --map-by slot:PE=$SLURM_CPUS_PER_TASK lacuna x");
}
