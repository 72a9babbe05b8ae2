// The conformance suite on the kernels of kernels/cuda, run on the host: every case all of whose
// operations they cover, in f32 and bf16.
#include <cuda_runtime.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "backend/host_memory.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/table.h"
#include "ops/compare.h"
#include "ops/list.h"

namespace lacuna::test::ops {

namespace {

// The kernels of the CUDA device in the host's memory.
class CudaKernelsOnHost final : public HostDevice {
 public:
  std::string_view name() const override { return "cuda"; }
  Kernel find(std::string_view operation, DType dtype) const override {
    return find_in(cuda_kernels(), operation, dtype);
  }
  KernelContext& context() override { return context_; }
  DType parameter_dtype() const override { return DType::f32; }

 private:
  class Context final : public CudaContext {
   public:
    void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
    cudaStream_t stream() override { return nullptr; }
    int64_t blocks() const override { return 3; }  // few: loops over the grid go round

   private:
    HostScratch scratch_;
  };
  Context context_;
};

bool covered(const Case& test, const Device& device, DType dtype) {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  const auto names = CaseRun(test, *reference, DType::f64).operation_names();
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    const auto all = operations();
    const auto operation = std::find_if(all.begin(), all.end(),
                                        [&](const Operation* o) { return o->name == name; });
    return (*operation)->kind != Operation::Kind::kernel || device.find(name, dtype) != nullptr;
  });
}

int compare_covered(DType dtype) {
  CudaKernelsOnHost device;
  int cases = 0;
  for (const Case& test : all_cases()) {
    if (!covered(test, device, dtype)) continue;
    compare_with_reference(test, device, dtype, {});
    ++cases;
  }
  return cases;
}

}  // namespace

// The number rises with the table: a case that falls out of it is seen.
TEST_CASE("cuda kernels in float32 agree with the reference", "[ops]") {
  CHECK(compare_covered(DType::f32) == 16);
}

TEST_CASE("cuda kernels in bfloat16 agree with the reference", "[ops]") {
  CHECK(compare_covered(DType::bf16) == 16);
}

TEST_CASE("cuda: every kernel belongs to an operation", "[ops]") {
  std::set<std::string_view> names;
  for (const Operation* operation : operations()) names.insert(operation->name);
  for (const KernelEntry& entry : cuda_kernels()) {
    INFO(entry.operation);
    CHECK(names.contains(entry.operation));
  }
}

}  // namespace lacuna::test::ops
