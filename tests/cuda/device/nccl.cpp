// Collectives on the device's memory: NCCL's between threads that are ranks, on lazy streams.
#include <nccl.h>

#include <atomic>

#include <catch2/catch.hpp>
#include <numeric>

#include "cuda/device/support.h"
#include "kernels/elementwise.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

// A tensor of a rank's device, filled with numbers that tell rank and place.
struct OnDevice {
  OnDevice(Device& on, size_t count, double first)
      : device(on), memory(on, count * sizeof(double)), values(count) {
    std::iota(values.begin(), values.end(), first);
    device.copy_in(memory.data(), values.data(), memory.bytes());
  }
  std::vector<double> read() {
    device.copy_out(values.data(), memory.data(), memory.bytes());
    return values;
  }
  Device& device;
  DeviceMemory memory;
  std::vector<double> values;
};

std::vector<double> counting(size_t count, double first, double step = 1) {
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) values.push_back(first + step * static_cast<double>(i));
  return values;
}

void check_collectives(Communicator& host, const std::vector<size_t>& rows) {
  const auto device = cuda_device(host.rank());
  Communicator* nccl = device->communicator(host);
  REQUIRE(nccl != nullptr);
  const auto rank = static_cast<size_t>(host.rank());
  const size_t ranks = rows.size();
  const size_t all = std::accumulate(rows.begin(), rows.end(), size_t{0});
  const size_t before = std::accumulate(rows.begin(), rows.begin() + host.rank(), size_t{0});

  std::vector<size_t> bytes;
  for (const size_t n : rows) bytes.push_back(n * sizeof(double));
  OnDevice part(*device, rows[rank], static_cast<double>(before));
  OnDevice whole(*device, all, -1000);
  nccl->all_gather(part.memory.data(), whole.memory.data(), bytes).wait();
  CHECK(whole.read() == counting(all, 0));

  OnDevice a(*device, 5, static_cast<double>(rank));
  OnDevice b(*device, 3, 10);
  OnDevice sum(*device, 5, 0);
  const Communicator::Term terms[] = {{a.memory.data(), sum.memory.data(), 5},
                                      {b.memory.data(), b.memory.data(), 3}};
  nccl->all_reduce_sum(terms, DType::f64).wait();
  const auto n = static_cast<double>(ranks);
  CHECK(sum.read() == counting(5, n * (n - 1) / 2, n));
  CHECK(b.read() == counting(3, 10 * n, n));

  OnDevice terms_of_all(*device, all, 1);
  OnDevice mine(*device, rows[rank], 0);
  nccl->reduce_scatter_sum(terms_of_all.memory.data(), mine.memory.data(), rows, DType::f64).wait();
  CHECK(mine.read() == counting(rows[rank], n * (1 + static_cast<double>(before)), n));

  OnDevice told(*device, 4, static_cast<double>(rank));
  nccl->broadcast(told.memory.data(), told.memory.bytes(), 1).wait();
  CHECK(told.read() == counting(4, 1));
}

Trace two_ranks(uint64_t seed) {
  return three_steps("byol", [=](int rank) {
    cuda_double::set_seed(seed + static_cast<uint64_t>(rank));
    return cuda_device(rank);
  });
}

}  // namespace

TEST_CASE("nccl: collectives of ranks with as many rows, and with unequal ones") {
  on_ranks(2, [](Communicator& host) { check_collectives(host, {4, 4}); });
  on_ranks(3, [](Communicator& host) { check_collectives(host, {2, 5, 0}); });
}

TEST_CASE("nccl: training repeats bit for bit in whatever order streams run") {
  CHECK(two_ranks(77) == two_ranks(1));
}

namespace {

// Twice the sum over ranks of what is sent, without a wait of the host in between: kernel, collective, kernel.
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

TEST_CASE("nccl: two ranks on one GPU are refused by name") {
  const auto start = [] {
    on_ranks(2, [](Communicator& host) { cuda_device(0)->communicator(host); });
  };
  CHECK_THROWS_WITH(
      start(), Catch::Contains("ranks 0 and 1 have the same GPU") && Catch::Contains("01:00.0"));
}
