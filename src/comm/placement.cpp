#include "comm/placement.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"
#include "comm/agree.h"

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

// Whole cores of a rank, as people count them.
int cores_of(double share) { return std::max(1, rounded_down(share)); }

// Processors of a machine that its ranks could keep busy, were they bound to all of them.
int usable(const Machine& machine, std::span<const RankView> ranks) {
  std::map<uint64_t, double> quotas;
  for (const size_t r : machine.ranks) quotas[ranks[r].control_group] = ranks[r].quota;
  double quota = 0;
  for (const auto& [group, q] : quotas) quota += q;
  return cores_of(std::min<double>(machine.allowed, quota));
}

// Numbers as people write sets of them: "0-3, 8".
std::string ranges(const std::vector<int>& ascending) {
  std::vector<std::string> parts;
  for (size_t first = 0, last; first < ascending.size(); first = last + 1) {
    last = first;
    while (last + 1 < ascending.size() && ascending[last + 1] == ascending[last] + 1) ++last;
    parts.push_back(last == first ? concat(ascending[first])
                                  : concat(ascending[first], "-", ascending[last]));
  }
  constexpr size_t most = 8;
  if (parts.size() > most) {
    parts.resize(most);
    parts.emplace_back("...");
  }
  return join(parts, ", ");
}

// "rank 3", "2 ranks of node0 (0-1)"
std::string named(const std::vector<size_t>& some, std::span<const RankView> ranks) {
  if (some.size() == 1) return concat("rank ", some[0]);
  return concat(some.size(), " ranks of ", ranks[some[0]].host, " (",
                ranges({some.begin(), some.end()}), ")");
}

// Those of a machine whose threads are more than their shares of its cores, and these.
struct Crowd {
  std::vector<size_t> ranks;
  std::set<int> bound;
  double share = 0;
  int threads = 0;
};

Crowd crowd_of(const Machine& machine, std::span<const RankView> ranks,
               const std::vector<double>& shares, const std::vector<int>& threads) {
  Crowd crowd;
  for (const size_t r : machine.ranks) {
    if (threads[r] <= shares[r] + 1e-6) continue;
    crowd.ranks.push_back(r);
    crowd.bound.insert(ranks[r].mask.begin(), ranks[r].mask.end());
    crowd.share += shares[r];
    crowd.threads += threads[r];
  }
  return crowd;
}

void warn_of_shared_cores(const Machine& machine, std::span<const RankView> ranks,
                          const std::vector<double>& shares, const std::vector<int>& threads,
                          std::vector<std::string>& warnings) {
  const Crowd crowd = crowd_of(machine, ranks, shares, threads);
  const int busy = cores_of(crowd.share);
  if (crowd.threads <= busy) return;
  const bool quota = busy < static_cast<int>(crowd.bound.size());
  warnings.push_back(
      concat(named(crowd.ranks, ranks), crowd.ranks.size() == 1 ? " has " : " share ",
             counted(busy, "core"), " (",
             quota ? "by quota" : ranges({crowd.bound.begin(), crowd.bound.end()}), ") for ",
             counted(crowd.threads, "thread"), ", so each runs at a part of its speed; start ",
             "fewer there, or bind them to other cores"));
}

// The first rank of a machine that has fewer cores than SLURM was asked for, or starts more threads
// on more.
std::optional<size_t> unlike_slurm(const Machine& machine, std::span<const RankView> ranks,
                                   const std::vector<double>& shares,
                                   const std::vector<int>& threads) {
  for (const size_t r : machine.ranks) {
    const int asked = ranks[r].cpus_per_task;
    const int cores = cores_of(shares[r]);
    if (asked > 0 && (cores < asked || std::min(cores, threads[r]) > asked)) return r;
  }
  return std::nullopt;
}

std::string slurm_warning(size_t rank, const RankView& view, double share) {
  const int cores = cores_of(share);
  const std::string what = concat("SLURM_CPUS_PER_TASK is ", view.cpus_per_task, " and rank ", rank,
                                  " on ", view.host, " has ", counted(cores, "core"), ": ");
  if (cores > view.cpus_per_task) {
    return concat(what, "the launcher binds no rank to its part; use `srun --cpu-bind=cores`, or ",
                  "train.threads = ", view.cpus_per_task);
  }
  return concat(
      what, "srun ignores it since SLURM 22.05; `export SRUN_CPUS_PER_TASK=", view.cpus_per_task,
      "` before srun, or use `mpirun --map-by slot:PE=", view.cpus_per_task, "`");
}

void warn_of_cores(const Machine& machine, std::span<const RankView> ranks,
                   const std::vector<double>& shares, const std::vector<int>& threads, bool chosen,
                   std::vector<std::string>& warnings) {
  double share = 0;
  int all_threads = 0;
  for (const size_t r : machine.ranks) {
    share += shares[r];
    all_threads += threads[r];
  }
  const int cores = usable(machine, ranks);
  const int busy = cores_of(share);
  if (const auto rank = unlike_slurm(machine, ranks, shares, threads)) {
    warnings.push_back(slurm_warning(*rank, ranks[*rank], shares[*rank]));
  } else if (busy < cores) {
    warnings.push_back(
        concat(cores - busy, " of ", counted(cores, "core"), " stay idle: the launcher bound ",
               named(machine.ranks, ranks), " to ", counted(busy, "core"),
               "; use all of them with `mpirun --bind-to none` or `srun ", "--cpus-per-task`"));
  } else if (all_threads < cores && !chosen) {
    warnings.push_back(concat(cores - all_threads, " of ", counted(cores, "core"),
                              " stay idle: ", named(machine.ranks, ranks), " have ",
                              counted(all_threads, "thread"), " in all; a number of ranks ",
                              "that divides ", cores, " uses every core"));
  }
  warn_of_shared_cores(machine, ranks, shares, threads, warnings);
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

// A view as it travels: fixed part, then the mask as 32-bit numbers, then the host.
struct Header {
  int64_t node_leader;
  uint64_t machine;
  uint64_t control_group;
  double quota;
  int64_t allowed;
  int64_t cpus_per_task;
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
                         view.cpus_per_task,
                         static_cast<int64_t>(view.isa),
                         static_cast<int64_t>(view.bf16_from),
                         view.mask.size()};
  std::vector<std::byte> bytes;
  const auto append = [&](const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
  };
  append(&header, sizeof(header));
  append(view.mask.data(), view.mask.size() * sizeof(int));
  append(view.host.data(), view.host.size());
  return bytes;
}

RankView unpacked(std::span<const std::byte> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  RankView view{.host = "",
                .node_leader = static_cast<int>(header.node_leader),
                .machine = header.machine,
                .control_group = header.control_group,
                .quota = header.quota,
                .mask = std::vector<int>(header.processors),
                .allowed = static_cast<int>(header.allowed),
                .cpus_per_task = static_cast<int>(header.cpus_per_task),
                .isa = static_cast<Isa>(header.isa),
                .bf16_from = static_cast<Isa>(header.bf16_from)};
  const auto rest = bytes.subspan(sizeof(header));
  const auto mask = rest.first(header.processors * sizeof(int));
  if (!mask.empty()) std::memcpy(view.mask.data(), mask.data(), mask.size());
  const auto host = rest.subspan(mask.size());
  view.host.assign(reinterpret_cast<const char*>(host.data()), host.size());
  return view;
}

// Collective: what each rank has, in their order.
std::vector<std::vector<std::byte>> gathered(Communicator& communicator,
                                             std::span<const std::byte> mine) {
  const size_t ranks = static_cast<size_t>(communicator.size());
  const size_t size = mine.size();
  std::vector<size_t> sizes(ranks);
  communicator.all_gather(&size, sizes.data(), std::vector(ranks, sizeof(size))).wait();
  std::vector<std::byte> all(std::accumulate(sizes.begin(), sizes.end(), size_t{0}));
  communicator.all_gather(mine.data(), all.data(), sizes).wait();
  std::vector<std::vector<std::byte>> each;
  auto start = all.begin();
  for (const size_t s : sizes) {
    each.emplace_back(start, start + static_cast<ptrdiff_t>(s));
    start += static_cast<ptrdiff_t>(s);
  }
  return each;
}

// The same for processes on one running kernel.
uint64_t this_machine() {
  const std::string boot = whole_file("/proc/sys/kernel/random/boot_id");
  return hash_name(boot.empty() ? host_name() : boot);
}

// The value of a variable that SLURM sets to a number above 0; 0 where it does not.
int number_of_slurm(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::max(0, std::atoi(value));
}

// "(node0: 2, node1: 2)", of many nodes the first ones.
std::string nodes_text(const std::vector<Placement::Node>& nodes) {
  if (nodes.size() == 1) return concat("(", nodes[0].host, ")");
  constexpr size_t most = 8;
  std::vector<std::string> parts;
  for (size_t n = 0; n < std::min(nodes.size(), most); ++n)
    parts.push_back(concat(nodes[n].host, ": ", nodes[n].ranks));
  if (nodes.size() > most) {
    const auto [least, greatest] =
        std::minmax_element(nodes.begin() + most, nodes.end(),
                            [](const auto& a, const auto& b) { return a.ranks < b.ranks; });
    const std::string each = least->ranks == greatest->ranks
                                 ? concat(least->ranks)
                                 : concat(least->ranks, " to ", greatest->ranks);
    parts.push_back(concat(nodes.size() - most, " more: ", each, " each"));
  }
  return concat("(", join(parts), ")");
}

}  // namespace

RankView view_of_this_rank(int node_leader) {
  RankView view;
  view.host = host_name();
  view.node_leader = node_leader;
  view.machine = this_machine();
  view.control_group = hash_name(concat(view.machine, view.host, whole_file("/proc/self/cgroup")));
  view.quota = cpu_quota();
  view.mask = affinity_mask();
  view.allowed = static_cast<int>(allowed_processors().size());
  // Where SLURM hands out parts of nodes without confining jobs to them.
  if (const int cpus = number_of_slurm("SLURM_CPUS_ON_NODE"); cpus > 0) {
    view.allowed = std::min(view.allowed, cpus);
  }
  view.cpus_per_task = number_of_slurm("SLURM_CPUS_PER_TASK");
  view.isa = detect_isa();
  view.bf16_from = bf16_pays_from();
  return view;
}

Placement placement_of(std::span<const RankView> ranks, int rank, int threads_wanted) {
  const RankView& mine = ranks[static_cast<size_t>(rank)];
  const std::vector<double> shares = shares_of(ranks);
  Placement placement;
  placement.ranks = static_cast<int>(ranks.size());
  std::map<int, size_t> places;  // by leader, in placement.nodes
  for (const RankView& view : ranks) {
    const auto [place, is_new] = places.emplace(view.node_leader, placement.nodes.size());
    if (is_new) placement.nodes.push_back({view.host, 0});
    ++placement.nodes[place->second].ranks;
  }
  placement.local_rank = static_cast<int>(
      std::count_if(ranks.begin(), ranks.begin() + rank,
                    [&](const RankView& view) { return view.node_leader == mine.node_leader; }));
  placement.local_ranks = placement.nodes[places.at(mine.node_leader)].ranks;
  std::vector<int> threads;
  double cores = 0;
  for (const double share : shares) {
    threads.push_back(threads_wanted > 0 ? threads_wanted : cores_of(share));
    cores += share;
  }
  placement.threads = threads[static_cast<size_t>(rank)];
  placement.fewest_threads = *std::min_element(threads.begin(), threads.end());
  placement.most_threads = *std::max_element(threads.begin(), threads.end());
  placement.cores = cores_of(cores);
  placement.isa = std::min_element(ranks.begin(), ranks.end(), [](const auto& a, const auto& b) {
                    return a.isa < b.isa;
                  })->isa;
  for (const RankView& view : ranks)
    placement.bf16_from = std::max(placement.bf16_from, view.bf16_from);
  placement.all_cores = 0;
  for (const auto& [id, machine] : machines_of(ranks)) {
    placement.all_cores += usable(machine, ranks);
    warn_of_cores(machine, ranks, shares, threads, threads_wanted > 0, placement.warnings);
  }
  warn_of_processors(ranks, placement.isa, placement.warnings);
  return placement;
}

Placement find_placement(Communicator& communicator, const RankView& mine, int threads) {
  std::vector<RankView> views;
  for (const auto& view : gathered(communicator, packed(mine))) views.push_back(unpacked(view));
  return placement_of(views, communicator.rank(), threads);
}

std::string placement_line(const Placement& p) {
  const std::string threads = p.fewest_threads == p.most_threads
                                  ? counted(p.most_threads, "thread")
                                  : concat(p.fewest_threads, " to ", p.most_threads, " threads");
  const std::string cores = p.cores == p.all_cores
                                ? counted(p.cores, "core")
                                : concat(p.cores, " of ", counted(p.all_cores, "core"));
  return concat(counted(p.ranks, "rank"), " on ", counted(static_cast<int>(p.nodes.size()), "node"),
                " ", nodes_text(p.nodes), ", ", threads, p.ranks > 1 ? " each" : "", ", ", cores);
}

void refuse_shared_devices(Communicator& communicator, const std::string& address) {
  const std::string place = address.empty() ? "" : concat(address, " on ", host_name());
  const std::string mine = concat(this_machine(), ' ', place);
  const auto all = gathered(communicator, std::as_bytes(std::span(mine)));
  agreed(communicator, [&] {
    if (place.empty()) return;
    const auto rank = static_cast<size_t>(communicator.rank());
    const auto other =
        static_cast<size_t>(std::find(all.begin(), all.end(), all[rank]) - all.begin());
    if (other == rank) return;
    bad_input("ranks ", other, " and ", rank, " have the same GPU (", place, "): start as many ",
              "ranks on a node as it has GPUs (--ntasks-per-node), or let each see one of its own ",
              "(srun --gpus-per-task=1)");
  });
}

}  // namespace lacuna
