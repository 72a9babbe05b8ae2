#include "ops/compare.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <set>

#include "backend/list.h"
#include "graph/state.h"
#include "ops/failure.h"

namespace lacuna::test::ops {

namespace {

struct Tolerance {
  double forward, backward;
};

Tolerance tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return {1e-2, 1e-2};
    case DType::f16:
      return {2e-3, 2e-3};
    default:
      return {1e-5, 1e-4};
  }
}

std::vector<LibraryPlan> added(const std::vector<LibraryPlan>& before, const Device& device) {
  std::set<std::string> known;
  for (const LibraryPlan& plan : before) known.insert(plan.problem);
  std::vector<LibraryPlan> plans = device.library_plans();
  std::erase_if(plans, [&](const LibraryPlan& plan) { return known.contains(plan.problem); });
  return plans;
}

// What each result is, as CaseRun orders them.
std::vector<std::string> results_of(const Case& test) {
  std::vector<std::string> names = {"output"};
  for (size_t k = 0; test.differentiable && k < test.operands.size(); ++k) {
    if (test.operands[k].differentiable) names.push_back(concat("gradient by operand ", k));
  }
  return names;
}

std::string explained(Failure failure, const CaseRun& run) {
  for (const NodePointer& node : run.nodes())
    failure.operations.emplace_back(node->operation->name);
  failure.operands = run.operands();
  std::string text = text_of(failure);
  if (const char* file = std::getenv("LACUNA_DUMP")) text += dump(failure, file);
  return text;
}

}  // namespace

std::string difference_from_reference(const Case& test, Device& device, DType dtype,
                                      PlanOptions options) {
  const std::unique_ptr<Device> reference = make_device("reference", 1);
  const std::vector<LibraryPlan> before = device.library_plans();
  Failure failure;
  failure.name = concat(test.name, " in ", name_of(dtype), options.eager ? ", composed" : "");
  failure.values = operand_values(test, dtype);
  CaseRun on_device(test, device, dtype, options);
  on_device.set(failure.values);
  auto actual = on_device.forward_and_gradients();
  CaseRun on_reference(test, *reference, DType::f64, options);
  on_reference.set(failure.values);
  auto expected = on_reference.forward_and_gradients();
  double scale = 0;
  for (size_t i = 1; i < expected.size(); ++i) {
    for (const double x : expected[i]) scale += x * x;
  }
  const Tolerance tolerance = tolerance_of(dtype);
  const std::vector<std::string> names = results_of(test);
  const std::vector<Shape> shapes = on_device.shapes();
  for (size_t i = 0; i < expected.size(); ++i) {
    const double limit = i == 0 ? tolerance.forward : tolerance.backward;
    const double error = relative_error(actual[i], expected[i], i == 0 ? 0 : std::sqrt(scale));
    if (error < limit) continue;
    failure.wrong.push_back(
        {names.at(i), shapes.at(i), std::move(actual[i]), std::move(expected[i]), error, limit});
  }
  if (failure.wrong.empty()) return "";
  failure.plans = added(before, device);
  return explained(std::move(failure), on_device);
}

void compare_with_reference(const Case& test, Device& device, DType dtype, PlanOptions options) {
  // What it throws is the caller's: some tests want it.
  const std::string difference = difference_from_reference(test, device, dtype, options);
  CHECK(difference == "");
}

// Targets after one update.
std::vector<std::vector<double>> updated(const UpdateCase& test, Device& device) {
  const DType dtype = device.parameter_dtype();
  StateStore store(device);
  std::vector<HostTensor> hosts;
  std::vector<Tensor> sources;
  std::vector<Tensor> values;
  std::vector<std::vector<State*>> targets(test.groups);
  const auto fill = [&](uint64_t subject, bool square) {
    const Draws draws(3, Purpose::test, hash_name(test.name), static_cast<uint32_t>(subject));
    return [draws, square](int64_t i) {  // of f32 on every device
      const auto x =
          static_cast<double>(static_cast<float>(draws.normal(static_cast<uint32_t>(i))));
      return square ? static_cast<double>(static_cast<float>(x * x)) : x;
    };
  };
  hosts.reserve(test.shapes.size());
  for (size_t t = 0; t < test.shapes.size(); ++t) {
    const Shape& shape = test.shapes[t];
    std::vector<double> numbers;
    for (int64_t i = 0; i < shape.count(); ++i) numbers.push_back(fill(t, false)(i));
    hosts.push_back(from_doubles(dtype, shape, numbers));
    sources.push_back(host_leaf(concat("source", t), hosts.back()));
    for (size_t g = 0; g < test.groups; ++g) {
      State& state = store.create(concat("target", g, ".", t), dtype, shape, Role::parameter);
      state.fill(fill(100 + 10 * g + t, g == 2));  // the third group are second moments
      targets[g].push_back(&state);
    }
  }
  for (const double& value : test.values)
    values.push_back(host_leaf("value", DType::f64, Shape{}, &value));
  Executor executor(device);
  executor.run({}, {test.build(sources, targets, values)});
  std::vector<std::vector<double>> result;
  for (const auto& group : targets) {
    for (const State* state : group) result.push_back(state->values());
  }
  return result;
}

}  // namespace lacuna::test::ops
