#include "run/lease.h"

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "support/temporary_folder.h"

using namespace lacuna;

namespace fs = std::filesystem;

namespace {

constexpr LeaseTimes quick{.beat = 0.05, .expiry = 1};

void nothing(const std::string&) {}

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

// Another program's lease, whose heart beats until it is destroyed.
class Holder {
 public:
  explicit Holder(fs::path what) : what_(std::move(what)) {
    write(lease_file(what_), text(0));
    thread_ = std::thread([this] {
      for (int beats = 1; !stop_; ++beats) {
        write(what_.string() + ".new", text(beats));
        fs::rename(what_.string() + ".new", lease_file(what_));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
  }
  ~Holder() {
    stop_ = true;
    thread_.join();
  }

 private:
  static std::string text(int beats) {
    return "host = 'elsewhere'\nprocess = 4\nbeats = " + std::to_string(beats) + "\n";
  }
  fs::path what_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("lease: is there while it is held, with what was made for it, and goes") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "runs" / "x";
  {
    const Lease lease(run, true, nothing, nothing, quick);
    const auto holder = read_lease(run);
    REQUIRE(holder);
    CHECK(text_of(holder->runner) == text_of(this_runner()));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    CHECK(read_lease(run)->beats > 1);
  }
  CHECK(fs::is_empty(folder.path()));
  CHECK_THROWS_WITH(Lease(run, false, nothing, nothing, quick), Catch::Contains("lease of"));
  {
    const Lease lease(run, true, nothing, nothing, quick);
    fs::create_directories(run);
  }
  CHECK(fs::exists(run));
  CHECK(!fs::exists(lease_file(run)));
}

TEST_CASE("lease: is of a place, however that is written") {
  const TemporaryFolder folder;
  const fs::path run = folder / "runs/x";
  const fs::path expected = fs::canonical(folder.path()) / "runs/x.lease";
  CHECK(lease_file(run) == expected);  // of a run that is to be made
  fs::create_directories(run);
  fs::create_directory_symlink(folder / "runs", folder / "link");
  fs::create_directory_symlink(run, folder / "run");
  for (const fs::path& other : {run / "", run / ".", folder / "runs/../runs/x", folder / "link/x",
                                folder / "run", fs::proximate(run)})
    CHECK(lease_file(other) == expected);
}

TEST_CASE("lease: of a program that lives is refused, of one that does not taken over") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "x";
  {
    const Holder other(run);
    CHECK_THROWS_WITH(Lease(run, true, nothing, nothing, quick),
                      Catch::Contains("is in use by elsewhere (process 4), which is alive"));
  }
  std::string told;
  const Lease lease(
      run, true, [&](const std::string& line) { told += line; }, nothing, quick);
  CHECK_THAT(told, Catch::Contains("waiting up to 1 s") && Catch::Contains("taking"));
  CHECK(text_of(read_lease(run)->runner) == text_of(this_runner()));
}

TEST_CASE("lease: half a file is one that is being made, or whose maker was killed") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "x";
  for (const char* half : {"", "host = 'els", "beats = 1\n"}) {
    write(lease_file(run), half);
    const Lease lease(run, true, nothing, nothing, quick);
    CHECK(text_of(read_lease(run)->runner) == text_of(this_runner()));
  }
}

TEST_CASE("lease: who has lost it is told, and does not take it from the other") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "x";
  std::atomic<bool> lost = false;
  {
    const Lease lease(
        run, true, nothing, [&](const std::string&) { lost = true; }, quick);
    const Holder other(run);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  CHECK(lost);
  CHECK(read_lease(run)->runner.host == "elsewhere");
}

TEST_CASE(
    "lease: of a killed process is taken at once, though its parent has not asked for it yet") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "x";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) == 0);
  write(lease_file(run).string() + "." + this_runner().host + "-" + std::to_string(child), "host");
  write(lease_file(run), "host = '" + this_runner().host + "'\nprocess = " + std::to_string(child) +
                             "\nbeats = 1\n");
  std::string told;
  {
    const Lease lease(
        run, true, [&](const std::string& line) { told += line; }, nothing, quick);
    CHECK(told.empty());
  }
  CHECK(fs::is_empty(folder.path()));  // nor is there what it wrote of its lease
  ::waitpid(child, nullptr, 0);
}

// As on a full disk, or one that became read-only: the name for the new text cannot be written to.
TEST_CASE(
    "lease: of a dead program that cannot be taken over is an error, and nothing stays behind") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "x";
  write(lease_file(run), "host = '" + this_runner().host + "'\nprocess = 999999999\nbeats = 1\n");
  const fs::path taken = lease_file(run).string() + "." + this_runner().host + "-" +
                         std::to_string(this_runner().process);
  fs::create_directory(taken);
  CHECK_THROWS_WITH(Lease(run, true, nothing, nothing, quick),
                    Catch::Contains("cannot take over the lease of " + run.string()));
  CHECK(read_lease(run)->runner.process == 999999999);
}
