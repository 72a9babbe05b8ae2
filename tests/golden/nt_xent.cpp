// NT-Xent of rows brought to unit length, beside PyTorch's cross entropy of the similarities.
#include "ops/nt_xent.h"

#include <catch2/catch.hpp>

#include "golden/golden.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/normalize.h"

namespace lacuna::golden {

namespace {

Results nt_xent_results(const Case& c, const Setting& setting) {
  const auto device = setting.make();
  const auto self = self_communicator();
  const DType dtype = device->parameter_dtype();
  StateStore store(*device);
  const int64_t rows = c.integer("rows");
  std::vector<Tensor> x;
  for (const char* name : {"x0", "x1"}) {
    State& state = store.create(name, dtype, {rows, c.integer("features")}, Role::parameter);
    const auto drawn = rounded_normal(name, state.shape().count());
    state.fill([&](int64_t i) { return drawn[static_cast<size_t>(i)]; });
    x.push_back(state.tensor());
  }
  const std::vector<int64_t> per_rank = {rows};
  const Tensor z0 = normalize(x[0]);
  const Tensor z1 = normalize(x[1]);
  const int64_t front = 0;
  const Tensor loss =
      nt_xent(z0, z1, all_gather(z0, *self, per_rank), all_gather(z1, *self, per_rank),
              c.number("temperature"), host_leaf("first_row", DType::i64, Shape{}, &front));
  const HostTensor one = [&] {
    HostTensor host(dtype, Shape{});
    if (dtype == DType::f64) {
      host.as<double>()[0] = 1;
    } else {
      host.as<float>()[0] = 1;
    }
    return host;
  }();
  std::vector<Tensor> outputs = {loss};
  for (const Tensor& gradient : differentiate(loss, host_leaf("one", one), x)) {
    outputs.push_back(cast(gradient, DType::f64));
  }
  Executor executor(*device, {.eager = setting.eager});
  executor.run(outputs);
  const auto values = [&](size_t i) {
    const HostTensor host = executor.output(i);
    return std::vector<double>(host.as<double>().begin(), host.as<double>().end());
  };
  return {{"loss", {executor.scalar(0)}}, {"gradient/x0", values(1)}, {"gradient/x1", values(2)}};
}

}  // namespace

TEST_CASE("NT-Xent and its gradients agree with PyTorch", "[golden]") {
  int cases = 0;
  for_each_case("nt_xent", [&](const std::string& name, const Case& c) {
    for (const Setting& setting : settings()) {
      check(c, nt_xent_results(c, setting), setting.limits, concat(name, setting));
    }
    ++cases;
  });
  CHECK(cases == 2);
}

}  // namespace lacuna::golden
