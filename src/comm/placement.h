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
  std::string host;            // name of its node
  int node_leader = 0;         // the lowest rank on its node (MpiSession::node_leader)
  uint64_t machine = 0;        // the same for processes on one running kernel
  uint64_t control_group = 0;  // the same for processes that share a quota
  double quota = 0;            // processors' worth of time of that group; infinity for no limit
  std::vector<int> mask;       // numbers of the processors that the rank is bound to
  int allowed = 1;             // how many processors of the machine the job may use, bound or not
  int cpus_per_task = 0;       // what the job asked SLURM for; 0: nothing
  Isa isa = Isa::baseline;
  Isa bf16_from = Isa::amx;  // the least level at which bf16 is faster than f32 here
};

struct Placement {
  struct Node {
    std::string host;
    int ranks = 0;
  };
  int ranks = 1;
  std::vector<Node> nodes;  // in the order of their first ranks
  int local_rank = 0;       // this rank's place among those of its node
  int local_ranks = 1;      // that there are on its node
  int threads = 1;          // for this rank, all its work together: compute, loading, communication
  int fewest_threads = 1;   // of any rank
  int most_threads = 1;
  int cores = 1;                  // that the ranks are bound to, within their quotas, on all nodes
  int all_cores = 1;              // that the job could use
  Isa isa = Isa::baseline;        // the least of all ranks: kernels are chosen by it everywhere
  Isa bf16_from = Isa::baseline;  // the least level at which bf16 is faster than f32 on every rank
  // Sentences: idle cores, shared cores, other cores than SLURM was asked for, unlike processors.
  std::vector<std::string> warnings;
};

// This process: its mask, quota and processor. node_leader as given.
RankView view_of_this_rank(int node_leader);

// The placement of `rank` among all ranks. A processor counts for each rank whose mask holds it by
// its share; a quota scales the shares of its group down; a rank's threads are its shares, rounded
// down, at least 1; or `threads`, where that is not 0.
Placement placement_of(std::span<const RankView> ranks, int rank, int threads = 0);

// Collective: gathers the views of all ranks.
Placement find_placement(Communicator& communicator, const RankView& mine, int threads = 0);

// The start-up line: "4 ranks on 2 nodes (node0: 2, node1: 2), 1 thread each, 4 cores".
std::string placement_line(const Placement& placement);

// Collective. `address`: where on its machine this rank's device is, "" where ranks may share it.
// Error bad_input, the same on every rank, that names two ranks with one device.
void refuse_shared_devices(Communicator& communicator, const std::string& address);

}  // namespace lacuna
