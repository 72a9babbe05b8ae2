#include "ops/evaluate.h"

#include "backend/list.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/case.h"

namespace lacuna::test::ops {

Tensor Leaves::operator()(const Shape& shape, const std::vector<double>& values, DType dtype) {
  kept_.push_back(from_doubles(dtype, shape, values));
  return host_leaf(concat("leaf", kept_.size()), kept_.back());
}

Tensor Leaves::labels(const std::vector<int64_t>& values) {
  return (*this)(Shape{static_cast<int64_t>(values.size())},
                 std::vector<double>(values.begin(), values.end()), DType::i64);
}

std::vector<double> compute(const Tensor& x) {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Executor executor(*device);
  executor.run({x});
  return to_doubles(executor.output(0));
}

std::vector<std::vector<double>> compute_gradients(const Tensor& y, const std::vector<Tensor>& by,
                                                   std::vector<double> seed) {
  seed.resize(static_cast<size_t>(y.shape().count()), seed.empty() ? 1 : seed.back());
  const HostTensor host = from_doubles(y.dtype(), y.shape(), seed);
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Executor executor(*device);
  const std::vector<Tensor> gradients = differentiate(y, host_leaf("seed", host), by);
  executor.run(gradients);
  std::vector<std::vector<double>> results;
  for (size_t i = 0; i < gradients.size(); ++i) results.push_back(to_doubles(executor.output(i)));
  return results;
}

void apply(const Update& update) {
  const std::unique_ptr<Device> device = make_device("reference", 1);
  Executor executor(*device);
  executor.run({}, {update});
}

}  // namespace lacuna::test::ops
