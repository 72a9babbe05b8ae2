#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/log.h"
#include "comm/communicator.h"
#include "run/run.h"
#include "stages/keys/schema.h"
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

TEST_CASE("sweep: the table has the scores of finished runs, and which direction is better") {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.toml") << "[data]\nfiles = \"a.h5\"\ndataset = \"x\"\n"
                                      "[objective]\nname = \"simclr\"\n";
  std::ofstream(folder / "sweep.toml") << "pretrain = \"a.toml\"\nfinetune = \"b.toml\"\n"
                                          "[grid]\nseed = [1, 2, 3]\n";
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const Schema schema = schema_of("pretrain");
  const std::vector<std::string> results = {
      R"({"task":"ridge","draws":[0.5],"score":"mse","scores":{"mse":{"value":0.5,"low":0.25,)"
      R"("high":1,"better":"lower"},"r2":{"value":null,"low":null,"high":null,)"
      R"("better":"higher"}}})",
      R"({"task":"knn","accuracy":0.75,"draws":[0.75]})"};
  for (size_t run = 0; run < results.size(); ++run) {
    open_run(concat("runs/sweep/", run),
             Configuration::load("a.toml", schema, {concat("seed=", run + 1)}), schema);
    std::filesystem::create_directories(concat("runs/sweep/", run, "-finetuned"));
    std::ofstream(concat("runs/sweep/", run, "-finetuned/result.json")) << results[run] << "\n";
  }
  std::ostringstream table;
  std::streambuf* const terminal = std::cout.rdbuf(table.rdbuf());
  const std::vector<Stage> known = stages();
  const Invocation asked = interpret(known, {"sweep", "sweep.toml"});
  const auto communicator = self_communicator();
  Log log(-1, false, false, 10);
  StageContext context{*communicator, log, nullptr};
  asked.stage->run(asked.arguments, context);
  std::cout.rdbuf(terminal);
  std::filesystem::current_path(before);
  CHECK(table.str() ==
        "run\tseed\tstep\tloss\tmse\tbetter\tr2\n"
        "0\t1\t-\t-\t0.5\tlower\t-\n"
        "1\t2\t-\t-\t-\t-\t-\n"
        "2\t3\t-\t-\t-\t-\t-\n");
}

TEST_CASE("sweep: one thing is asked at a time") {
  CHECK_THROWS_WITH(sweep("seed = [1]\n", {"--count", "--task", "0"}),
                    Catch::Contains("give one of them"));
}
