// A program of several ranks that ends in the way its argument names; tests/ranks/endings.py says
// what each must look like from outside.
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "comm/agree.h"
#include "comm/mpi.h"

using namespace lacuna;

namespace {

void end(const std::string& way, Communicator& world) {
  const bool last = world.rank() == world.size() - 1;
  std::vector<float> data(1 << 22);
  if (way == "well") {
    world.barrier();
  } else if (way == "alone") {  // one rank fails, the others wait for it
    if (last) bad_input("the last rank cannot");
    world.barrier();
  } else if (way == "under-way") {  // as above, with a collective under way on every rank
    const Request request = world.all_reduce_sum(data.data(), data.size(), DType::f32);
    if (last) bad_input("the last rank cannot");
    world.barrier();
  } else if (way == "agreed") {
    agreed(world, [&] {
      if (last) throw Error(ExitStatus::no_space, "the last rank has no space");
    });
  } else if (way == "everywhere") {  // not agreed, but the same on all ranks
    bad_input("no rank can");
  } else if (way == "stays-away") {
    if (last) std::this_thread::sleep_for(std::chrono::seconds(60));
    world.barrier();
  }
}

}  // namespace

int main(int, char** argv) {
  std::optional<MpiSession> mpi;
  try {
    mpi.emplace();
    const auto world = mpi_communicator(*mpi, {.deadline_seconds = 1});
    world->barrier();
    end(argv[1], *world);
    return 0;
  } catch (...) {
    return end_after(std::current_exception(), mpi);
  }
}
