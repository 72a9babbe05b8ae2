#include "stages/finetune/trials.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/log.h"
#include "comm/communicator.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

TrialsOrigin origin() { return {"runs/x", 10, "1f", "3f2a", "3f2b", "1 rank"}; }

}  // namespace

TEST_CASE("trials: what a process before has found is not done again") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  int runs = 0;
  const auto found = [&](double value) {
    return [&runs, value](const std::filesystem::path&) {
      ++runs;
      return TrialResult{.held_out_accuracy = value};
    };
  };
  {
    Trials trials(folder.path(), origin(), go_on, context);
    CHECK(trials.once("a", found(0.1)).held_out_accuracy == 0.1);
    CHECK(trials.once("a", found(0.2)).held_out_accuracy == 0.1);
    CHECK_THROWS(
        trials.once("b", [](const auto&) -> TrialResult { throw std::runtime_error("killed"); }));
  }
  Trials trials(folder.path(), origin(), go_on, context);
  const TrialResult a = trials.once("a", found(0.3));
  CHECK(a.held_out_accuracy == 0.1);
  CHECK(std::isnan(a.test_accuracy));
  CHECK(trials.once("b", found(1.0 / 3)).held_out_accuracy == 1.0 / 3);
  CHECK(runs == 2);
  CHECK(Trials(folder.path(), origin(), go_on, context).once("b", found(0)).held_out_accuracy ==
        1.0 / 3);
}

TEST_CASE("trials: the folder of a trial stays until its result is kept") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  Trials trials(folder.path(), origin(), go_on, context);
  std::filesystem::path own;
  const auto leave = [&](const std::filesystem::path& given) {
    own = given;
    std::filesystem::create_directories(own / "checkpoints");
  };
  CHECK_THROWS(trials.once("draw 1, rate 0.003", [&](const auto& given) -> TrialResult {
    leave(given);
    throw std::runtime_error("killed");
  }));
  CHECK(own == folder / "trials/draw-1-rate-0.003");
  CHECK(std::filesystem::exists(own));
  const auto run = [&](const std::filesystem::path& given) {
    CHECK(given == own);
    return TrialResult{};
  };
  trials.once("draw 1, rate 0.003", run);
  CHECK_FALSE(std::filesystem::exists(folder / "trials"));
  leave(own);
  trials.once("draw 1, rate 0.003", run);
  CHECK_FALSE(std::filesystem::exists(folder / "trials"));
}

TEST_CASE("trials: those of another checkpoint or other data are refused") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  Trials::check(folder.path(), origin(), context);  // nothing there
  const Trials first(folder.path(), origin(), go_on, context);
  Trials::check(folder.path(), origin(), context);
  const auto refused = [&](const TrialsOrigin& other, const std::string& words) {
    CHECK_THROWS_WITH(Trials(folder.path(), other, go_on, context), Catch::Contains(words));
    CHECK_THROWS_WITH(Trials::check(folder.path(), other, context), Catch::Contains(words));
  };
  TrialsOrigin other = origin();
  other.step = 20;
  refused(other, "is of step 10 of runs/x, and this start is of step 20 of runs/x");
  other = origin();
  other.checkpoint = "2f";
  refused(other, "with other weights");
  other = origin();
  other.test_data = "0";
  refused(other, "test 3f2b there, 0 here");
  other = origin();
  other.environment = "2 ranks";
  CHECK_NOTHROW(Trials(folder.path(), other, go_on, context));
}

TEST_CASE("trials: a damaged file is refused, whatever byte it is") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  Trials(folder.path(), origin(), go_on, context).once("a", [](const auto&) {
    return TrialResult{.test_accuracy = 0.1};
  });
  const std::filesystem::path file = folder / "trials.h5";
  const std::string whole = content_of(file);
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    overwrite(file, damaged);
    CHECK_THROWS_WITH(Trials::check(folder.path(), origin(), context),
                      Catch::Contains("trials.h5 is damaged") && Catch::Contains("--force"));
  }
  for (const size_t bytes : {size_t{0}, size_t{512}, whole.size() - 1}) {
    overwrite(file, whole.substr(0, bytes));
    CHECK_THROWS_WITH(Trials::check(folder.path(), origin(), context),
                      Catch::Contains("is damaged"));
  }
  overwrite(file, whole);
  CHECK_NOTHROW(Trials::check(folder.path(), origin(), context));
}
