#include "graph/plan.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "backend/list.h"
#include "backend/reference/reference_device.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/case.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/evaluate.h"
#include "ops/matrix_product.h"
#include "ops/shape.h"
#include "ops/squared_error.h"
#include "ops/updates.h"
#include "support/thread_communicators.h"

namespace lacuna::test {

namespace {

using ops::CaseRun;
using ops::Leaves;

// Two ranks that hold the same. Each collective is carried out as late as allowed, when it is
// waited for, so that memory which is reused while it is under way gives wrong results.
class LateTwin final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    const size_t n = bytes[0];
    return late([=] {
      std::memcpy(all, mine, n);
      std::memcpy(static_cast<char*>(all) + n, mine, n);
    });
  }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType) override {
    return late([=] {
      for (size_t i = 0; i < count; ++i) static_cast<double*>(data)[i] *= 2;
    });
  }
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType) override {
    const size_t n = parts[0];
    return late([=] {
      for (size_t i = 0; i < n; ++i)
        static_cast<double*>(mine)[i] = 2 * static_cast<const double*>(data)[i];
    });
  }
  Request broadcast(void*, size_t, int) override { return {}; }
  void barrier() override {}

 private:
  class Late final : public Request::State {
   public:
    explicit Late(std::function<void()> work) : work_(std::move(work)) {}
    void wait() override { work_(); }

   private:
    std::function<void()> work_;
  };
  static Request late(std::function<void()> work) {
    return Request(std::make_unique<Late>(std::move(work)));
  }
};

// A random graph over [4, 4] tensors whose values stay of order 1.
std::vector<Tensor> random_graph(uint64_t seed, Leaves& leaf, Communicator& twin) {
  const Draws draws(seed, Purpose::test, 1);
  uint32_t next = 0;
  const auto below = [&](size_t n) { return draws.below(next++, n); };
  std::vector<Tensor> pool;
  for (int i = 0; i < 3; ++i) {
    std::vector<double> values(16);
    for (double& value : values) value = draws.normal(next++);
    pool.push_back(leaf(Shape{4, 4}, values));
  }
  const auto any = [&] { return pool[pool.size() - 1 - below(std::min<size_t>(pool.size(), 6))]; };
  const std::vector<int64_t> two_and_two = {4, 4};
  for (int i = 0; i < 40; ++i) {
    const Tensor x = any();
    switch (below(11)) {
      case 0:
        pool.push_back(scale(add(x, any()), 0.7));
        break;
      case 1:
        pool.push_back(relu(x));
        break;
      case 2:
        pool.push_back(scale(x, -0.9));
        break;
      case 3:
        pool.push_back(scale(matmul(x, any()), 0.3));
        break;
      case 4:
        pool.push_back(concatenate({rows(x, 1, 3), rows(any(), 2, 4)}));
        break;
      case 5:
        pool.push_back(reshape(rows(concatenate({x, any()}), 2, 6), Shape{4, 4}));
        break;
      case 6:
        pool.push_back(accumulate({x, scale(any(), -0.5), x}));
        break;
      case 7:
        pool.push_back(scale(all_reduce_sum(x, twin), 0.5));
        break;
      case 8:
        pool.push_back(rows(all_gather(x, twin, two_and_two), 2, 6));
        break;
      case 9: {
        const std::vector<Tensor> sums = all_reduce_bucket({x, any()}, twin);
        pool.push_back(scale(sums[below(2)], 0.5));
        break;
      }
      default:
        pool.push_back(place_rows(rows(x, 0, 3), 1, 4));
        break;
    }
  }
  // A few, one of them twice and one of them a leaf.
  return {pool.back(), any(), any(), pool.back(), pool[below(3)]};
}

std::vector<std::vector<double>> run(const std::vector<Tensor>& wanted, PlanOptions options,
                                     double* share = nullptr) {
  ReferenceDevice device;
  Executor executor(device, options);
  executor.run(wanted);
  if (share != nullptr && executor.plan().unshared_bytes > 0) {
    *share = static_cast<double>(executor.plan().arena_bytes) /
             static_cast<double>(executor.plan().unshared_bytes);
  }
  std::vector<std::vector<double>> results;
  for (size_t i = 0; i < wanted.size(); ++i) results.push_back(ops::to_doubles(executor.output(i)));
  return results;
}

// The reference device without the kernels of one operation.
class Without final : public HostDevice {
 public:
  explicit Without(std::string_view missing) : missing_(missing) {}
  std::string_view name() const override { return "lesser"; }
  Kernel find(std::string_view operation, DType dtype) const override {
    return operation == missing_ ? nullptr : whole_.find(operation, dtype);
  }
  KernelContext& context() override { return whole_.context(); }
  DType parameter_dtype() const override { return DType::f64; }
  Bf16 bf16(Isa) const override { return Bf16::absent; }

 private:
  std::string_view missing_;
  ReferenceDevice whole_;
};

std::string signature_of(const std::vector<Tensor>& outputs,
                         const std::vector<Update>& updates = {}) {
  std::vector<Tensor> all = outputs;
  for (const Update& update : updates)
    all.insert(all.end(), update.inputs.begin(), update.inputs.end());
  return signature(in_order(all), outputs, updates);
}

}  // namespace

TEST_CASE("random graphs have the same values whether memory is shared or not", "[graph]") {
  LateTwin twin;
  double smallest = 1;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Leaves leaf;
    const std::vector<Tensor> wanted = random_graph(seed, leaf, twin);
    double share = 1;
    INFO("seed " << seed);
    const auto planned = run(wanted, {}, &share);
    const auto apart = run(wanted, {.eager = true});
    CHECK(planned == apart);
    smallest = std::min(smallest, share);
  }
  CHECK(smallest < 0.5);  // memory is shared at all
}

TEST_CASE("random graphs have the same gradients whether memory is shared or not", "[graph]") {
  LateTwin twin;
  for (uint64_t seed = 1000; seed < 1100; ++seed) {
    Leaves leaf;
    const std::vector<Tensor> wanted = random_graph(seed, leaf, twin);
    std::vector<Tensor> leaves;
    for (const NodePointer& node : in_order({wanted[0]})) {
      if (node->operation == nullptr) leaves.emplace_back(node, 0);
      // No gradient is defined for buckets.
      if (node->operation == &all_reduce_bucket_operation) leaves.clear();
      if (node->operation == &all_reduce_bucket_operation) break;
    }
    if (leaves.empty()) continue;
    const Tensor seed_tensor = leaf(Shape{4, 4}, std::vector<double>(16, 0.5));
    std::vector<Tensor> gradients = {wanted[0]};
    for (const Tensor& gradient : differentiate(wanted[0], seed_tensor, leaves))
      if (gradient.defined()) gradients.push_back(gradient);
    INFO("seed " << seed);
    CHECK(run(gradients, {}) == run(gradients, {.eager = true}));
  }
}

TEST_CASE("a chain of operations in place takes the memory of one value", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{64}, std::vector<double>(64, 1.5));
  Tensor y = scale(x, 2);  // the leaf itself must not be overwritten
  for (int i = 0; i < 5; ++i) y = relu(y);
  ReferenceDevice device;
  Executor executor(device);
  executor.run({y});
  CHECK(executor.plan().arena_bytes == 64 * sizeof(double));
  CHECK(ops::to_doubles(executor.output(0)) == std::vector<double>(64, 3));
  CHECK(ops::compute(x) == std::vector<double>(64, 1.5));
}

TEST_CASE("a value that is needed later is not overwritten in place", "[graph]") {
  Leaves leaf;
  const Tensor x = scale(leaf(Shape{2}, {-1, 2}), 1);
  const Tensor y = relu(x);
  const Tensor view = rows(x, 1, 2);
  CHECK(run({y, x, view}, {}) == std::vector<std::vector<double>>{{0, 2}, {-1, 2}, {2}});
}

// Two samples of bf16 take as many bytes as what is added to each, f32.
TEST_CASE("an operand of another type is not overwritten in place", "[graph]") {
  constexpr int64_t size = 4000;
  HostTensor x(DType::bf16, {2, size});
  HostTensor p(DType::f32, {size});
  for (size_t i = 0; i < static_cast<size_t>(size); ++i)
    p.as<float>()[i] = static_cast<float>(i % 64);
  for (BFloat16& value : x.as<BFloat16>()) value = BFloat16(1.0f);
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  Executor executor(*device);
  executor.run({add_to_each(host_leaf("x", x), scale(host_leaf("p", p), 2))});
  const std::vector<double> y = ops::to_doubles(executor.output(0));
  for (size_t i = 0; i < y.size(); ++i) {
    REQUIRE(y[i] == 1 + 2 * static_cast<double>(i % static_cast<size_t>(size) % 64));
  }
}

TEST_CASE("views of views lie where their elements are", "[graph]") {
  Leaves leaf;
  const Tensor x = leaf(Shape{4, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor inner = rows(reshape(rows(scale(x, 1), 1, 4), Shape{6}), 2, 5);
  CHECK_CLOSE(ops::compute(inner), {4, 5, 6});
  CHECK_CLOSE(ops::compute(rows(rows(x, 1, 4), 1, 2)), {4, 5});  // of a leaf
}

TEST_CASE("an operation without a kernel is composed where it can be", "[graph]") {
  Leaves leaf;
  const Tensor a = leaf(Shape{2, 1}, {1, 2});
  const Tensor b = leaf(Shape{2, 1}, {3, 5});
  Without device("squared_error");
  Executor executor(device);
  executor.run({squared_error(a, b, 0.5)});
  CHECK(executor.scalar(0) == Approx(6.5));
  // With weights there is no composition, nor for a matrix product.
  CHECK_THROWS_WITH(executor.run({squared_error(a, b, 0.5, b)}),
                    "operation \"squared_error\" has no kernel for float64 on the lesser device "
                    "and cannot be composed of others: set train.precision to \"f32\" or choose "
                    "another train.device");
}

TEST_CASE("a plan is kept for graphs that differ in values alone", "[graph]") {
  ReferenceDevice device;
  Executor executor(device);
  for (const double x : {1.0, 2.0, 3.0}) {
    const Tensor y = scale(host_leaf("x", DType::f64, Shape{}, &x), 2);
    executor.run({y});
    CHECK(executor.scalar(0) == 2 * x);
  }
  CHECK(executor.plan_count() == 1);
  const double x = 1;
  executor.run({scale(host_leaf("x", DType::f64, Shape{1}, &x), 2)});
  CHECK(executor.plan_count() == 2);
  executor.run({scale(host_leaf("x", DType::f64, Shape{}, &x), 3)});
  CHECK(executor.plan_count() == 3);
  CHECK(executor.scalar(0) == 3);
}

TEST_CASE("plans that were not used for long give way and are made again when they return",
          "[graph]") {
  ReferenceDevice device;
  Executor executor(device);
  const double x = 5;
  const auto run = [&](double factor) {
    executor.run({scale(host_leaf("x", DType::f64, Shape{}, &x), factor)});
    CHECK(executor.scalar(0) == factor * x);
  };
  for (int i = 1; i <= 40; ++i) run(i);
  CHECK(executor.plan_count() == 40);
  CHECK(executor.plans_kept() == 32);
  run(40);
  CHECK(executor.plan_count() == 40);
  run(1);
  CHECK(executor.plan_count() == 41);
  CHECK(executor.plans_kept() == 32);
  CHECK(executor.times_by_operation().size() == 1);
}

TEST_CASE("signatures differ where plans would", "[graph]") {
  ReferenceDevice device;
  State w(device, "w", DType::f64, Shape{2}, Role::parameter);
  State v(device, "v", DType::f64, Shape{2}, Role::parameter);
  LateTwin twin;
  LateTwin other_twin;
  const double data[8] = {};
  const auto x = [&](const std::string& name = "x", const Shape& shape = Shape{2},
                     DType dtype = DType::f64) { return host_leaf(name, dtype, shape, data); };
  const std::string base = signature_of({scale(add(x("a"), x("b")), 2)});
  CHECK(base == signature_of({scale(add(x("a"), x("b")), 2)}));
  const Tensor a = x("a");
  const std::vector<std::string> others = {
      signature_of({scale(add(x("a"), x("b")), 3)}),  // attributes
      signature_of(
          {record_one(scale_operation, {add(x("a"), x("b"))}, {x("a").dtype(), x("a").shape()},
                      ClipFactor{2})}),                   // attributes of equal bytes
      signature_of({relu(add(x("a"), x("b")))}),          // operation
      signature_of({scale(add(x("a"), x("c")), 2)}),      // name
      signature_of({scale(add(a, a), 2)}),                // edges
      signature_of({scale(add(w.tensor(), x("b")), 2)}),  // state for a leaf
      signature_of({scale(add(v.tensor(), x("b")), 2)}),  // another state
      signature_of({scale(add(x("a", Shape{1, 2}), x("b", Shape{1, 2})), 2)}),
      signature_of({scale(add(x("a", Shape{2}, DType::f32), x("b", Shape{2}, DType::f32)), 2)}),
      signature_of({rows(x(), 0, 1)}),
      signature_of({rows(x(), 1, 2)}),  // where a view lies
      signature_of({all_gather(x(), twin, {2, 1})}),
      signature_of({all_gather(x(), twin, {2, 3})}),        // rows of the ranks
      signature_of({all_gather(x(), other_twin, {2, 1})}),  // communicator
      signature_of({x("a")}, {ema_update({x("a")}, {&w}, x("m", Shape{}))}),
      signature_of({x("a")}, {ema_update({x("a")}, {&v}, x("m", Shape{}))}),
      signature_of({x("a"), x("m", Shape{})}),
  };
  for (size_t i = 0; i < others.size(); ++i) {
    INFO(i);
    CHECK(others[i] != base);
    for (size_t j = 0; j < i; ++j) CHECK(others[i] != others[j]);
  }
  CHECK(signature_of({a, relu(a)}) != signature_of({relu(a), a}));  // order of outputs
}

TEST_CASE("updates are made after everything is computed and in recorded order", "[graph]") {
  ReferenceDevice device;
  State w(device, "w", DType::f64, Shape{1}, Role::parameter);
  State teacher(device, "teacher", DType::f64, Shape{1}, Role::buffer);
  w.fill([](int64_t) { return 1; });
  Leaves leaf;
  const Tensor zero = leaf.scalar(0);
  Executor executor(device);
  // y reads w before the update; the teacher reads it behind.
  const Tensor y = scale(w.tensor(), 10);
  executor.run({y}, {ema_update({leaf(Shape{1}, {5})}, {&w}, zero),
                     ema_update({w.tensor()}, {&teacher}, zero)});
  CHECK(executor.scalar(0) == 10);
  CHECK(w.values()[0] == 5);
  CHECK(teacher.values()[0] == 5);
}

TEST_CASE("a plan serves runs in which other ranks hold other rows", "[ranks]") {
  std::array<size_t, 3> plans{};
  std::array<bool, 3> right{};
  on_ranks(3, [&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    right[rank] = true;
    const std::unique_ptr<Device> device = make_device("reference", 1);
    Executor executor(*device);
    for (const std::vector<int64_t>& rows :
         std::vector<std::vector<int64_t>>{{2, 1, 3}, {2, 3, 1}, {2, 4, 0}}) {
      Leaves leaf;
      const std::vector<double> own(static_cast<size_t>(rows[rank]), static_cast<double>(rank));
      const Tensor all = all_gather(leaf(Shape{rows[rank]}, own), communicator, rows);
      const Tensor back = reduce_scatter_sum(all, communicator, rows);
      executor.run({all, back});
      std::vector<double> expected;
      for (size_t r = 0; r < rows.size(); ++r)
        expected.insert(expected.end(), static_cast<size_t>(rows[r]), static_cast<double>(r));
      const std::vector<double> sums(own.size(), 3.0 * static_cast<double>(rank));
      right[rank] = right[rank] && ops::to_doubles(executor.output(0)) == expected &&
                    ops::to_doubles(executor.output(1)) == sums;
    }
    plans[rank] = executor.plan_count();
  });
  CHECK(right == std::array<bool, 3>{true, true, true});
  CHECK(plans == std::array<size_t, 3>{1, 3, 3});
}

}  // namespace lacuna::test
