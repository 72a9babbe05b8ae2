// The conformance suite on the kernels of kernels/cuda, run on the host: every case all of whose
// operations they cover, in f32 and bf16.
#include <cuda_runtime.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "backend/host_memory.h"
#include "backend/list.h"
#include "graph/differentiate.h"
#include "kernels/cuda/support/context.h"
#include "kernels/cuda/support/table.h"
#include "kernels/elementwise.h"
#include "ops/compare.h"
#include "ops/list.h"
#include "support/table_training.h"
#include "support/token_by_token.h"
#include "support/views.h"

namespace lacuna::test::ops {

namespace {

// The kernels of the CUDA device in the host's memory.
class CudaKernelsOnHost : public HostDevice {
 public:
  std::string_view name() const override { return "cuda"; }
  Kernel find(std::string_view operation, DType dtype) const override {
    return find_kernel(cuda_kernels(), operation, dtype);
  }
  KernelContext& context() override { return context_; }
  DType parameter_dtype() const override { return DType::f32; }
  Bf16 bf16(Isa) const override { return Bf16::absent; }

 private:
  class Context final : public CudaContext {
   public:
    void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
    cudaStream_t stream() override { return nullptr; }
    int64_t blocks() const override { return 3; }  // few: loops over the grid go round
    Cudnn& cudnn() override { throw std::logic_error("no kernel of ours asks for the library"); }

   private:
    HostScratch scratch_;
  };
  Context context_;
};

bool has_kernel(const NodePointer& node, Device& device) {
  return node->operation == nullptr || node->operation->kind != Operation::Kind::kernel ||
         device.find(node->operation->name, node->inputs[0].dtype()) != nullptr;
}

// Whether the device has a kernel for a node, or for all that it is composed of.
bool can_run(const NodePointer& node, Device& device) {
  if (has_kernel(node, device)) return true;
  if (node->operation->composition == nullptr) return false;
  const std::vector<NodePointer> parts = in_order(node->operation->composition(node));
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [&](const NodePointer& part) {
    return can_run(part, device);
  });
}

// Compares all cases that the device can run, and returns the operations without a kernel: one that
// falls out of the table is seen.
std::set<std::string> compare_covered(DType dtype) {
  CudaKernelsOnHost device;
  std::set<std::string> all;
  for (const Case& test : all_cases()) {
    bool runs = true;
    for (const NodePointer& node : CaseRun(test, device, dtype).nodes()) {
      runs = runs && can_run(node, device);
      if (!has_kernel(node, device)) all.emplace(node->operation->name);
    }
    if (runs) compare_with_reference(test, device, dtype, {});
  }
  return all;
}

// What the library computes, and what is composed.
const std::set<std::string> without_kernel = {"convolution",
                                              "convolution_data_gradient",
                                              "convolution_weight_gradient",
                                              "grouped_convolution",
                                              "grouped_convolution_data_gradient",
                                              "grouped_convolution_weight_gradient",
                                              "masked_batch_norm_apply",
                                              "product_added",
                                              "product_gelu",
                                              "product_gelu_gradient"};

}  // namespace

TEST_CASE("cuda kernels in float32 agree with the reference", "[ops]") {
  CHECK(compare_covered(DType::f32) == without_kernel);
}

TEST_CASE("cuda kernels in bfloat16 agree with the reference", "[ops]") {
  CHECK(compare_covered(DType::bf16) == without_kernel);
}

TEST_CASE("cuda kernels in float16 agree with the reference", "[ops]") {
  CHECK(compare_covered(DType::f16) == without_kernel);
}

TEST_CASE("cuda updates agree with the reference", "[ops]") {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  CudaKernelsOnHost device;
  for (const UpdateCase& test : all_update_cases()) {
    INFO(test.name);
    const auto expected = updated(test, *reference);
    const auto actual = updated(test, device);
    REQUIRE(actual.size() == expected.size());
    for (size_t t = 0; t < expected.size(); ++t)
      CHECK(relative_error(actual[t], expected[t]) < 1e-6);
  }
}

TEST_CASE("cuda kernels make the views that the host makes", "[ops]") {
  CudaKernelsOnHost device;
  CHECK(testing::views_against_host(device, DType::f32) < 2e-5);
  CHECK(testing::views_against_host(device, DType::bf16) < 0.01);
  CHECK(testing::views_against_host(device, DType::f32, 1) > 0.5);
}

TEST_CASE("cuda kernels run a causal transformer over a cache", "[ops]") {
  CudaKernelsOnHost device;
  const testing::TokenByToken how{.tokens = 12, .prompt = 5, .first_prompt = 3};
  CHECK(testing::token_by_token(device, DType::f32, how).error < 1e-5);
  CHECK(testing::token_by_token(device, DType::bf16, how).error < 0.03);
  CHECK(testing::token_by_token(device, DType::f32, {.tokens = 12, .forget = true}).error > 0.01);
}

TEST_CASE("cuda kernels train a table by its sparse gradients", "[ops]") {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  const std::unique_ptr<Communicator> alone = self_communicator();
  CudaKernelsOnHost device;
  testing::TableSetup setup{.optimizer = "adamw"};
  setup.twice = true;
  setup.clip = 0.3;
  std::vector<std::vector<double>> tables;
  for (Device* each : {reference.get(), static_cast<Device*>(&device)}) {
    testing::TableTraining training(setup, *each, *alone, {testing::TableTraining::batch});
    for (int64_t step = 0; step < 3; ++step) training.step(step);
    tables.push_back(training.state().at(testing::table_name));
  }
  CHECK(relative_error(tables[1], tables[0]) < 1e-5);
}

// More tensors than one launch takes, and some of several chunks, of which the last is not whole.
TEST_CASE("cuda updates of many tensors agree with the reference", "[ops]") {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  CudaKernelsOnHost device;
  for (UpdateCase test : all_update_cases()) {
    test.shapes.assign(1300, Shape{3});
    test.shapes[7] = test.shapes[1299] = Shape{40001};
    INFO(test.name);
    const auto expected = updated(test, *reference);
    const auto actual = updated(test, device);
    double worst = 0;
    for (size_t t = 0; t < expected.size(); ++t)
      worst = std::max(worst, relative_error(actual[t], expected[t]));
    CHECK(worst < 1e-5);
  }
}

// Views of rows begin where no pack can be read.
TEST_CASE("cuda kernels take operands that begin anywhere", "[ops]") {
  CudaKernelsOnHost device;
  const auto check = [&](std::string_view operation, const std::vector<float>& expected,
                         const Attributes& attributes) {
    for (const size_t offset : {0, 1, 3}) {
      HostTensor x(DType::f32, Shape{64});
      HostTensor y(DType::f32, Shape{64});
      std::fill_n(y.as<float>().data(), 64, 0.f);
      for (size_t i = 0; i < 64; ++i) x.as<float>()[i] = static_cast<float>(i % 7) - 3;
      const View in[] = {{x.as<float>().data() + offset, DType::f32, Shape{5, 8}}};
      const View out[] = {{y.as<float>().data() + offset, DType::f32, Shape{5, 8}}};
      device.find(operation, DType::f32)({in, out, attributes, device.context()});
      for (size_t i = 0; i < 40; ++i) {
        INFO(operation << " from " << offset << " on, element " << i);
        REQUIRE(y.as<float>()[i + offset] == expected[(i + offset) % 7]);
      }
      CHECK(y.as<float>()[40 + offset] == 0);  // nothing is written behind
    }
  };
  check("relu", {0, 0, 0, 0, 1, 2, 3}, {});
  check("scale", {-6, -4, -2, 0, 2, 4, 6}, Scale{2});
  check("concatenate", {-3, -2, -1, 0, 1, 2, 3}, {});
}

// Where the planner puts a sum: into any term that is used for the last time.
TEST_CASE("cuda: a sum may lie where any of its terms is", "[ops]") {
  CudaKernelsOnHost device;
  const auto sum_in_place_of = [&](const std::vector<size_t>& terms, size_t place) {
    std::vector<HostTensor> x;
    for (const float value : {1.f, 10.f, 100.f, 1000.f}) {
      x.emplace_back(DType::f32, Shape{7});
      std::fill_n(x.back().as<float>().data(), 7, value);
    }
    std::vector<View> in;
    for (const size_t term : terms) in.push_back({x[term].data(), DType::f32, Shape{7}});
    const View out{x[place].data(), DType::f32, Shape{7}};
    device.find("accumulate", DType::f32)({in, {&out, 1}, {}, device.context()});
    return std::vector<float>(x[place].as<float>().begin(), x[place].as<float>().end());
  };
  for (size_t place = 0; place < 4; ++place)
    CHECK(sum_in_place_of({0, 1, 2, 3}, place) == std::vector<float>(7, 1111));
  CHECK(sum_in_place_of({0, 1, 0}, 0) == std::vector<float>(7, 12));
  CHECK(sum_in_place_of({1}, 1) == std::vector<float>(7, 10));
}

namespace {

// Forgets the last element where the count is no multiple of a block's threads.
__global__ void relu_without_tail(const float* x, float* y, int64_t count) {
  const int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (e + 1 < count) y[e] = x[e] < 0 ? 0 : x[e];
}

class FaultyTail final : public CudaKernelsOnHost {
 public:
  Kernel find(std::string_view operation, DType dtype) const override {
    if (operation == "relu") return relu;
    return CudaKernelsOnHost::find(operation, dtype);
  }

 private:
  static void relu(const Call& call) {
    const int64_t count = call.out[0].count();
    cudaLaunchConfig_t config;
    config.gridDim = dim3(static_cast<unsigned>((count + 31) / 32));
    config.blockDim = dim3(32);
    cudaLaunchKernelEx(&config, relu_without_tail, call.in[0].as<float>(), call.out[0].as<float>(),
                       count);
  }
};

}  // namespace

TEST_CASE("cuda: a tail that is forgotten is caught by the comparison", "[ops]") {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  CudaKernelsOnHost right;
  FaultyTail faulty;
  const auto cases = all_cases();
  const auto relu =
      std::find_if(cases.begin(), cases.end(), [](const Case& c) { return c.name == "relu"; });
  REQUIRE(relu != cases.end());
  const auto run = [&](Device& device, DType dtype) {
    CaseRun on_device(*relu, device, dtype);
    on_device.set(operand_values(*relu, DType::f32));
    return on_device.forward();
  };
  const auto expected = run(*reference, DType::f64);
  CHECK(relative_error(run(right, DType::f32), expected) < 1e-5);
  CHECK(relative_error(run(faulty, DType::f32), expected) > 1e-5);
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
