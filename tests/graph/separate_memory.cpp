// A device whose memory is not the host's: every operation, every objective on two ranks, and
// checkpoints to and from such a device.
#include <catch2/catch.hpp>

#include "backend/list.h"
#include "ops/compare.h"
#include "support/death.h"
#include "support/experiment.h"
#include "support/experiment_checkpoint.h"
#include "support/separate_device.h"
#include "support/temporary_folder.h"
#include "support/thread_communicators.h"
#include "support/three_steps.h"

namespace lacuna::test::ops {

TEST_CASE("operations on a device with memory of its own agree with the reference", "[ops]") {
  for (const Case& test : all_cases()) {
    SeparateDevice device(2);
    compare_with_reference(test, device, DType::f32, {});
  }
}

TEST_CASE("updates on a device with memory of its own are the cpu's", "[ops]") {
  const std::unique_ptr<Device> cpu = make_device("cpu", 1);
  for (const UpdateCase& test : all_update_cases()) {
    SeparateDevice device(1);
    INFO(test.name);
    CHECK(updated(test, device) == updated(test, *cpu));
  }
}

}  // namespace lacuna::test::ops

namespace {

using namespace lacuna;
using namespace lacuna::testing;

}  // namespace

TEST_CASE("every objective trains on a device with memory of its own as on the cpu") {
  for (const std::string& objective : objective_names()) {
    CAPTURE(objective);
    const Trace cpu = three_steps(objective, [](int) { return make_device("cpu", 1); });
    const Trace separate =
        three_steps(objective, [](int) { return std::make_unique<SeparateDevice>(1); });
    CHECK(cpu.losses.size() == 3);
    CHECK(separate == cpu);
  }
}

TEST_CASE("a checkpoint goes from one memory to another and back") {
  const auto self = self_communicator();
  const TemporaryFolder folder;
  SmallExperiment cpu("byol", make_device("cpu", 1), *self, small_images);
  SmallExperiment separate("byol", std::make_unique<SeparateDevice>(1), *self, small_images);
  for (SmallExperiment* experiment : {&cpu, &separate})
    experiment->trainer().prepare(experiment->batch(0, rows).fields(), {rows});
  train_step(separate, 0, 1, 0);
  save(separate, folder.path(), 1);
  load(cpu, folder.path(), 1);
  CHECK(train_step(cpu, 0, 1, 1) == train_step(separate, 0, 1, 1));
  train_step(cpu, 0, 1, 2);
  save(cpu, folder.path(), 3);
  load(separate, folder.path(), 3);
  CHECK(train_step(separate, 0, 1, 3) == train_step(cpu, 0, 1, 3));
}

TEST_CASE(
    "faults of a device's memory are caught: a kernel on the host's, a host on the device's") {
  SeparateDevice device(1);
  std::vector<float> host(8);
  const View on_host{host.data(), DType::f32, Shape{8}};
  const View on_device{device.allocate(32), DType::f32, Shape{8}};
  const Attributes none;
  const Kernel relu = device.find("relu", DType::f32);
  CHECK_NOTHROW(relu({{&on_device, 1}, {&on_device, 1}, none, device.context()}));
  CHECK_THROWS_WITH(relu({{&on_host, 1}, {&on_device, 1}, none, device.context()}),
                    Catch::Contains("not the device's"));
  CHECK_THROWS_WITH(relu({{&on_device, 1}, {&on_host, 1}, none, device.context()}),
                    Catch::Contains("not the device's"));
  CHECK(test::dies([&] { *static_cast<volatile float*>(on_device.data) = 1; }));
  CHECK(!test::dies([&] { device.copy_in(on_device.data, host.data(), 32); }));
}
