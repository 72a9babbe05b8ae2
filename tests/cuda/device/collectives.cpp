// Collectives on the device's memory: NCCL's, between threads that are ranks.
#include <catch2/catch.hpp>

#include "cuda/device/on_device.h"
#include "cuda/device/support.h"
#include "support/thread_communicators.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

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

  constexpr size_t in_slices = 150;
  const size_t begin = slice_begin(in_slices, host.rank(), host.size());
  const size_t own = slice_begin(in_slices, host.rank() + 1, host.size()) - begin;
  OnDevice summands(*device, in_slices, static_cast<double>(rank));
  OnDevice slice(*device, own, 0);
  const Communicator::Term dealt_out{summands.memory.data(), slice.memory.data(), in_slices};
  nccl->scatter_sums({&dealt_out, 1}, DType::f64).wait();
  const double first_sum = n * (n - 1) / 2 + n * static_cast<double>(begin);
  CHECK(slice.read() == counting(own, first_sum, n));
  OnDevice together(*device, in_slices, 1000 * static_cast<double>(rank));
  const Communicator::Term parts{together.memory.data(), together.memory.data(), in_slices};
  nccl->gather_slices({&parts, 1}, DType::f64).wait();
  std::vector<double> of_all;
  for (int r = 0; r < host.size(); ++r)
    while (of_all.size() < slice_begin(in_slices, r + 1, host.size()))
      of_all.push_back(1000.0 * r + static_cast<double>(of_all.size()));
  CHECK(together.read() == of_all);

  OnDevice told(*device, 4, static_cast<double>(rank));
  nccl->broadcast(told.memory.data(), told.memory.bytes(), host.size() - 1).wait();
  CHECK(told.read() == counting(4, host.size() - 1));
}

}  // namespace

TEST_CASE("nccl: collectives of ranks with as many rows, and with unequal ones") {
  for (const std::vector<size_t>& rows : std::vector<std::vector<size_t>>{{3}, {4, 4}, {2, 5, 0}}) {
    const int ranks = static_cast<int>(rows.size());
    if (ranks > gpus()) continue;
    on_ranks(ranks, [&](Communicator& host) { check_collectives(host, rows); });
  }
}
