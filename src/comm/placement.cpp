#include "comm/placement.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"

namespace lacuna {
namespace {

std::string whole_file(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

// A number of things: "1 core", "2 cores".
std::string counted(int n, const char* thing) { return concat(n, " ", thing, n == 1 ? "" : "s"); }

// The ranks on one machine, which compete for its processors.
struct Machine {
  std::vector<size_t> ranks;
  std::set<int> bound;
  int allowed = 0;
};

std::map<uint64_t, Machine> machines_of(std::span<const RankView> ranks) {
  std::map<uint64_t, Machine> machines;
  for (size_t r = 0; r < ranks.size(); ++r) {
    Machine& machine = machines[ranks[r].machine];
    machine.ranks.push_back(r);
    machine.bound.insert(ranks[r].mask.begin(), ranks[r].mask.end());
    machine.allowed = std::max(machine.allowed, ranks[r].allowed);
  }
  for (auto& [id, machine] : machines) {
    machine.allowed = std::max(machine.allowed, static_cast<int>(machine.bound.size()));
  }
  return machines;
}

// Processors' worth of each rank: its shares of its mask, then of its group's quota.
std::vector<double> shares_of(std::span<const RankView> ranks) {
  std::map<std::pair<uint64_t, int>, int> holders;  // of a processor of a machine
  for (const RankView& rank : ranks) {
    for (const int cpu : rank.mask) ++holders[{rank.machine, cpu}];
  }
  std::vector<double> shares;
  std::map<uint64_t, double> of_group;
  for (const RankView& rank : ranks) {
    double share = 0;
    for (const int cpu : rank.mask) share += 1.0 / holders[{rank.machine, cpu}];
    shares.push_back(share);
    of_group[rank.control_group] += share;
  }
  for (size_t r = 0; r < shares.size(); ++r) {
    const double group = of_group[ranks[r].control_group];
    if (ranks[r].quota < group) shares[r] *= ranks[r].quota / group;
  }
  return shares;
}

int rounded_down(double share) { return static_cast<int>(std::floor(share + 1e-6)); }

// Processors of a machine that its ranks could keep busy, were they bound to all of them.
int usable(const Machine& machine, std::span<const RankView> ranks) {
  std::map<uint64_t, double> quotas;
  for (const size_t r : machine.ranks) quotas[ranks[r].control_group] = ranks[r].quota;
  double quota = 0;
  for (const auto& [group, q] : quotas) quota += q;
  return std::max(1, rounded_down(std::min<double>(machine.allowed, quota)));
}

void warn_of_cores(const Machine& machine, std::span<const RankView> ranks,
                   const std::vector<double>& shares, std::vector<std::string>& warnings) {
  double share = 0;
  int threads = 0;
  for (const size_t r : machine.ranks) {
    share += shares[r];
    threads += std::max(1, rounded_down(shares[r]));
  }
  const int n = static_cast<int>(machine.ranks.size());
  const int cores = usable(machine, ranks);
  const int busy = std::max(1, rounded_down(share));
  const std::string who = n == 1 ? concat("rank ", machine.ranks[0])
                                 : concat("the ", n, " ranks on the node of rank ",
                                          ranks[machine.ranks[0]].node_leader);
  if (busy < cores) {
    warnings.push_back(concat(cores - busy, " of ", counted(cores, "core"),
                              " stay idle: the launcher bound ", who, " to ", counted(busy, "core"),
                              "; use all of them with `mpirun --bind-to none` or `srun ",
                              "--cpus-per-task`"));
  } else if (threads < cores) {
    warnings.push_back(concat(cores - threads, " of ", counted(cores, "core"), " stay idle: the ",
                              who, " have ", counted(threads, "thread"),
                              " in all; a number of ranks ", "that divides ", cores,
                              " uses every core"));
  }
  if (threads > busy) {
    warnings.push_back(concat(who, " share ", counted(busy, "core"),
                              ", so each runs at a part of its speed; start at most ", cores,
                              " there", busy < cores ? ", not bound to the same core" : ""));
  }
}

void warn_of_processors(std::span<const RankView> ranks, Isa least,
                        std::vector<std::string>& warnings) {
  const auto most = std::max_element(ranks.begin(), ranks.end(),
                                     [](const auto& a, const auto& b) { return a.isa < b.isa; });
  if (most->isa == least) return;
  const auto lowest =
      std::find_if(ranks.begin(), ranks.end(), [&](const auto& r) { return r.isa == least; });
  warnings.push_back(concat("processors differ: rank ", lowest - ranks.begin(), " has ",
                            name_of(least), ", rank ", most - ranks.begin(), " has ",
                            name_of(most->isa), "; all use ", name_of(least)));
}

// A view as it travels: fixed part, then the mask as 32-bit numbers.
struct Header {
  int64_t node_leader;
  uint64_t machine;
  uint64_t control_group;
  double quota;
  int64_t allowed;
  int64_t isa;
  int64_t bf16_from;
  uint64_t processors;
};

std::vector<std::byte> packed(const RankView& view) {
  const Header header = {view.node_leader,
                         view.machine,
                         view.control_group,
                         view.quota,
                         view.allowed,
                         static_cast<int64_t>(view.isa),
                         static_cast<int64_t>(view.bf16_from),
                         view.mask.size()};
  std::vector<std::byte> bytes(sizeof(header) + view.mask.size() * sizeof(int));
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (!view.mask.empty()) {
    std::memcpy(bytes.data() + sizeof(header), view.mask.data(), view.mask.size() * sizeof(int));
  }
  return bytes;
}

RankView unpacked(const std::byte* bytes) {
  Header header;
  std::memcpy(&header, bytes, sizeof(header));
  RankView view{.node_leader = static_cast<int>(header.node_leader),
                .machine = header.machine,
                .control_group = header.control_group,
                .quota = header.quota,
                .mask = std::vector<int>(header.processors),
                .allowed = static_cast<int>(header.allowed),
                .isa = static_cast<Isa>(header.isa),
                .bf16_from = static_cast<Isa>(header.bf16_from)};
  if (!view.mask.empty()) {
    std::memcpy(view.mask.data(), bytes + sizeof(header), view.mask.size() * sizeof(int));
  }
  return view;
}

}  // namespace

RankView view_of_this_rank(int node_leader) {
  const std::string boot = whole_file("/proc/sys/kernel/random/boot_id");
  RankView view;
  view.node_leader = node_leader;
  view.machine = hash_name(boot.empty() ? host_name() : boot);
  view.control_group = hash_name(concat(boot, host_name(), whole_file("/proc/self/cgroup")));
  view.quota = cpu_quota();
  view.mask = affinity_mask();
  view.allowed = static_cast<int>(allowed_processors().size());
  // Where SLURM hands out parts of nodes without confining jobs to them.
  if (const char* cpus = std::getenv("SLURM_CPUS_ON_NODE");
      cpus != nullptr && std::atoi(cpus) > 0) {
    view.allowed = std::min(view.allowed, std::atoi(cpus));
  }
  view.isa = detect_isa();
  view.bf16_from = bf16_pays_from();
  return view;
}

Placement placement_of(std::span<const RankView> ranks, int rank) {
  const RankView& mine = ranks[static_cast<size_t>(rank)];
  const std::vector<double> shares = shares_of(ranks);
  Placement placement;
  placement.ranks = static_cast<int>(ranks.size());
  std::set<int> leaders;
  for (const RankView& view : ranks) leaders.insert(view.node_leader);
  placement.nodes = static_cast<int>(leaders.size());
  placement.local_rank = static_cast<int>(
      std::count_if(ranks.begin(), ranks.begin() + rank,
                    [&](const RankView& view) { return view.node_leader == mine.node_leader; }));
  std::vector<int> threads;
  double cores = 0;
  for (const double share : shares) {
    threads.push_back(std::max(1, rounded_down(share)));
    cores += share;
  }
  placement.threads = threads[static_cast<size_t>(rank)];
  placement.fewest_threads = *std::min_element(threads.begin(), threads.end());
  placement.most_threads = *std::max_element(threads.begin(), threads.end());
  placement.cores = std::max(1, rounded_down(cores));
  placement.isa = std::min_element(ranks.begin(), ranks.end(), [](const auto& a, const auto& b) {
                    return a.isa < b.isa;
                  })->isa;
  for (const RankView& view : ranks)
    placement.bf16_from = std::max(placement.bf16_from, view.bf16_from);
  placement.all_cores = 0;
  for (const auto& [id, machine] : machines_of(ranks)) {
    placement.all_cores += usable(machine, ranks);
    warn_of_cores(machine, ranks, shares, placement.warnings);
  }
  warn_of_processors(ranks, placement.isa, placement.warnings);
  return placement;
}

Placement find_placement(Communicator& communicator, const RankView& mine) {
  const size_t ranks = static_cast<size_t>(communicator.size());
  const std::vector<std::byte> bytes = packed(mine);
  const size_t size = bytes.size();
  std::vector<size_t> sizes(ranks);
  communicator.all_gather(&size, sizes.data(), std::vector(ranks, sizeof(size))).wait();
  size_t total = 0;
  for (const size_t s : sizes) total += s;
  std::vector<std::byte> all(total);
  communicator.all_gather(bytes.data(), all.data(), sizes).wait();
  std::vector<RankView> views;
  size_t start = 0;
  for (const size_t s : sizes) {
    views.push_back(unpacked(all.data() + start));
    start += s;
  }
  return placement_of(views, communicator.rank());
}

std::string placement_line(const Placement& p) {
  const std::string threads = p.fewest_threads == p.most_threads
                                  ? counted(p.most_threads, "thread")
                                  : concat(p.fewest_threads, " to ", p.most_threads, " threads");
  const std::string cores = p.cores == p.all_cores
                                ? counted(p.cores, "core")
                                : concat(p.cores, " of ", counted(p.all_cores, "core"));
  return concat(counted(p.ranks, "rank"), " on ", counted(p.nodes, "node"), ", ", threads,
                p.ranks > 1 ? " each" : "", ", ", cores);
}

}  // namespace lacuna
