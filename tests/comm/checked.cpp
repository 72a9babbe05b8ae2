#include "comm/checked.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "support/thread_communicators.h"

using namespace lacuna;

namespace {

// The sentence that both of two ranks throw, or "" where they agree.
std::string difference(const std::function<void(Communicator&)>& issue) {
  std::vector<std::string> sentences(2);
  on_ranks(2, [&](Communicator& inner) {
    const auto communicator = checked_communicator(inner);
    try {
      issue(*communicator);
    } catch (const Error& error) {
      sentences[static_cast<size_t>(inner.rank())] = error.what();
    }
  });
  CHECK(sentences[0] == sentences[1]);
  return sentences[0];
}

}  // namespace

TEST_CASE("ranks that issue the same collectives pass the check with the right results") {
  on_ranks(3, [&](Communicator& inner) {
    const auto communicator = checked_communicator(inner);
    double value = communicator->rank() + 1;
    communicator->all_reduce_sum(&value, 1, DType::f64).wait();
    communicator->broadcast(&value, sizeof(value), 2).wait();
    communicator->barrier();
    if (value != 6) throw std::logic_error("sum");
  });
}

TEST_CASE("ranks that issue different collectives or sizes are both told") {
  using Catch::Contains;
  double values[4] = {};
  CHECK_THAT(difference([&](Communicator& c) {
               c.all_reduce_sum(values, c.rank() == 0 ? 2 : 3, DType::f64).wait();
             }),
             Contains("number 1 ") && Contains("of 2 float64") && Contains("of 3 float64"));
  CHECK_THAT(difference([&](Communicator& c) {
               if (c.rank() == 0) return c.barrier();
               c.broadcast(values, 8, 0).wait();
             }),
             Contains("barrier") && Contains("broadcast"));
  CHECK_THAT(difference([&](Communicator& c) { c.broadcast(values, 8, c.rank()).wait(); }),
             Contains("from rank 0") && Contains("from rank 1"));
  CHECK_THAT(difference([&](Communicator& c) {
               const std::vector<size_t> bytes = {c.rank() == 0 ? 8u : 0u, c.rank() == 0 ? 0u : 8u};
               std::vector<double> all(1);
               c.all_gather(values, all.data(), bytes).wait();
             }),
             Contains("all_gather"));
}
