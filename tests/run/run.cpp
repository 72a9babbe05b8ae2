#include "run/run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "run/attempts.h"
#include "run/leftovers.h"
#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

Schema small_schema() {
  Schema schema;
  schema.add({
      key::integer("train.epochs", "10", "Epochs.").min(1),
      key::integer("train.threads", "1", "Threads.").min(1).execution(),
      key::number("optimizer.lr", "0.3", "Rate.").above(0),
      key::integer("seed", "1", "Seed."),
  });
  return schema;
}

Configuration configuration_of(const std::vector<std::string>& overrides) {
  return Configuration::from_text("", small_schema(), "test", overrides);
}

OpenedRun open(const std::filesystem::path& folder, const std::vector<std::string>& overrides,
               bool force = false, const Changeable& keys = {}) {
  return open_run(folder, configuration_of(overrides), small_schema(), force, keys);
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& each : std::filesystem::directory_iterator(folder))
    names.push_back(each.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("run: the default folder follows from the name of the TOML") {
  CHECK(default_run_folder("inputs/images/fashion-simclr.toml") == "runs/fashion-simclr");
}

TEST_CASE("run: a new folder holds the resolved configuration and nothing temporary remains") {
  const TemporaryFolder folder;
  const auto run = open(folder / "runs/x/", {"seed=7"});
  CHECK(run.is_new);
  CHECK(run.folder == folder / "runs/x");
  CHECK(stored_configuration(run.folder) == configuration_of({"seed=7"}).resolved());
  CHECK(names_in(folder / "runs") == std::vector<std::string>{"x"});
}

TEST_CASE("run: an equal configuration continues without a word") {
  const TemporaryFolder folder;
  open(folder / "x", {});
  const auto again = open(folder / "x", {});
  CHECK_FALSE(again.is_new);
  CHECK_FALSE(again.grown);
  CHECK(again.notes.empty());
}

TEST_CASE("run: execution keys may differ and epochs may grow which it says") {
  const TemporaryFolder folder;
  open(folder / "x", {});
  const auto again = open(folder / "x", {"train.threads=4", "train.epochs=20"});
  CHECK_FALSE(again.is_new);
  CHECK(again.grown);
  CHECK(again.notes == std::vector<std::string>{"train.epochs grows from 10 to 20",
                                                "train.threads is now 4, was 1"});
  // What was stored is what it was continued with.
  CHECK_THROWS_WITH(open(folder / "x", {}), Catch::Contains("train.epochs (20 there, 10 here)"));
}

TEST_CASE("run: a key that may change changes either way, and it says so") {
  const TemporaryFolder folder;
  open(folder / "x", {});
  const Changeable keys = {.may_change = {"optimizer.lr"}};
  const auto again = open(folder / "x", {"optimizer.lr=0.1"}, false, keys);
  CHECK(again.notes == std::vector<std::string>{"optimizer.lr is now 0.1, was 0.3"});
  CHECK_FALSE(again.grown);
  CHECK_THROWS_WITH(open(folder / "x", {}), Catch::Contains("optimizer.lr (0.1 there, 0.3 here)"));
}

TEST_CASE("run: any other difference is refused with all keys both values and the remedy") {
  const TemporaryFolder folder;
  open(folder / "x", {});
  const std::string name = (folder / "x").string();
  CHECK_THROWS_WITH(
      open(folder / "x", {"optimizer.lr=0.6", "seed=2", "train.threads=3"}),
      "run folder " + name +
          " was made with another optimizer.lr (0.3 there, 0.6 here), seed (1 there, 2 here): give "
          "another folder with --run, start from its weights with --init-from " +
          name + ", or move it aside with --force");
  CHECK(stored_configuration(folder / "x") == configuration_of({}).resolved());
}

TEST_CASE("run: force moves the old run aside and loses nothing") {
  const TemporaryFolder folder;
  open(folder / "x", {});
  overwrite(folder / "x/metrics.jsonl", "first");
  const auto second = open(folder / "x", {"seed=2"}, true);
  CHECK(second.is_new);
  CHECK(second.notes ==
        std::vector<std::string>{"moved the run that was there to " + (folder / "x.1").string() +
                                 "; leave --force out to go on with the new one"});
  overwrite(folder / "x/metrics.jsonl", "second");
  open(folder / "x", {"seed=3"}, true);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"x", "x.1", "x.2"});
  CHECK(content_of(folder / "x.1/metrics.jsonl") == "first");
  CHECK(content_of(folder / "x.2/metrics.jsonl") == "second");
  CHECK(stored_configuration(folder / "x") == configuration_of({"seed=3"}).resolved());
}

TEST_CASE("run: what is no run folder is not touched") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "thesis");
  overwrite(folder / "thesis/chapter.tex", "text");
  CHECK_THROWS_WITH(open(folder / "thesis", {}), Catch::Contains("it has no config.toml"));
  CHECK(names_in(folder / "thesis") == std::vector<std::string>{"chapter.tex"});
  overwrite(folder / "file", "text");
  CHECK_THROWS_WITH(open(folder / "file", {}), Catch::Contains("but a file"));
  CHECK_THROWS_WITH(stored_configuration(folder / "absent"), Catch::Contains("there is no run"));
  std::filesystem::create_directories(folder / "empty");
  CHECK(open(folder / "empty", {}).is_new);
}

TEST_CASE("run: what a process left that was killed as it made the folder goes") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    std::filesystem::create_directories(own_name(folder / ".x.creating-") / "checkpoints");
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  const std::string alive = ".x.creating-" + this_runner().host + "-" + std::to_string(::getppid());
  const std::string elsewhere = ".x.creating-elsewhere-" + std::to_string(child);
  for (const std::string& name : {alive, elsewhere}) overwrite(folder / name, "");
  REQUIRE(names_in(folder.path()).size() == 3);
  open(folder / "x", {});
  std::vector<std::string> left{alive, elsewhere, "x"};
  std::sort(left.begin(), left.end());
  CHECK(names_in(folder.path()) == left);
}

TEST_CASE("run: of several starts at once one makes the folder and the others continue it") {
  const TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int status = 2;
      try {
        status = open(folder / "runs/x", {}).is_new ? 1 : 0;
      } catch (...) {
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  int made = 0;
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) < 2);
    made += WEXITSTATUS(status);
  }
  CHECK(made == 1);
  CHECK(names_in(folder / "runs") == std::vector<std::string>{"x"});
}
