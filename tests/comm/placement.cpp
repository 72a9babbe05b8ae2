#include "comm/placement.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <numeric>
#include <string>

#include "comm/agree.h"
#include "support/thread_communicators.h"

using namespace lacuna;
using Catch::Contains;

namespace {

constexpr double none = std::numeric_limits<double>::infinity();

RankView view(int leader, std::vector<int> mask, int allowed, double quota = none) {
  const uint64_t machine = static_cast<uint64_t>(leader) + 1;
  return {.host = "node" + std::to_string(leader),
          .node_leader = leader,
          .machine = machine,
          .control_group = machine,
          .quota = quota,
          .mask = std::move(mask),
          .allowed = allowed,
          .isa = Isa::avx512};
}

std::vector<int> cores(int first, int count) {
  std::vector<int> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), first);
  return all;
}

}  // namespace

TEST_CASE("two ranks bound to a core each use a machine of two cores") {
  const std::vector<RankView> ranks = {view(0, {0}, 2), view(0, {1}, 2)};
  const Placement p = placement_of(ranks, 1);
  CHECK(placement_line(p) == "2 ranks on 1 node (node0), 1 thread each, 2 cores");
  CHECK(p.warnings.empty());
  CHECK(p.local_rank == 1);
  CHECK(p.threads == 1);
}

TEST_CASE("ranks with the same mask share it") {
  const std::vector<RankView> ranks = {view(0, cores(0, 8), 8), view(0, cores(0, 8), 8)};
  const Placement p = placement_of(ranks, 0);
  CHECK(placement_line(p) == "2 ranks on 1 node (node0), 4 threads each, 8 cores");
  CHECK(p.warnings.empty());
}

TEST_CASE("one rank bound to one of two cores is warned of") {
  const Placement p = placement_of(std::vector{view(0, {1}, 2)}, 0);
  CHECK(placement_line(p) == "1 rank on 1 node (node0), 1 thread, 1 of 2 cores");
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("1 of 2 cores stay idle") && Contains("--bind-to none"));
}

TEST_CASE("more ranks than cores are warned of") {
  const std::vector<RankView> ranks(3, view(0, {0, 1}, 2));
  const Placement p = placement_of(ranks, 2);
  CHECK(placement_line(p) == "3 ranks on 1 node (node0), 1 thread each, 2 cores");
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("3 ranks of node0 (0-2) share 2 cores (0-1) for 3 threads"));
}

TEST_CASE("ranks bound to the same core while another is idle get both warnings") {
  const std::vector<RankView> ranks(2, view(0, {0}, 2));
  const Placement p = placement_of(ranks, 0);
  REQUIRE(p.warnings.size() == 2);
  CHECK_THAT(p.warnings[0], Contains("1 of 2 cores stay idle"));
  CHECK_THAT(p.warnings[1], Contains("2 ranks of node0 (0-1) share 1 core (0)"));
}

TEST_CASE("ranks that share a core are named, and not those beside them") {
  const std::vector<RankView> ranks = {view(0, cores(0, 2), 5), view(0, {2}, 5), view(0, {3, 4}, 5),
                                       view(0, {2}, 5), view(4, {0}, 1)};
  const Placement p = placement_of(ranks, 0);
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("2 ranks of node0 (1, 3) share 1 core (2) for 2 threads"));
}

TEST_CASE("threads that are asked for are told, and more of them than cores are warned of") {
  const Placement p = placement_of(std::vector{view(0, cores(0, 2), 2)}, 0, 4);
  CHECK(placement_line(p) == "1 rank on 1 node (node0), 4 threads, 2 cores");
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("rank 0 has 2 cores (0-1) for 4 threads"));
  CHECK(placement_of(std::vector{view(0, cores(0, 2), 2)}, 0, 1).warnings.empty());
}

TEST_CASE("cores other than SLURM was asked for are warned of once") {
  std::vector<RankView> ranks = {view(0, {0}, 8), view(0, {1}, 8)};
  for (RankView& rank : ranks) rank.cpus_per_task = 4;
  const Placement ignored = placement_of(ranks, 0);
  REQUIRE(ignored.warnings.size() == 1);
  CHECK_THAT(ignored.warnings[0],
             Contains("SLURM_CPUS_PER_TASK is 4 and rank 0 on node0 has 1 core") &&
                 Contains("export SRUN_CPUS_PER_TASK=4"));
  ranks = {view(0, cores(0, 4), 8), view(0, cores(4, 4), 8)};
  for (RankView& rank : ranks) rank.cpus_per_task = 4;
  CHECK(placement_of(ranks, 0).warnings.empty());
  // Not bound, but each has its part.
  ranks = {view(0, cores(0, 8), 8), view(0, cores(0, 8), 8)};
  for (RankView& rank : ranks) rank.cpus_per_task = 4;
  CHECK(placement_of(ranks, 0).warnings.empty());
  // Not bound, and more than its part.
  ranks = {view(0, cores(0, 8), 4)};
  ranks[0].cpus_per_task = 4;
  REQUIRE(placement_of(ranks, 0).warnings.size() == 1);
  CHECK_THAT(placement_of(ranks, 0).warnings[0], Contains("has 8 cores") && Contains("--cpu-bind"));
  CHECK(placement_of(ranks, 0, 4).warnings.empty());
}

TEST_CASE("of many nodes the first ones are told") {
  std::vector<RankView> ranks;
  for (int node = 0; node < 20; ++node) {
    for (int r = 0; r < 2; ++r) ranks.push_back(view(2 * node, {r}, 2));
  }
  CHECK_THAT(placement_line(placement_of(ranks, 0)),
             Contains("40 ranks on 20 nodes (node0: 2, node2: 2, ") &&
                 Contains("node14: 2, 12 more: 2 each), 1 thread each"));
}

TEST_CASE("a number of ranks that does not divide the cores leaves some idle") {
  const std::vector<RankView> ranks(3, view(0, cores(0, 8), 8));
  const Placement p = placement_of(ranks, 0);
  CHECK(p.threads == 2);
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("2 of 8 cores stay idle"));
}

TEST_CASE("a quota is shared by the ranks of its group and rounds down") {
  const std::vector<RankView> ranks(2, view(0, cores(0, 16), 16, 6.0));
  const Placement p = placement_of(ranks, 0);
  CHECK(placement_line(p) == "2 ranks on 1 node (node0), 3 threads each, 6 cores");
  CHECK(p.warnings.empty());
  CHECK(placement_of(std::vector{view(0, cores(0, 4), 4, 0.5)}, 0).threads == 1);
}

TEST_CASE("nodes count by their leaders and processors by their machine") {
  const std::vector<RankView> ranks = {view(0, cores(0, 4), 4), view(0, cores(4, 4), 8),
                                       view(2, cores(0, 2), 2)};
  const Placement p = placement_of(ranks, 2);
  CHECK(placement_line(p) ==
        "3 ranks on 2 nodes (node0: 2, node2: 1), 2 to 4 threads each, 10 cores");
  CHECK(p.local_rank == 0);
  CHECK(p.warnings.empty());
}

TEST_CASE("the least instruction set of all ranks counts and is told") {
  std::vector<RankView> ranks = {view(0, {0}, 2), view(0, {1}, 2)};
  ranks[1].isa = Isa::avx2;
  const Placement p = placement_of(ranks, 0);
  CHECK(p.isa == Isa::avx2);
  REQUIRE(p.warnings.size() == 1);
  CHECK_THAT(p.warnings[0], Contains("rank 1 has AVX2") && Contains("rank 0 has AVX-512"));
}

TEST_CASE("every rank finds the same level from which bf16 pays") {
  std::vector<RankView> ranks = {view(0, {0}, 2), view(0, {1}, 2)};
  ranks[0].bf16_from = Isa::avx512_bf16;  // two makes of processors
  ranks[1].bf16_from = Isa::amx;
  CHECK(placement_of(ranks, 0).bf16_from == Isa::amx);
  CHECK(placement_of(ranks, 1).bf16_from == Isa::amx);
  ranks[1].bf16_from = Isa::avx512_bf16;
  CHECK(placement_of(ranks, 0).bf16_from == Isa::avx512_bf16);
}

TEST_CASE("views of unequal length reach every rank") {
  std::vector<int> threads(3);
  std::vector<std::string> lines(3);
  on_ranks(3, [&](Communicator& communicator) {
    const int rank = communicator.rank();
    RankView mine = view(0, cores(10 * rank, rank + 1), 6);
    mine.node_leader = rank;
    mine.host = std::string(static_cast<size_t>(rank + 1), 'n');
    lines[static_cast<size_t>(rank)] = placement_line(find_placement(communicator, mine));
    threads[static_cast<size_t>(rank)] = find_placement(communicator, mine).threads;
    if (find_placement(communicator, mine).cores != 6) throw std::logic_error("cores");
  });
  CHECK(threads == std::vector<int>{1, 2, 3});
  for (const std::string& line : lines) CHECK_THAT(line, Contains("(n: 1, nn: 1, nnn: 1)"));
}

TEST_CASE("this process has a place") {
  const auto self = self_communicator();
  const Placement p = find_placement(*self, view_of_this_rank(0));
  CHECK(p.threads >= 1);
  CHECK_THAT(placement_line(p), Contains("1 rank on 1 node"));
}

TEST_CASE("two ranks with one device are refused on every rank, and named") {
  std::atomic<int> refused = 0;
  const auto start = [&](std::vector<std::string> addresses) {
    on_ranks(3, [&](Communicator& communicator) {
      try {
        refuse_shared_devices(communicator, addresses[static_cast<size_t>(communicator.rank())]);
      } catch (const AgreedError& error) {
        const std::string said = error.what();
        if (said.find("ranks 0 and 2 have the same GPU (0000:3B:00.0 on ") == said.npos) throw;
        ++refused;
      }
    });
    return refused.exchange(0);
  };
  CHECK(start({"0000:3B:00.0", "0000:5E:00.0", "0000:3B:00.0"}) == 3);
  CHECK(start({"0000:3B:00.0", "0000:5E:00.0", "0000:86:00.0"}) == 0);
  CHECK(start({"", "", ""}) == 0);
}
