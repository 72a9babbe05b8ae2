#include "base/threads.h"

#include <catch2/catch.hpp>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace lacuna;

namespace {

// A tree of control groups as the kernel shows one.
class GroupTree {
 public:
  GroupTree()
      : root_(std::filesystem::temp_directory_path() /
              ("lacuna-control-groups-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(root_);
  }
  ~GroupTree() { std::filesystem::remove_all(root_); }
  std::string root() const { return root_.string(); }
  void write(const std::string& file, const std::string& line) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << line << '\n';
  }

 private:
  std::filesystem::path root_;
};

}  // namespace

TEST_CASE("a processor quota is the strictest one up the tree of groups") {
  const GroupTree tree;
  tree.write("cpu.max", "max 100000");
  tree.write("job/cpu.max", "250000 100000");
  tree.write("job/step/cpu.max", "max 100000");
  CHECK(cpu_quota_v2(tree.root(), "/job/step") == 2.5);
  CHECK(cpu_quota_v2(tree.root(), "/job/step/task") == 2.5);  // no file of its own
  CHECK(std::isinf(cpu_quota_v2(tree.root(), "/")));
  CHECK(std::isinf(cpu_quota_v2(tree.root(), "/other")));
  tree.write("job/step/cpu.max", "50000 100000");
  CHECK(cpu_quota_v2(tree.root(), "/job/step") == 0.5);
}

TEST_CASE("a processor quota of control groups version 1") {
  const GroupTree tree;
  tree.write("a/cpu.cfs_quota_us", "300000");
  tree.write("a/cpu.cfs_period_us", "100000");
  tree.write("a/b/cpu.cfs_quota_us", "-1");
  tree.write("a/b/cpu.cfs_period_us", "100000");
  CHECK(cpu_quota_v1(tree.root(), "/a/b") == 3);
  CHECK(std::isinf(cpu_quota_v1(tree.root(), "/")));
}

TEST_CASE("the affinity mask is what this thread is bound to and the allowed set is not") {
  const std::vector<int> allowed = allowed_processors();
  REQUIRE(!allowed.empty());
  CHECK(std::is_sorted(allowed.begin(), allowed.end()));
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(allowed.back(), &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(affinity_mask() == std::vector<int>{allowed.back()});
    CHECK(allowed_processors() == allowed);
    CHECK(threads_available() == 1);
  }).join();
}
