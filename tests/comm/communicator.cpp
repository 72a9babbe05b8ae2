// The communicators of one rank and of threads; those over MPI are tested in tests/ranks/.
#include "comm/communicator.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "support/thread_communicators.h"

using namespace lacuna;

TEST_CASE("a communicator of one rank copies") {
  const auto self = self_communicator();
  const std::vector<int> mine = {1, 2, 3};
  std::vector<int> all(3);
  self->all_gather(mine.data(), all.data(), std::vector<size_t>{12}).wait();
  CHECK(all == mine);
  std::vector<double> data = {4, 5};
  self->all_reduce_sum(data.data(), 2, DType::f64).wait();
  CHECK(data == std::vector<double>{4, 5});
  std::vector<double> part(2);
  self->reduce_scatter_sum(data.data(), part.data(), std::vector<size_t>{2}, DType::f64).wait();
  CHECK(part == data);
  self->broadcast(data.data(), 16, 0).wait();
  self->barrier();
}

TEST_CASE("communicators of threads do every collective with unequal counts") {
  on_ranks(3, [](Communicator& c) {
    const auto check = [](bool right) {
      if (!right) throw std::logic_error("a collective gave another result");
    };
    const size_t rank = static_cast<size_t>(c.rank());
    const std::vector<size_t> counts = {2, 0, 1};
    std::vector<int64_t> mine(counts[rank], c.rank() + 1), all(3);
    const std::vector<size_t> bytes = {16, 0, 8};
    Request gather = c.all_gather(mine.data(), all.data(), bytes);
    std::vector<float> sum = {1, static_cast<float>(c.rank())};
    Request reduce = c.all_reduce_sum(sum.data(), 2, DType::f32);
    reduce.wait();  // in another order than issued
    gather.wait();
    check(all == std::vector<int64_t>{1, 1, 3});
    check(sum == std::vector<float>{3, 3});
    const std::vector<int64_t> data = {1, 10, c.rank()};
    std::vector<int64_t> part(counts[rank]);
    c.reduce_scatter_sum(data.data(), part.data(), counts, DType::i64).wait();
    check(part == (rank == 0   ? std::vector<int64_t>{3, 30}
                   : rank == 1 ? std::vector<int64_t>{}
                               : std::vector<int64_t>{3}));
    int64_t value = c.rank();
    c.broadcast(&value, 8, 2).wait();
    check(value == 2);
    c.barrier();
  });
}

TEST_CASE("a rank that stays away ends the wait of the others") {
  const auto communicators = thread_communicators(2, 0.05);
  CHECK_THROWS_AS(communicators[0]->barrier(), Error);
}

TEST_CASE("ranks that are absent count what a rank would send") {
  Traffic traffic;
  const auto ranks = absent_ranks(4, &traffic);
  CHECK(ranks->size() == 4);
  std::vector<float> values(100);
  ranks->all_reduce_sum(values.data(), 100, DType::f32).wait();
  CHECK(traffic.bytes == 2 * 400 * 0.75);
  const std::vector<size_t> parts = {40, 40, 40, 40};
  ranks->all_gather(values.data(), values.data(), parts).wait();
  CHECK(traffic.bytes == 600 + 120);
  const Communicator::Term terms[] = {{values.data(), values.data(), 10},
                                      {values.data(), values.data(), 20}};
  ranks->all_reduce_sum(terms, DType::f32).wait();
  CHECK(traffic.bytes == 720 + 180);
  CHECK(traffic.messages == 3);
}
