// What the doubles show of collectives: the order of lazy streams, and ranks that are lost.
#include <nccl.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "backend/cuda/runtime.h"
#include "cuda/device/on_device.h"
#include "cuda/device/support.h"
#include "kernels/elementwise.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

Trace two_ranks(uint64_t seed) {
  return three_steps("byol", [=](int rank) {
    cuda_double::set_seed(seed + static_cast<uint64_t>(rank));
    return cuda_device(rank);
  });
}

}  // namespace

TEST_CASE("nccl: training repeats bit for bit in whatever order streams run") {
  CHECK(two_ranks(77) == two_ranks(1));
}

namespace {

// Twice the sum over ranks of what is sent, without a wait of the host in between: kernel,
// collective, kernel.
bool sums_are_right(Communicator& host, cuda_double::Fault fault) {
  const auto device = cuda_device(host.rank());
  Communicator* nccl = device->communicator(host);
  OnDevice x(*device, 16, 1);
  cuda_double::plant(fault);
  const View view{x.memory.data(), DType::f64, Shape{16}};
  const Kernel twice = device->find("scale", DType::f64);
  const Attributes two = Scale{2};
  bool right = true;
  for (int run = 0; run < 8; ++run) {
    device->copy_in(x.memory.data(), counting(16, 1).data(), x.memory.bytes());
    twice({{&view, 1}, {&view, 1}, two, device->context()});
    nccl->all_reduce_sum(x.memory.data(), 16, DType::f64).wait();
    twice({{&view, 1}, {&view, 1}, two, device->context()});
    right = right && x.read() == counting(16, 8, 8);
  }
  cuda_double::plant(cuda_double::Fault::none);
  cuda_double::forget_all();
  return right;
}

}  // namespace

TEST_CASE("nccl: sums on the wrong stream are caught") {
  for (const auto fault : {cuda_double::Fault::none, cuda_double::Fault::stream_of_sums}) {
    std::atomic<int> right = 0;
    on_ranks(2, [&](Communicator& host) { right += sums_are_right(host, fault) ? 1 : 0; });
    CHECK((right == 2) == (fault == cuda_double::Fault::none));
  }
}

TEST_CASE("nccl: a lost rank ends the run instead of a hang") {
  std::atomic<int> errors = 0;
  on_ranks(2, [&](Communicator& host) {
    const auto device = cuda_device(host.rank());
    Communicator* nccl = device->communicator(host);
    OnDevice x(*device, 4, 0);
    if (host.rank() == 1) return;  // and never joins
    Request sum = nccl->all_reduce_sum(x.memory.data(), 4, DType::f64);
    sum.wait();
    cuda_double::lose_a_rank(true);
    try {
      x.read();
    } catch (const Error& error) {
      CHECK(error.status() == ExitStatus::lost_rank);
      ++errors;
    }
    cuda_double::lose_a_rank(false);
    cuda_double::forget_all();
  });
  CHECK(errors == 1);
}

// Its recorded steps hold the communicator, and its streams what never ends.
TEST_CASE("nccl: a rank that is lost in recorded steps ends the run too") {
  std::atomic<int> errors = 0;
  on_ranks(2, [&](Communicator& host) {
    try {
      SmallExperiment experiment("simclr", cuda_device(host.rank()), host, small_images);
      experiment.trainer().prepare(experiment.batch(0, rows).fields(), {rows, rows});
      for (int64_t step = 0; step < 5; ++step) train_step(experiment, host.rank(), 2, step);
      cuda_double::finish_all();
      if (host.rank() == 1) return;  // in order; the other goes on
      cuda_double::lose_a_rank(true);
      train_step(experiment, 0, 2, 5);
    } catch (const Error& error) {
      CHECK(error.status() == ExitStatus::lost_rank);
      ++errors;
    }
    cuda_double::lose_a_rank(false);
    cuda_double::forget_all();
  });
  CHECK(errors == 1);
}

TEST_CASE("nccl: a communicator that ends before what was recorded with it is caught") {
  const auto device = cuda_device();
  OnDevice x(*device, 4, 1);
  const cuda::Stream stream;
  ncclUniqueId id{};
  ncclComm_t communicator = nullptr;
  ncclGetUniqueId(&id);
  ncclCommInitRank(&communicator, 1, id, 0);
  cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal);
  ncclAllReduce(x.memory.data(), x.memory.data(), 4, ncclFloat64, ncclSum, communicator,
                stream.get());
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream.get(), &graph);
  CHECK_THROWS_WITH(ncclCommDestroy(communicator), Catch::Contains("a recorded step holds it"));
  cudaGraphDestroy(graph);
  CHECK(ncclCommDestroy(communicator) == ncclSuccess);
}
