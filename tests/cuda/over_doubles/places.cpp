// Which GPU a rank has, and that no two have the same.
#include <catch2/catch.hpp>

#include "comm/placement.h"
#include "cuda/device/support.h"
#include "support/thread_communicators.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

void ranks_take(const std::vector<int>& local_ranks) {
  on_ranks(static_cast<int>(local_ranks.size()), [&](Communicator& ranks) {
    const auto device = cuda_device(local_ranks[static_cast<size_t>(ranks.rank())]);
    refuse_shared_devices(ranks, device->address());
  });
}

}  // namespace

TEST_CASE("cuda: each rank of a node takes the next of the GPUs that it sees") {
  CHECK_NOTHROW(ranks_take({0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_CASE("cuda: two ranks on one GPU are refused by name") {
  using Catch::Contains;
  CHECK_THROWS_WITH(ranks_take({0, 1, 1}),
                    Contains("ranks 1 and 2 have the same GPU (0000:02:00.0 on ") &&
                        Contains("--gpus-per-task=1"));
  // More ranks than GPUs: the ninth begins anew.
  CHECK_THROWS_WITH(ranks_take({0, 1, 2, 3, 4, 5, 6, 7, 8}), Contains("ranks 0 and 8"));
}
