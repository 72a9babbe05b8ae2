#include <catch2/catch.hpp>
#include <fstream>

#include "base/log.h"
#include "comm/communicator.h"
#include "stages/invocation.h"
#include "train/temporary_folder.h"

using namespace lacuna;

TEST_CASE("sweep: a grid of more runs than anybody can queue is refused") {
  const TemporaryFolder folder;
  const std::string file = (folder / "sweep.toml").string();
  {
    std::ofstream grid(file);
    grid << "pretrain = \"a.toml\"\n[grid]\n";
    for (int axis = 0; axis < 70; ++axis) grid << "a" << axis << " = [1, 2]\n";
  }
  const std::vector<Stage> known = stages();
  const Invocation asked = interpret(known, {"sweep", file, "--count"});
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  StageContext context{*communicator, log, nullptr};
  CHECK_THROWS_WITH(asked.stage->run(asked.arguments, context),
                    Catch::Contains("more than 100000 runs"));
}
