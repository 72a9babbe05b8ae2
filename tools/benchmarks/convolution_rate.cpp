// Prints oneDNN's rate, in GFLOP/s, of the f32 3x3 convolution of 64 channels at 32x32, batch 128,
// forward, on all processors that this process may use: the yardstick by which times on different
// machines are compared. The best of several runs, since other work only slows it down.
#include <chrono>
#include <cstdio>

#include "backend/list.h"
#include "base/host_tensor.h"
#include "base/threads.h"
#include "kernels/convolution.h"

using namespace lacuna;

int main() {
  const auto device = make_device("cpu", threads_available());
  const Convolution shape{.batch = 128,
                          .in_channels = 64,
                          .out_channels = 64,
                          .axes = 2,
                          .in = {1, 32, 32},
                          .kernel = {1, 3, 3},
                          .stride = {1, 1, 1},
                          .padding = {0, 1, 1},
                          .out = {1, 32, 32},
                          .bias = 0,
                          .dilation = {1, 1, 1},
                          .groups = 1};
  HostTensor x(DType::f32, {128, 32, 32, 64}), w(DType::f32, {64, 64, 3, 3}),
      y(DType::f32, {128, 32, 32, 64});
  for (HostTensor* tensor : {&x, &w, &y}) {
    for (float& v : tensor->as<float>()) v = 0.01f;
  }
  const View in[2] = {{x.data(), DType::f32, x.shape()}, {w.data(), DType::f32, w.shape()}};
  const View out[1] = {{y.data(), DType::f32, y.shape()}};
  const Attributes attributes(shape);
  const Kernel kernel = device->find("convolution", DType::f32);
  double best = 1e9;
  for (int run = 0; run < 15; ++run) {
    const auto start = std::chrono::steady_clock::now();
    kernel({in, out, attributes, device->context()});
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double flops = 2.0 * 128 * 32 * 32 * 64 * 64 * 9;
  std::printf("%.1f\n", flops / best * 1e-9);
}
