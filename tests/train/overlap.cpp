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

// The fault: a network as slow on which nothing moves before somebody waits.
class IdleCommunicator : public TwinCommunicator {
 public:
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    TwinCommunicator::all_reduce_sum(data, count, dtype).wait();
    if (count * size_of(dtype) < least_bucket) return {};
    return Request(std::make_unique<Late>());
  }

 private:
  struct Late : Request::State {
    void wait() override { std::this_thread::sleep_for(std::chrono::duration<double>(delay)); }
  };
};

// By how many seconds a communicator lengthens the step of ResNet-18 of width 32 on 32x32 pixels in
// f32: 11 MiB of gradients, and a backward pass of more than a tenth of a second on one core. The only
// thread waits for sums where they are late, so what the step waits is what it is longer; unlike a
// difference of two steps' times that says something on a busy machine too. The least of a few steps.
double lengthening(Communicator& communicator) {
  TrainerOptions options;
  options.bucket_bytes = bucket_bytes;
  SmallExperiment experiment("rotation", "cpu", 1, communicator,
                             {.size = 32, .channels = 3, .width = 32}, options);
  const SmallBatch rows = experiment.batch(0, batch);
  Trainer& trainer = experiment.trainer();
  trainer.prepare(rows.fields(), {batch, batch});
  double least = 1e9;
  for (int64_t step = 0; step < 4; ++step) {
    const double before = trainer.executor().times().communicate;
    trainer.step(rows.fields(), {batch, batch}, step, 0.01, 0);
    least = std::min(least, trainer.executor().times().communicate - before);
  }
  return least;
}

}  // namespace

TEST_CASE("slow sums of gradients lengthen a step by less than half of their delays") {
  TwinCommunicator twin;
  const double without = lengthening(twin);
  const int buckets = twin.buckets / 4;  // steps
  REQUIRE(buckets >= 6);
  const double sum = buckets * delay;
  CHECK(without < 0.1 * sum);
  const auto slow = delayed_communicator(twin, delay, least_bucket);
  CHECK(lengthening(*slow) < sum / 2);
  // And where nothing is hidden, the same measurement says so.
  IdleCommunicator idle;
  CHECK(lengthening(idle) > 0.9 * sum);
}
