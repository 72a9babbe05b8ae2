// Every operation on the CUDA device: its own host code and kernels, and the real library's plans,
// over doubles of the runtime and of what the library executes.
#include <catch2/catch.hpp>

#include "backend/list.h"
#include "cuda/device/support.h"
#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/cudnn.h"
#include "ops/compare.h"
#include "ops/list.h"

namespace lacuna::test::ops {

namespace {

void compare_all(Device& device, DType dtype, bool eager) {
  for (const Case& test : all_cases())
    compare_with_reference(test, device, dtype, {.eager = eager});
}

}  // namespace

TEST_CASE("cuda: every operation has a kernel on the device or is composed") {
  const auto device = testing::cuda_device();
  for (const Operation* operation : operations()) {
    if (operation->kind != Operation::Kind::kernel) continue;
    INFO(operation->name);
    bool found = operation->composition != nullptr;
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::i64, DType::u8})
      found = found || device->find(operation->name, dtype) != nullptr;
    CHECK(found);
  }
}

TEST_CASE("cuda device in float32 agrees with the reference") {
  compare_all(*testing::cuda_device(), DType::f32, false);
}

// The library has a plan for all but heads whose width is no multiple of 8: another fallback is
// seen.
namespace {

void compare_in_16_bits(DType dtype) {
  const auto device = testing::cuda_device();
  compare_all(*device, dtype, false);
  for (const CudnnPlan& plan : static_cast<CudaContext&>(device->context()).cudnn().plans()) {
    INFO(plan.problem);
    int64_t width = 8;
    if (const size_t at = plan.problem.find(" d "); plan.problem.rfind("attention", 0) == 0)
      width = std::stoll(plan.problem.substr(at + 3));
    CHECK(plan.engine.empty() == (width % 8 != 0));
  }
}

}  // namespace

TEST_CASE("cuda device in bfloat16 agrees with the reference") { compare_in_16_bits(DType::bf16); }

TEST_CASE("cuda device in float16 agrees with the reference") { compare_in_16_bits(DType::f16); }

TEST_CASE("cuda updates on the device agree with the reference") {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  const auto device = testing::cuda_device();
  for (const UpdateCase& test : all_update_cases()) {
    INFO(test.name);
    const auto expected = updated(test, *reference);
    const auto actual = updated(test, *device);
    REQUIRE(actual.size() == expected.size());
    for (size_t t = 0; t < expected.size(); ++t)
      CHECK(relative_error(actual[t], expected[t]) < 1e-6);
  }
}

}  // namespace lacuna::test::ops
