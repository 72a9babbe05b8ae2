#include "base/log.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace lacuna {
namespace {

// Both ends of a pipe; what was written so far can be taken out.
class Pipe {
 public:
  Pipe() { REQUIRE(pipe2(ends_.data(), O_NONBLOCK) == 0); }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int in() const { return ends_[1]; }
  std::string take() const {
    std::array<char, 65536> buffer{};
    const ssize_t count = read(ends_[0], buffer.data(), buffer.size());
    return count <= 0 ? "" : std::string(buffer.data(), static_cast<size_t>(count));
  }

 private:
  std::array<int, 2> ends_{};
};

}  // namespace

TEST_CASE("log: each event is a line and a silent rank writes none") {
  const Pipe pipe;
  Log speaking(pipe.in(), true, false, 10);
  speaking.line("epoch ", 3, " of ", 100);
  speaking.warning("2 cores are idle");
  CHECK(pipe.take() == "epoch 3 of 100\nwarning: 2 cores are idle\n");
  Log silent(pipe.in(), false, false, 0);
  silent.line("epoch");
  silent.warning("w");
  silent.progress("p");
  silent.finish_progress("p");
  CHECK_FALSE(silent.progress_due());
  CHECK(pipe.take().empty());
}

TEST_CASE("log: progress off a terminal is a line per interval") {
  const Pipe pipe;
  Log log(pipe.in(), true, false, 3600);
  CHECK(log.progress_due());
  log.progress("1 %");
  CHECK_FALSE(log.progress_due());
  log.progress("2 %");
  log.finish_progress("100 %");
  CHECK(pipe.take() == "1 %\n100 %\n");
  log.set_interval(0);
  log.progress("1 %");
  log.progress("2 %");
  CHECK(pipe.take() == "1 %\n2 %\n");
}

TEST_CASE("log: progress on a terminal replaces itself and stays below other lines") {
  const Pipe pipe;
  Log log(pipe.in(), true, true, 3600);
  log.progress("1 %");
  log.progress("2 %");  // sooner than a tenth of a second
  log.line("checkpoint");
  log.finish_progress("100 %");
  log.line("done");
  CHECK(pipe.take() == "\r\x1b[K1 %\r\x1b[Kcheckpoint\n1 %\r\x1b[K100 %\ndone\n");
}

TEST_CASE("log: lines of several threads stay whole") {
  const Pipe pipe;
  Log log(pipe.in(), true, false, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) log.line("0123456789");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = pipe.take();
  std::string whole;
  for (int i = 0; i < 400; ++i) whole += "0123456789\n";
  CHECK(text == whole);
}

// As the ranks of a run that are given one file or pipe.
TEST_CASE("log: lines of several processes stay whole") {
  constexpr int processes = 4, lines = 200;
  constexpr size_t width = 300;
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  for (int p = 0; p < processes; ++p) {
    if (fork() != 0) continue;
    Log log(ends[1], true, false, 0);
    for (int i = 0; i < lines; ++i) log.warning(std::string(width, static_cast<char>('a' + p)));
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t n; (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<size_t>(n));
  close(ends[0]);
  while (wait(nullptr) > 0) continue;
  std::istringstream told(text);
  int whole = 0;
  for (std::string line; std::getline(told, line); ++whole)
    if (line != "warning: " + std::string(width, line.back())) break;
  CHECK(whole == processes * lines);
}

TEST_CASE("log: a pipe is no terminal") {
  const Pipe pipe;
  CHECK_FALSE(watched_on_terminal(pipe.in()));
}

}  // namespace lacuna
