#include "stages/check/estimate.h"

#include <catch2/catch.hpp>

#include "base/text.h"

using namespace lacuna;

TEST_CASE("a step is computing, loading beside it or between, and sums over ranks") {
  const Measured measured{.compute_seconds = 0.1,
                          .read_seconds = 1e-3,
                          .make_seconds = 3e-3,
                          .samples = 64,
                          .threads = 4};
  const Network network{.traffic = {100, 1.4e8}, .bytes_per_second = 1e9, .latency = 1e-4};
  const StepEstimate between = estimate_step(measured, network);
  CHECK(between.load == Approx(0.064));
  CHECK(between.sums == Approx(0.15));
  CHECK(between.seconds() == Approx(0.314));
  Measured beside = measured;
  beside.beside = true;
  CHECK(estimate_step(beside, network).seconds() == Approx(0.25));
  beside.threads = 1;
  CHECK(estimate_step(beside, network).seconds() == Approx(0.256 + 0.15));
  CHECK(estimate_step(measured, {.traffic = {100, 0}}).sums == 0);
}

TEST_CASE("sbatch is told in the words of the job scripts") {
  JobRequest request{.ranks = 8, .nodes = 2, .threads = 3, .memory = 1e9, .seconds = 3000};
  CHECK(join(sbatch_words(request), " ") ==
        "--nodes=2 --ntasks-per-node=4 --cpus-per-task=3 --mem=4600M --time=01:05:00");
  request.gpus = true;
  request.threads = 0;
  request.seconds.reset();
  CHECK(join(sbatch_words(request), " ") ==
        "--nodes=2 --ntasks-per-node=4 --gpus-per-node=4 --mem=4600M");
}

TEST_CASE("wall time has a margin, in whole minutes, as SLURM reads it") {
  CHECK(wall_seconds(0) == 300);
  CHECK(wall_seconds(1) == 360);
  CHECK(wall_seconds(3000) == 3900);
  CHECK(slurm_time(300) == "00:05:00");
  CHECK(slurm_time(86399) == "23:59:59");
  CHECK(slurm_time(2 * 86400 + 3 * 3600 + 240) == "2-03:04:00");
}
