#include "run/attempts.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

#include "support/temporary_folder.h"

using namespace lacuna;

namespace {

// As SLURM starts a job.
struct Job {
  explicit Job(const char* id) { setenv("SLURM_JOB_ID", id, 1); }
  ~Job() { unsetenv("SLURM_JOB_ID"); }
};

}  // namespace

TEST_CASE("attempts: what a start did is read again") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "attempts.toml";
  CHECK(read_attempts(file).empty());
  AttemptLog(file, 4, "step 0").end(ExitStatus::bad_values, "the \"loss\" is no number", "step 0");
  const AttemptLog running(file, 2, "step 7");
  const std::vector<Attempt> all = read_attempts(file);
  REQUIRE(all.size() == 2);
  CHECK(all[0].status == 3);
  CHECK(all[0].why == "the \"loss\" is no number");
  CHECK(all[0].ranks == 4);
  CHECK(!all[1].status);
  CHECK(all[1].at == "step 7");
  CHECK(text_of(all[1].runner) == text_of(this_runner()));
}

TEST_CASE("attempts: a job gets two restarts without progress") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "attempts.toml";
  const auto early = [&](const char* from, const char* to) {
    return AttemptLog(file, 1, from).end(ExitStatus::requeue, "", to);
  };
  for (int i = 0; i < 5; ++i)
    CHECK(!early("step 1", "step 1"));  // outside SLURM it is the user's affair
  const Job job("12");
  CHECK(!early("step 1", "step 1"));
  CHECK(!early("step 1", "step 1"));
  CHECK(!early("step 1", "step 2"));
  CHECK(!early("step 2", "step 2"));
  CHECK(!early("step 2", "step 2"));
  CHECK(early("step 2", "step 2"));
  CHECK_THROWS_WITH(AttemptLog(file, 1, "step 2"),
                    Catch::Contains("job 12 was started 3 times at step 2"));
  CHECK_NOTHROW(AttemptLog(file, 1, "step 3"));
  const Job other("13");
  CHECK_NOTHROW(AttemptLog(file, 1, "step 2"));
}

TEST_CASE("attempts: a restart is of the job that was last, and later than that start") {
  const auto of = [](const char* job, int64_t restart) {
    return Runner{.job = job, .restart = restart, .host = "a", .process = 1};
  };
  std::vector<Attempt> all(2), outside(1);
  all[0].runner = of("11", 0);
  all[1].runner = of("12", 1);
  outside[0].runner = of("", 0);
  CHECK(is_restart_of_last(all, of("12", 2)));
  CHECK_FALSE(is_restart_of_last(all, of("12", 1)));  // again in the same script
  CHECK_FALSE(is_restart_of_last(all, of("11", 1)));
  CHECK_FALSE(is_restart_of_last(all, of("13", 1)));
  CHECK_FALSE(is_restart_of_last({}, of("12", 2)));
  CHECK_FALSE(is_restart_of_last(outside, of("", 1)));
}

TEST_CASE("attempts: a damaged record says what to do") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "attempts.toml";
  std::ofstream(file) << "[[attempt]\n";
  CHECK_THROWS_WITH(read_attempts(file),
                    Catch::Contains("damaged") && Catch::Contains("remove it"));
  std::ofstream(file) << "a = 1\n\xff = 2\n";
  CHECK_THROWS_WITH(read_attempts(file), Catch::Contains("line 2: a byte that is not UTF-8"));
}
