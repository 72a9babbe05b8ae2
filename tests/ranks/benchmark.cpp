// What collectives cost here: run lacuna-tests-ranks "[benchmark]" under the launcher.
#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "ranks/world.h"

using namespace lacuna;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Median seconds of a call, over `rounds`, on this rank.
double median(int rounds, const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    call();
    times.push_back(seconds_since(start));
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<size_t>(rounds / 2)];
}

void say(const char* what, double value, const char* unit) {
  if (world().rank() == 0) std::printf("%-56s %10.2f %s\n", what, value, unit);
  std::fflush(stdout);
}

// Arithmetic that stays in registers; returns what a compiler cannot drop.
double work(int64_t steps) {
  volatile const double start = 1.5;
  double x = start;
  for (int64_t i = 0; i < steps; ++i) x = x * 0.999999 + 1e-6;
  return x;
}

// Seconds of processor time of all threads of the process but this one.
double other_threads_seconds() {
  const auto of = [](int who) {
    rusage usage{};
    getrusage(who, &usage);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  };
  return of(RUSAGE_SELF) - of(RUSAGE_THREAD);
}

}  // namespace

TEST_CASE("latency and throughput of collectives", "[.benchmark]") {
  const size_t ranks = static_cast<size_t>(world().size());
  std::vector<double> all(64 * ranks);
  const std::vector<size_t> bytes(ranks, 64 * sizeof(double));
  const std::vector<double> mine(64, 1);
  for (int i = 0; i < 100; ++i) world().barrier();
  say("barrier", 1e6 * median(2000, [] { world().barrier(); }), "us");
  say("all_gather of 512 bytes a rank",
      1e6 * median(2000, [&] { world().all_gather(mine.data(), all.data(), bytes).wait(); }), "us");
  std::vector<double> sums(128);
  say("all_reduce_sum of 1 KiB",
      1e6 * median(2000, [&] { world().all_reduce_sum(sums.data(), 128, DType::f64).wait(); }),
      "us");
  for (const size_t mib : {1, 4, 16, 64}) {
    std::vector<float> data(mib << 18, 1.f);
    world().all_reduce_sum(data.data(), data.size(), DType::f32).wait();
    const double seconds =
        median(9, [&] { world().all_reduce_sum(data.data(), data.size(), DType::f32).wait(); });
    char what[80];
    std::snprintf(what, sizeof(what), "all_reduce_sum of %zu MiB", mib);
    say(what, static_cast<double>(mib << 20) / seconds / 1e9, "GB/s");
  }
}

TEST_CASE("what waiting in the background costs", "[.benchmark]") {
  constexpr int64_t steps = 200'000'000;
  const bool last = world().rank() == world().size() - 1;
  world().barrier();
  (void)median(1, [] { CHECK(work(steps) > 0); });
  const double alone = median(3, [] { CHECK(work(steps) > 0); });
  world().barrier();
  say("arithmetic alone", 1e3 * alone, "ms");
  // All ranks but the last have issued a sum that cannot proceed while they compute.
  std::vector<float> data(1 << 20);
  const double before = other_threads_seconds();
  const auto start = Clock::now();
  Request request;
  if (!last) request = world().all_reduce_sum(data.data(), data.size(), DType::f32);
  const double waiting = median(3, [] { CHECK(work(steps) > 0); });
  const double used = (other_threads_seconds() - before) / seconds_since(start);
  if (last) request = world().all_reduce_sum(data.data(), data.size(), DType::f32);
  request.wait();
  say("the same while a sum waits for another rank", 1e3 * waiting, "ms");
  say("share of a core that other threads used meanwhile", 100 * used, "%");
}

TEST_CASE("large sums by size of their slices and small gathers past them", "[.benchmark]") {
  for (const size_t kib : {32, 64, 128, 256, 512, 1024}) {
    const auto communicator = mpi_communicator(session(), {.slice_bytes = kib << 10});
    const size_t ranks = static_cast<size_t>(communicator->size());
    std::vector<float> data(16 << 20);
    std::vector<double> all(64 * ranks);
    const std::vector<size_t> bytes(ranks, 64 * sizeof(double));
    const std::vector<double> mine(64, 1);
    const auto sum = [&] {
      return communicator->all_reduce_sum(data.data(), data.size(), DType::f32);
    };
    sum().wait();
    const double alone = median(7, [&] { sum().wait(); });
    std::vector<double> gathers;
    for (int round = 0; round < 7; ++round) {
      Request request = sum();
      gathers.push_back(
          median(10, [&] { communicator->all_gather(mine.data(), all.data(), bytes).wait(); }));
      request.wait();
    }
    std::sort(gathers.begin(), gathers.end());
    char what[80];
    std::snprintf(what, sizeof(what), "slices of %4zu KiB: all_reduce_sum of 64 MiB", kib);
    say(what, static_cast<double>(data.size() * 4) / alone / 1e9, "GB/s");
    say("    all_gather of 512 bytes past it", 1e6 * gathers[3], "us");
  }
}
