// Plans that are found by running all that the library offers, and plans that a file names.
#include <catch2/catch.hpp>

#include "backend/boards.h"
#include "backend/cuda/cuda_device.h"
#include "ops/compare.h"

namespace lacuna::test::ops {

namespace {

std::unique_ptr<Device> device_with(std::map<std::string, std::string> engines, bool time_plans) {
  return std::make_unique<CudaDevice>(
      GpuOptions{.local_rank = 0,
                 .engines = std::move(engines),
                 .time_plans = time_plans,
                 .board = std::string(find_board("h100")->properties)});
}

// Two of the cases: each candidate of an engine that is compiled on the spot takes most of a
// second.
void run_products(Device& device) {
  for (const Case& test : all_cases()) {
    if (test.name == "linear through a GELU" || test.name == "linear to one output")
      compare_with_reference(test, device, DType::bf16, {});
  }
}

std::map<std::string, std::string> engines_of(const Device& device) {
  std::map<std::string, std::string> engines;
  for (const LibraryPlan& plan : device.library_plans()) engines[plan.problem] = plan.engine;
  return engines;
}

}  // namespace

TEST_CASE("cudnn: the fastest of the offered plans is taken and repeats from a file") {
  const auto heuristic = device_with({}, false);
  run_products(*heuristic);
  const auto timed = device_with({}, true);
  run_products(*timed);  // each candidate runs and gives the right results
  // The double's later candidates are the faster ones.
  const auto engines = engines_of(*timed);
  CHECK(engines.size() == engines_of(*heuristic).size());
  CHECK(engines != engines_of(*heuristic));
  const auto again = device_with(engines, false);
  run_products(*again);
  CHECK(engines_of(*again) == engines);
  CHECK(again->description() != heuristic->description());
}

TEST_CASE("cudnn: an engine that is not offered is refused by name") {
  const auto heuristic = device_with({}, false);
  run_products(*heuristic);
  auto engines = engines_of(*heuristic);
  engines.begin()->second = "eng999_k1=2";
  const auto device = device_with(engines, false);
  CHECK_THROWS_WITH(run_products(*device), Catch::Contains("offers no engine eng999_k1=2 for") &&
                                               Catch::Contains("check --time-plans"));
}

}  // namespace lacuna::test::ops
