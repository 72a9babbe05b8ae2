#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "comm/communicator.h"
#include "stages/list.h"
#include "stages/setup/invocation.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

// `lacuna sweep sweep.toml WORDS` of a grid with these lines.
void sweep(const std::string& lines, const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  const std::string file = (folder / "sweep.toml").string();
  std::ofstream(folder / "a.toml") << "[data]\nfiles = \"a.h5\"\ndataset = \"x\"\n"
                                      "[objective]\nname = \"simclr\"\n";
  std::ofstream(file) << "pretrain = \"a.toml\"\n[grid]\n" << lines;
  std::vector<std::string> all{"sweep", file};
  all.insert(all.end(), words.begin(), words.end());
  const std::vector<Stage> known = stages();
  const Invocation asked = interpret(known, all);
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  StageContext context{*communicator, log, nullptr};
  asked.stage->run(asked.arguments, context);
}

}  // namespace

TEST_CASE("sweep: a grid of more runs than anybody can queue is refused") {
  std::ostringstream lines;
  for (int axis = 0; axis < 70; ++axis) lines << "a" << axis << " = [1, 2]\n";
  CHECK_THROWS_WITH(sweep(lines.str(), {"--count"}), Catch::Contains("more than 100000 runs"));
}

TEST_CASE("sweep: values that no run can have are refused before any is queued") {
  CHECK_NOTHROW(sweep("seed = [1, 2]\n", {"--count"}));
  CHECK_THROWS_WITH(sweep("optimizer.lr = [0.1, nan]\n", {"--count"}),
                    Catch::Contains("optimizer.lr is nan"));
  CHECK_THROWS_WITH(sweep("data.label = [\"a\", \"b\\nc\"]\n", {"--count"}),
                    Catch::Contains("line 3: a value of data.label takes several lines"));
}

TEST_CASE("sweep: one thing is asked at a time") {
  CHECK_THROWS_WITH(sweep("seed = [1]\n", {"--count", "--task", "0"}),
                    Catch::Contains("give one of them"));
}
