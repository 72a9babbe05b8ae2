#include "comm/agree.h"

#include <catch2/catch.hpp>

#include <atomic>

#include "support/thread_communicators.h"

using namespace lacuna;

namespace {

void fail_on(Communicator& communicator, std::vector<int> ranks) {
  for (const int rank : ranks) {
    if (rank == communicator.rank()) {
      throw Error(rank == 1 ? ExitStatus::no_space : ExitStatus::bad_input,
                  concat("rank ", rank, " cannot"));
    }
  }
}

}  // namespace

TEST_CASE("agreement without an error throws nothing and passes the result on") {
  on_ranks(3, [](Communicator& communicator) {
    if (agreed(communicator, [&] { return communicator.rank() * 10; }) !=
        communicator.rank() * 10) {
      throw std::logic_error("another result");
    }
    agreed(communicator, [] {});
  });
}

TEST_CASE("every rank throws the error of the lowest rank that has one") {
  std::atomic<int> thrown = 0;
  on_ranks(4, [&](Communicator& communicator) {
    try {
      agreed(communicator, [&] { fail_on(communicator, {3, 1}); });
    } catch (const AgreedError& error) {
      if (error.what() == std::string("rank 1 cannot") && error.rank() == 1 &&
          error.status() == ExitStatus::no_space) {
        ++thrown;
      }
    }
    communicator.barrier();  // the ranks are still in step
  });
  CHECK(thrown == 4);
}

TEST_CASE("an agreed error passes through an outer agreement once") {
  std::atomic<int> thrown = 0;
  on_ranks(3, [&](Communicator& communicator) {
    try {
      agreed(communicator, [&]() -> int {
        agreed(communicator, [&] { fail_on(communicator, {2}); });
        return 1;
      });
    } catch (const AgreedError& error) {
      if (error.rank() == 2) ++thrown;
    }
    communicator.barrier();
  });
  CHECK(thrown == 3);
}
