#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

namespace lacuna {
namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

// A set of processors as the kernel takes it, large enough for any machine we may meet.
struct CpuSet {
  static constexpr int most = 1 << 16;
  CpuSet() : set(CPU_ALLOC(most)) { CPU_ZERO_S(bytes(), set); }
  ~CpuSet() { CPU_FREE(set); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;
  static size_t bytes() { return CPU_ALLOC_SIZE(most); }
  cpu_set_t* set;
};

std::vector<int> mask_of_calling_thread() {
  const CpuSet cpus;
  std::vector<int> mask;
  if (sched_getaffinity(0, CpuSet::bytes(), cpus.set) != 0) return mask;
  for (int cpu = 0; cpu < CpuSet::most; ++cpu) {
    if (CPU_ISSET_S(cpu, CpuSet::bytes(), cpus.set)) mask.push_back(cpu);
  }
  return mask;
}

std::string first_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The smallest quota from the group at `path` up to `root`; quota_of reads one group's.
template <typename QuotaOf>
double least_up_the_tree(std::string_view root, std::string_view path, QuotaOf quota_of) {
  double least = unlimited;
  std::string group(path == "/" ? "" : path);
  while (true) {
    least = std::min(least, quota_of(std::string(root) + group));
    if (group.empty()) return least;
    group.resize(std::min(group.rfind('/'), group.size()));
    if (group.find_first_not_of('/') == std::string::npos) group.clear();
  }
}

double ratio(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : unlimited;
}

}  // namespace

std::vector<int> affinity_mask() { return mask_of_calling_thread(); }

std::vector<int> allowed_processors() {
  std::vector<int> allowed;
  // A thread of its own asks for everything; the kernel gives what the cpuset holds.
  std::thread([&] {
    const CpuSet all;
    for (int cpu = 0; cpu < CpuSet::most; ++cpu) CPU_SET_S(cpu, CpuSet::bytes(), all.set);
    (void)sched_setaffinity(0, CpuSet::bytes(), all.set);
    allowed = mask_of_calling_thread();
  }).join();
  return allowed;
}

double cpu_quota_v2(std::string_view root, std::string_view path) {
  return least_up_the_tree(root, path, [](const std::string& group) {
    std::istringstream line(first_line(group + "/cpu.max"));  // "max 100000" or "150000 100000"
    double quota = 0, period = 0;
    return line >> quota >> period ? ratio(quota, period) : unlimited;
  });
}

double cpu_quota_v1(std::string_view root, std::string_view path) {
  return least_up_the_tree(root, path, [](const std::string& group) {
    std::istringstream quota_line(first_line(group + "/cpu.cfs_quota_us"));  // -1: none
    std::istringstream period_line(first_line(group + "/cpu.cfs_period_us"));
    double quota = 0, period = 0;
    return quota_line >> quota && period_line >> period ? ratio(quota, period) : unlimited;
  });
}

double cpu_quota() {
  // Lines "hierarchy:controllers:path"; version 2 has hierarchy 0 and no controllers.
  std::ifstream groups("/proc/self/cgroup");
  double least = unlimited;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      least = std::min({least, cpu_quota_v2("/sys/fs/cgroup", path),
                        cpu_quota_v2("/sys/fs/cgroup/unified", path)});
    } else if (controllers.find(",cpu,") != std::string::npos) {
      least = std::min({least, cpu_quota_v1("/sys/fs/cgroup/cpu", path),
                        cpu_quota_v1("/sys/fs/cgroup/cpu,cpuacct", path)});
    }
  }
  return least;
}

int threads_available() {
  const double processors = std::max<double>(1, static_cast<double>(affinity_mask().size()));
  // A quota of 1.5 keeps two threads busy only half of the time each: rounded down.
  return static_cast<int>(std::max(1.0, std::min(processors, std::floor(cpu_quota()))));
}

}  // namespace lacuna
