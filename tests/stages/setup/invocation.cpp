#include "stages/setup/invocation.h"
#include "stages/list.h"

#include <catch2/catch.hpp>

namespace lacuna {
namespace {

using Words = std::vector<std::string>;

std::vector<Stage> two_stages() {
  return {{{"pretrain", "CONFIG.toml", "A configuration.", "Trains.", {}}, true, nullptr},
          {{"inspect", "ANY.h5", "A file.", "Tells.", {}}, false, nullptr}};
}

std::string refusal(const Words& words) {
  try {
    interpret(two_stages(), words);
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("invocation: a stage gets its arguments") {
  const std::vector<Stage> stages = two_stages();
  const Invocation asked = interpret(stages, {"inspect", "a.h5"});
  CHECK(asked.stage == &stages[1]);
  CHECK(asked.arguments.argument() == "a.h5");
  CHECK(asked.text.empty());
}

TEST_CASE("invocation: an unknown stage or option gets the nearest one") {
  CHECK(refusal({"pretrian", "a.toml"}) == "there is no stage pretrian; did you mean pretrain?");
  CHECK(refusal({"xyzzy"}) == "there is no stage xyzzy; give pretrain or inspect");
  CHECK(refusal({"--versoin"}) == "there is no option --versoin; did you mean --version?");
  CHECK(refusal({}) == "no stage is given; give pretrain or inspect, or see lacuna --help");
}

TEST_CASE("invocation: what needs no other rank runs alone") {
  const std::vector<Stage> stages = two_stages();
  CHECK(runs_alone(stages, {"--help"}));
  CHECK(runs_alone(stages, {"--version"}));
  CHECK(runs_alone(stages, {"pretrain", "--help"}));
  CHECK(runs_alone(stages, {"inspect", "a.h5"}));
  CHECK(runs_alone(stages, {"inspect"}));
  CHECK_FALSE(runs_alone(stages, {"pretrain", "a.toml"}));
  CHECK_FALSE(runs_alone(stages, {"pretrain", "--foo"}));
  CHECK_FALSE(runs_alone(stages, {"pretrian"}));
  CHECK_FALSE(runs_alone(stages, {}));
}

TEST_CASE("invocation: help and version are texts for every stage of the program") {
  const std::vector<Stage> known = stages();
  const std::string all = interpret(known, {"--help"}).text;
  for (const Stage& stage : known) {
    CHECK_THAT(all, Catch::Contains(stage.syntax.summary));
    CHECK_THAT(interpret(known, {stage.syntax.stage, "--help"}).text,
               Catch::StartsWith("lacuna " + stage.syntax.stage + " " + stage.syntax.argument));
  }
  const std::string version = version_text();
  for (const char* part : {"lacuna 0.", "compiler", "MPI", "HDF5", "oneDNN", "instruction sets"}) {
    CHECK_THAT(version, Catch::Contains(part));
  }
}

}  // namespace lacuna
