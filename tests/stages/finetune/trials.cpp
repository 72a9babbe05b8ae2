#include "stages/finetune/trials.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <tuple>

#include "base/log.h"
#include "comm/communicator.h"
#include "io/sealed_file.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

TrialsOrigin origin() { return {"runs/x", 10, "1f", "3f2a", "3f2b", "1 rank"}; }

std::vector<Score> accuracy(double value) {
  return {{"accuracy", Direction::higher, value, {}}, {"nll", Direction::lower, 2 - value, {0, 2}}};
}

// trials.h5 as earlier versions wrote it.
void write_version_2(const std::filesystem::path& file) {
  hdf5::NewImage image = new_sealed_image(file, size_t{16} << 10);
  image.set("format", "lacuna trials");
  image.set("format_version", 2);
  image.set("run", "runs/x");
  image.set("step", 10);
  image.set("checkpoint", "1f");
  image.set("train_data_hash", "3f2a");
  image.set("test_data_hash", "3f2b");
  image.set("environment", "1 rank");
  const std::vector<std::string> names = {"draw 1, rate 0.1", "draw 1"};
  image.create_texts("/trial", names);
  const double none = TrialResult::none;
  const std::map<std::string, std::vector<double>> columns = {{"/test_accuracy", {none, 0.75}},
                                                              {"/held_out_accuracy", {0.5, 0.5}},
                                                              {"/chosen", {none, 0.1}}};
  for (const auto& [name, values] : columns)
    image.create_dataset(name, DType::f64, {2}).write(values.data(), DType::f64);
  write_sealed(file, "Trials of a run of Lacuna", image);
}

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
      return TrialResult{.held_out = accuracy(value)};
    };
  };
  {
    Trials trials(folder.path(), origin(), go_on, context);
    CHECK(trials.once("a", found(0.1)).held_out.at(0).value == 0.1);
    CHECK(trials.once("a", found(0.2)).held_out.at(0).value == 0.1);
    CHECK_THROWS(
        trials.once("b", [](const auto&) -> TrialResult { throw std::runtime_error("killed"); }));
  }
  Trials trials(folder.path(), origin(), go_on, context);
  const TrialResult a = trials.once("a", found(0.3));
  CHECK(a.held_out.at(0).value == 0.1);
  CHECK(a.test.empty());
  CHECK(trials.once("b", found(1.0 / 3)).held_out.at(0).value == 1.0 / 3);
  CHECK(runs == 2);
  CHECK(Trials(folder.path(), origin(), go_on, context).once("b", found(0)).held_out.at(0).value ==
        1.0 / 3);
}

TEST_CASE("trials: of a run of an earlier version the checksum of its classes is not known") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  const auto of_data = [](const char* train) {
    TrialsOrigin made = origin();
    made.train_data = train;
    return made;
  };
  for (const auto& [then, now, goes_on] : {std::tuple("3f-1", "77-9-5", true),
                                           {"3f-1-5", "3f-1-5", true},
                                           {"3f-1-5", "3f-1-6", false},
                                           {"3f-1", "77-9", false}}) {
    CAPTURE(then, now);
    const std::filesystem::path run = folder / now;
    std::filesystem::create_directories(run);
    Trials(run, of_data(then), go_on, context).once("a", [](const auto&) { return TrialResult{}; });
    if (goes_on)
      CHECK_NOTHROW(Trials(run, of_data(now), go_on, context));
    else
      CHECK_THROWS(Trials(run, of_data(now), go_on, context));
    std::filesystem::remove_all(run);
  }
}

TEST_CASE("trials: scores are kept with their directions and intervals") {
  const TemporaryFolder folder;
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  const auto ran = [&](const std::string& name) {
    return Trials(folder.path(), origin(), go_on, context).once(name, [](const auto&) {
      return TrialResult{.test = accuracy(0.25), .held_out = {}, .chosen = 3};
    });
  };
  ran("a");
  const TrialResult kept = ran("a");
  REQUIRE(kept.test.size() == 2);
  CHECK(kept.held_out.empty());
  CHECK(kept.chosen == 3);
  CHECK(kept.test[0].name == "accuracy");
  CHECK(std::isnan(kept.test[0].interval.low));
  CHECK(kept.test[1].name == "nll");
  CHECK(kept.test[1].better == Direction::lower);
  CHECK(kept.test[1].value == 1.75);
  CHECK(kept.test[1].interval.low == 0);
  CHECK(kept.test[1].interval.high == 2);
}

TEST_CASE("trials: a run that an earlier version began is continued") {
  const TemporaryFolder folder;
  write_version_2(folder / "trials.h5");
  const auto alone = self_communicator();
  Log silent(1, false, false, 10);
  StageContext context{*alone, silent, nullptr};
  const EarlyStop go_on({}, 0, {}, *alone);
  const auto not_again = [](const auto&) -> TrialResult { throw std::runtime_error("again"); };
  for (const bool written_anew : {false, true}) {
    CAPTURE(written_anew);
    Trials trials(folder.path(), origin(), go_on, context);
    const TrialResult tried = trials.once("draw 1, rate 0.1", not_again);
    CHECK(tried.test.empty());
    CHECK(tried.held_out.at(0).value == 0.5);
    const TrialResult draw = trials.once("draw 1", not_again);
    REQUIRE(draw.test.size() == 1);
    CHECK(draw.test[0].name == "accuracy");
    CHECK(draw.test[0].value == 0.75);
    CHECK(draw.chosen == 0.1);
    trials.once("draw 2", [](const auto&) { return TrialResult{.test = accuracy(0.5)}; });
  }
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
    return TrialResult{.test = accuracy(0.1)};
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
