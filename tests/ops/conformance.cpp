// The conformance suite: every operation, on every device and dtype, forward and backward.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "backend/list.h"
#include "graph/differentiate.h"
#include "graph/state.h"
#include "io/hdf5.h"
#include "kernels/batch_norm.h"
#include "kernels/cpu/support/onednn.h"
#include "kernels/cpu/support/table.h"
#include "kernels/reference/support/table.h"
#include "ops/batch_norm.h"
#include "ops/case.h"
#include "ops/compare.h"
#include "ops/elementwise.h"
#include "ops/failure.h"
#include "ops/list.h"
#include "ops/shape.h"
#include "ops/types.h"
#include "ops/updates.h"
#include "support/forwarding_device.h"

namespace lacuna::test::ops {

namespace {

// Operations whose tests stand in their family file: over several ranks, or of other operands.
const std::set<std::string> tested_elsewhere = {"all_gather",
                                                "reduce_scatter_sum",
                                                "all_reduce_sum",
                                                "all_reduce_bucket",
                                                "scatter_sums",
                                                "gather_slices",
                                                "batch_norm_running_update",
                                                "make_views",
                                                "gather_rows",
                                                "write_rows",
                                                "write_tokens"};

}  // namespace

TEST_CASE("every operation has a case of the conformance suite", "[ops]") {
  std::set<std::string> covered = tested_elsewhere;
  const std::unique_ptr<Device> device = make_device("reference", 1);
  for (const Case& test : all_cases()) {
    for (const NodePointer& node : CaseRun(test, *device, DType::f64).nodes())
      covered.emplace(node->operation->name);
  }
  State dummy(*device, "w", DType::f64, Shape{1}, Role::parameter);
  const double one = 1;
  const Tensor value = host_leaf("value", DType::f64, Shape{}, &one);
  const Tensor source = host_leaf("source", DType::f64, Shape{1}, &one);
  for (const UpdateCase& test : all_update_cases()) {
    const Update update =
        test.build(std::vector<Tensor>(test.shapes.size(), source),
                   std::vector<std::vector<State*>>(
                       test.groups, std::vector<State*>(test.shapes.size(), &dummy)),
                   std::vector<Tensor>(test.values.size(), value));
    covered.insert(std::string(update.operation->name));
  }
  for (const Operation* operation : operations()) {
    INFO(operation->name);
    CHECK(covered.contains(std::string(operation->name)));
    covered.erase(std::string(operation->name));
  }
  // Nothing runs that is not in the list.
  for (const std::string& name : covered) FAIL_CHECK("not in the list of operations: " << name);
}

TEST_CASE("every kernel belongs to an operation and every operation has a reference kernel",
          "[ops]") {
  const auto is_listed = [](std::string_view name) {
    const auto all = operations();
    return std::any_of(all.begin(), all.end(), [&](const Operation* o) { return o->name == name; });
  };
  for (const KernelEntry& entry : reference_kernels()) CHECK(is_listed(entry.operation));
  for (const KernelEntry& entry : cpu_kernels()) {
    INFO(entry.operation);
    CHECK(is_listed(entry.operation));
  }
  for (const Operation* operation : operations()) {
    if (operation->kind != Operation::Kind::kernel) continue;
    const auto table = reference_kernels();
    INFO(operation->name);
    CHECK(std::any_of(table.begin(), table.end(), [&](const KernelEntry& entry) {
      return entry.operation == operation->name;
    }));
  }
}

TEST_CASE("gradients of operations agree with finite differences", "[ops]") {
  for (const Case& test : all_cases()) {
    if (!test.differentiable || test.large) continue;
    INFO(test.name);
    CHECK(gradient_error(test) < 1e-8);
  }
}

TEST_CASE("finite differences catch a gradient that is wrong by one percent", "[ops][fault]") {
  // The kernel of multiply under a gradient with a planted fault.
  static const Operation scaled = {
      .name = "multiply", .gradient = [](const NodePointer& node, const std::vector<Tensor>& dy) {
        return std::vector<Tensor>{scale(multiply(dy[0], node->inputs[1]), 1.01),
                                   multiply(dy[0], node->inputs[0])};
      }};
  const Shape shape{3, 5};
  const Case test = {"scaled gradient", {activation(shape), activation(shape)}, [](const auto& x) {
                       return record_one(scaled, {x[0], x[1]}, {x[0].dtype(), x[0].shape()});
                     }};
  CHECK(gradient_error(test) == Approx(0.01).epsilon(0.01));
}

TEST_CASE("finite differences catch the term through the statistics of a batch norm",
          "[ops][fault]") {
  const Shape shape{7, 3};
  const auto with_moments = [&](bool fault) {
    return Case{
        "dropped term",
        {activation(shape), parameter(Shape{3}, 0.3, 1), parameter(Shape{3})},
        [fault](const std::vector<Tensor>& x) {
          const Tensor moments = batch_moments(x[0], nullptr);
          return record_one(
              batch_norm_apply_operation, {x[0], moments, x[1], x[2]}, {x[0].dtype(), x[0].shape()},
              BatchNormAttributes{.epsilon = 0.01, .relu = 0, .residual = 0, .fixed = fault});
        }};
  };
  CHECK(gradient_error(with_moments(false)) < 1e-8);
  CHECK(gradient_error(with_moments(true)) > 0.1);
}

TEST_CASE("finite differences catch an operand whose gradient is dropped", "[ops][fault]") {
  const Shape shape{3, 5};
  const Case test = {"dropped operand", {activation(shape)}, [](const auto& x) {
                       return multiply(x[0], stop_gradient(x[0]));
                     }};
  CHECK(gradient_error(test) == Approx(0.5).epsilon(0.01));
}

TEST_CASE("composed operations agree with fused ones on the reference device", "[ops]") {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  for (const Case& test : all_cases()) {
    INFO(test.name);
    const auto values = operand_values(test, DType::f64);
    CaseRun fused(test, *device, DType::f64);
    CaseRun composed(test, *device, DType::f64, {.eager = true});
    fused.set(values);
    composed.set(values);
    const auto a = fused.forward_and_gradients();
    const auto b = composed.forward_and_gradients();
    for (size_t i = 0; i < a.size(); ++i) CHECK(relative_error(a[i], b[i]) < 1e-13);
  }
}

TEST_CASE("operations on the cpu device in float32 agree with the reference", "[ops][cpu]") {
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  for (const Case& test : all_cases()) compare_with_reference(test, *cpu, DType::f32, {});
}

TEST_CASE("composed operations on the cpu device agree with the reference", "[ops][cpu]") {
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  for (const Case& test : all_cases())
    compare_with_reference(test, *cpu, DType::f32, {.eager = true});
}

TEST_CASE("operations on the cpu device in bfloat16 agree with the reference", "[ops][cpu]") {
  if (!onednn_has_bf16()) {
    WARN("this processor has no AVX-512: oneDNN has no bfloat16 here, nothing was compared");
    return;
  }
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  for (const Case& test : all_cases()) compare_with_reference(test, *cpu, DType::bf16, {});
}

namespace {

// The reference device with a kernel of `multiply` that is wrong in one element.
class FaultyDevice final : public testing::ForwardingDevice {
 public:
  FaultyDevice() : ForwardingDevice(make_device("reference", 1)) {}
  Kernel find(std::string_view operation, DType dtype) const override {
    if (operation != "multiply") return ForwardingDevice::find(operation, dtype);
    return [](const Call& call) {
      for (int64_t i = 0; i < call.out[0].count(); ++i)
        call.out[0].as<double>()[i] = call.in[0].as<double>()[i] * call.in[1].as<double>()[i];
      call.out[0].as<double>()[4] += 0.5;
    };
  }
  std::vector<LibraryPlan> library_plans() const override {
    return std::vector<LibraryPlan>(static_cast<size_t>(asked_++), {"a product", "eng7", 64, 3});
  }

 private:
  mutable int asked_ = 0;
};

}  // namespace

TEST_CASE("a wrong kernel is told with its place, its plan and its numbers", "[ops][fault]") {
  const auto folder = std::filesystem::temp_directory_path() / concat("lacuna-dump-", ::getpid());
  std::filesystem::create_directories(folder);
  const std::string file = folder / "operands.h5";
  ::setenv("LACUNA_DUMP", file.c_str(), 1);
  const Case test = {"a/product", {activation({2, 3}), activation({2, 3})}, [](const auto& x) {
                       return multiply(x[0], x[1]);
                     }};
  FaultyDevice faulty;
  const std::string text = difference_from_reference(test, faulty, DType::f64, {});
  const std::string second = difference_from_reference(test, faulty, DType::f64, {});
  ::unsetenv("LACUNA_DUMP");
  using Catch::Contains;
  CHECK_THAT(text, Contains("a/product in float64") && Contains("operations: multiply") &&
                       Contains("operands: float64[2, 3], float64[2, 3]") &&
                       Contains("output [2, 3]: relative error") &&
                       Contains("furthest off at [1, 1]: ") &&
                       Contains("gradient by operand 0 [2, 3]") &&
                       Contains("plan: a product: eng7, workspace 64 of 3 offered") &&
                       Contains("group a|product in float64"));
  CHECK_THAT(second, Contains("group a|product in float64 (2)"));
  {
    const hdf5::File dumped = hdf5::File::open(file);
    const hdf5::Group group = dumped.group("a|product in float64");
    CHECK(group.dataset("operands/1").values<double>() == operand_values(test, DType::f64)[1]);
    const auto actual = group.dataset("output/actual").values<double>();
    const auto expected = group.dataset("output/expected").values<double>();
    CHECK(actual[4] == Approx(expected[4] + 0.5));
    CHECK(actual[3] == expected[3]);
  }
  Failure large;
  large.name = "large";
  large.values.emplace_back(size_t{1} << 10);
  CHECK_THAT(dump(large, file, 10'000), Contains("would be too large"));
  CHECK_THAT(dump(large, folder / "no/such.h5"), Contains("not kept"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("updates on the cpu device agree with the reference", "[ops][cpu]") {
  const std::unique_ptr<Device> cpu = make_device("cpu", 2);
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  for (const UpdateCase& test : all_update_cases()) {
    const auto actual = updated(test, *cpu);
    const auto expected = updated(test, *reference);
    INFO(test.name);
    for (size_t i = 0; i < expected.size(); ++i)
      CHECK(relative_error(actual[i], expected[i]) < 1e-5);
  }
}

}  // namespace lacuna::test::ops
