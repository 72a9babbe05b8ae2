// How much of the machine this process may use: what the kernel and the launcher allow.
#pragma once

#include <string_view>
#include <vector>

namespace lacuna {

// Numbers of the processors (hardware threads) that the calling thread may run on, ascending. Call
// it before a library binds threads of its own.
std::vector<int> affinity_mask();

// Numbers of the processors that this process could be bound to: its cpuset, which a launcher's
// binding (affinity_mask) may leave partly idle.
std::vector<int> allowed_processors();

// Processors' worth of time that the control groups of this process grant in all (cgroup v2
// cpu.max, v1 cpu.cfs_quota_us; the strictest up the tree), or infinity.
double cpu_quota();

// The same, of the group at `path` ("/a/b") below `root`; v1: a "cpu" controller's own tree.
double cpu_quota_v2(std::string_view root, std::string_view path);
double cpu_quota_v1(std::string_view root, std::string_view path);

// Threads that keep this process busy and no more: the size of its mask, within its quota; at least
// 1. For a process that shares with other ranks: comm/placement.h.
int threads_available();

}  // namespace lacuna
