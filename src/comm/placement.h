// Placement: which part of which machine each rank has, and how many threads it should start.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "comm/communicator.h"

namespace lacuna {

// What one rank sees of its machine.
struct RankView {
  int node_leader = 0;         // the lowest rank on its node (MpiSession::node_leader)
  uint64_t machine = 0;        // the same for processes on one running kernel
  uint64_t control_group = 0;  // the same for processes that share a quota
  double quota = 0;            // processors' worth of time of that group; infinity for no limit
  std::vector<int> mask;       // numbers of the processors that the rank is bound to
  int allowed = 1;             // how many processors of the machine the job may use, bound or not
  Isa isa = Isa::baseline;
  Isa bf16_from = Isa::amx;  // the least level at which bf16 is faster than f32 here
};

struct Placement {
  int ranks = 1;
  int nodes = 1;
  int local_rank = 0;      // this rank's place among those of its node
  int threads = 1;         // for this rank, all its work together: compute, loading, communication
  int fewest_threads = 1;  // of any rank
  int most_threads = 1;
  int cores = 1;                  // that the ranks are bound to, within their quotas, on all nodes
  int all_cores = 1;              // that the job could use
  Isa isa = Isa::baseline;        // the least of all ranks: kernels are chosen by it everywhere
  Isa bf16_from = Isa::baseline;  // the least level at which bf16 is faster than f32 on every rank
  std::vector<std::string> warnings;  // sentences: idle cores, shared cores, unlike processors
};

// This process: its mask, quota and processor. node_leader as given.
RankView view_of_this_rank(int node_leader);

// The placement of `rank` among all ranks. A processor counts for each rank whose mask holds it by
// its share; a quota scales the shares of its group down; a rank's threads are its shares, rounded
// down, at least 1.
Placement placement_of(std::span<const RankView> ranks, int rank);

// Collective: gathers the views of all ranks.
Placement find_placement(Communicator& communicator, const RankView& mine);

// The start-up line: "2 ranks on 1 node, 1 thread each, 2 cores".
std::string placement_line(const Placement& placement);

}  // namespace lacuna
