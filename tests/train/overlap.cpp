// How much of slow communication a step hides behind its backward pass.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "comm/delayed.h"
#include "support/experiment.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double delay = 0.02;              // seconds a bucket
constexpr size_t bucket_bytes = 1 << 20;    // seven buckets
constexpr size_t least_bucket = 256 << 10;  // larger than any sum of statistics
constexpr int64_t batch = 64;

// One of two ranks that hold the same: what comes from the other one is a copy.
class TwinCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    std::memmove(all, mine, bytes[0]);
    std::memcpy(static_cast<char*>(all) + bytes[0], all, bytes[1]);
    return {};
  }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    if (dtype == DType::f64) twice(static_cast<double*>(data), count);
    if (dtype == DType::f32) twice(static_cast<float*>(data), count);
    if (count * size_of(dtype) >= least_bucket) ++buckets;
    return {};
  }
  Request reduce_scatter_sum(const void*, void*, std::span<const size_t>, DType) override {
    FAIL("not expected of this objective");
    return {};
  }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

  int buckets = 0;

 private:
  template <typename T>
  static void twice(T* data, size_t count) {
    for (size_t i = 0; i < count; ++i) data[i] *= 2;
  }
};

// Networks as slow, but nothing of it is hidden: nothing moves before somebody waits, or who issues
// a sum waits at once.
class IdleCommunicator : public TwinCommunicator {
 public:
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    TwinCommunicator::all_reduce_sum(data, count, dtype).wait();
    if (count * size_of(dtype) < least_bucket) return {};
    return Request(std::make_unique<Late>());
  }

 private:
  struct Late : Request::State {
    void wait() override { std::this_thread::sleep_for(Seconds(delay)); }
  };
};
class BlockingCommunicator : public TwinCommunicator {
 public:
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    if (count * size_of(dtype) >= least_bucket) std::this_thread::sleep_for(Seconds(delay));
    return TwinCommunicator::all_reduce_sum(data, count, dtype);
  }
};

// Steps of ResNet-18 of width 32 on 32x32 pixels in f32: 11 MiB of gradients, and a backward pass
// of more than a tenth of a second on one core.
class Steps {
 public:
  explicit Steps(Communicator& communicator)
      : experiment_("rotation", "cpu", 1, communicator, {.size = 32, .channels = 3, .width = 32},
                    with_small_buckets()),
        rows_(experiment_.batch(0, batch)) {
    experiment_.trainer().prepare(rows_.fields(), {batch, batch});
  }
  void step() {
    const auto begin = Clock::now();
    experiment_.trainer().step(rows_.fields(), {batch, batch}, done_++, 0.01, 0);
    least_ = std::min(least_, Seconds(Clock::now() - begin).count());
  }
  double least() const { return least_; }

 private:
  static StepOptions with_small_buckets() {
    StepOptions options;
    options.bucket_bytes = bucket_bytes;
    return options;
  }
  SmallExperiment experiment_;
  SmallBatch rows_;
  int64_t done_ = 0;
  double least_ = 1e9;
};

// Whether a step over `slow` is longer by less than `limit` seconds. Of both the least of several
// steps, taken in turns, since other work on the machine only adds; a busy machine is asked again,
// for as long as the answer is not the `expected` one.
bool lengthens_by_less_than(double limit, Communicator& slow, bool expected) {
  constexpr int least_rounds = 4, most_rounds = 40;
  TwinCommunicator twin;
  Steps fast_steps(twin);
  Steps slow_steps(slow);
  bool less = !expected;
  for (int round = 1; round <= most_rounds && (round <= least_rounds || less != expected);
       ++round) {
    fast_steps.step();
    slow_steps.step();
    less = slow_steps.least() - fast_steps.least() < limit;
  }
  return less;
}

int buckets_of_a_step() {
  TwinCommunicator twin;
  Steps(twin).step();
  return twin.buckets;
}

}  // namespace

TEST_CASE("slow sums of gradients lengthen a step by less than half of their delays") {
  const int buckets = buckets_of_a_step();
  REQUIRE(buckets >= 6);
  const double half = buckets * delay / 2;
  TwinCommunicator twin;
  const auto slow = delayed_communicator(twin, delay, least_bucket);
  CHECK(lengthens_by_less_than(half, *slow, true));
  // And where nothing is hidden, the same measurement says so.
  IdleCommunicator idle;
  CHECK(!lengthens_by_less_than(half, idle, false));
  BlockingCommunicator blocking;
  CHECK(!lengthens_by_less_than(half, blocking, false));
}
