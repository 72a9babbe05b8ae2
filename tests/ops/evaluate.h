// Values of hand-sized graphs on the reference device.
#pragma once

#include <deque>
#include <vector>

#include "base/host_tensor.h"
#include "graph/forward_context.h"
#include "graph/tensor.h"

namespace lacuna::test::ops {

// Host memory of a test's leaves; must outlive what is computed from them.
class Leaves {
 public:
  Tensor operator()(const Shape& shape, const std::vector<double>& values,
                    DType dtype = DType::f64);
  Tensor labels(const std::vector<int64_t>& values);
  Tensor scalar(double value) { return (*this)(Shape{}, {value}); }

 private:
  std::deque<HostTensor> kept_;
};

std::vector<double> compute(const Tensor& x);
// Gradients of sum(seed y) by each of `by`; seed is 1 everywhere unless given.
std::vector<std::vector<double>> compute_gradients(const Tensor& y, const std::vector<Tensor>& by,
                                                   std::vector<double> seed = {});
void apply(const Update& update);

// Catch's approximate comparison of vectors, to 1e-12.
#define CHECK_CLOSE(actual, ...) \
  CHECK_THAT(actual, Catch::Approx(std::vector<double>(__VA_ARGS__)).epsilon(1e-12).margin(1e-12))

}  // namespace lacuna::test::ops
