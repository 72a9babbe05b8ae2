// Rates of the CPU's kernels beside what bounds them, measured in the same run: memcpy for those
// bound by memory, oneDNN's convolution of 64 channels of 32x32 for those bound by arithmetic.
//
//   lacuna-tests "[.benchmark]"
//
// for ResNet-18's shapes. LACUNA_THREADS (2) and LACUNA_BATCH (256) change what they say; with one
// thread its processor time is measured, so that a busy machine disturbs less.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "kernels/batch_norm.h"
#include "kernels/convolution.h"
#include "kernels/matrix_product.h"
#include "kernels/nt_xent.h"
#include "kernels/optimizers.h"
#include "tests/kernels/cpu_support.h"

namespace lacuna::test {

namespace {

int64_t setting(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

int benchmark_threads() { return static_cast<int>(setting("LACUNA_THREADS", 2)); }

double now() {
  timespec t;
  clock_gettime(benchmark_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds_of(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

double best_of(int repetitions, const std::function<void()>& work) {
  work();
  double best = 1e30;
  for (int i = 0; i < repetitions; ++i) best = std::min(best, seconds_of(work));
  return best;
}

// One kernel on operands in the device's memory, filled with small numbers.
class Bench {
 public:
  explicit Bench(int threads) : device_(threads) {}
  CpuDevice& device() { return device_; }
  View tensor(DType dtype, const Shape& shape) {
    memory_.emplace_back(device_, static_cast<size_t>(shape.count()) * size_of(dtype));
    const View view{memory_.back().data(), dtype, shape};
    for (int64_t i = 0; i < shape.count(); ++i) {
      const float value = static_cast<float>((i * 7919) % 1009) / 1009.0f - 0.3f;
      if (dtype == DType::f32) view.as<float>()[i] = value;
      if (dtype == DType::bf16) view.as<BFloat16>()[i] = BFloat16(value);
      if (dtype == DType::f64) view.as<double>()[i] = 1 + 0.5 * static_cast<double>(value);
    }
    return view;
  }
  double time(const char* operation, const std::vector<View>& in, const std::vector<View>& out,
              const Attributes& attributes, int repetitions = 5) {
    const Kernel kernel = device_.find(operation, in.at(0).dtype);
    REQUIRE(kernel != nullptr);
    return best_of(repetitions, [&] { kernel({in, out, attributes, device_.context()}); });
  }
  void release() { memory_.clear(); }

 private:
  CpuDevice device_;
  std::vector<DeviceMemory> memory_;
};

struct Layer {
  int64_t in, out, size, kernel, stride;
};

// The convolutions of ResNet-18 with the stem for small images; the size is that of the input.
constexpr Layer layers[] = {{3, 64, 32, 3, 1},   {64, 64, 32, 3, 1},   {64, 128, 32, 3, 2},
                            {64, 128, 32, 1, 2}, {128, 128, 16, 3, 1}, {128, 256, 16, 3, 2},
                            {256, 256, 8, 3, 1}, {256, 512, 8, 3, 2},  {512, 512, 4, 3, 1}};

Convolution convolution_of(const Layer& layer, int64_t batch) {
  Convolution c{};
  c.batch = batch;
  c.in_channels = layer.in;
  c.out_channels = layer.out;
  c.axes = 2;
  c.groups = 1;
  const int64_t padding = layer.kernel / 2;
  for (int axis = 0; axis < 3; ++axis) {
    c.dilation[axis] = 1;
    c.in[axis] = axis ? layer.size : 1;
    c.out[axis] = axis ? (layer.size + 2 * padding - layer.kernel) / layer.stride + 1 : 1;
    c.kernel[axis] = axis ? layer.kernel : 1;
    c.stride[axis] = axis ? layer.stride : 1;
    c.padding[axis] = axis ? padding : 0;
  }
  return c;
}

void benchmark_convolutions(Bench& bench, DType dtype, int64_t batch) {
  for (const Layer& layer : layers) {
    const Convolution c = convolution_of(layer, batch);
    const int64_t out = c.out[2];
    const View x = bench.tensor(dtype, {batch, layer.size, layer.size, layer.in});
    const View w = bench.tensor(DType::f32, {layer.out, layer.in, layer.kernel, layer.kernel});
    const View y = bench.tensor(dtype, {batch, out, out, layer.out});
    const double flops =
        2.0 * static_cast<double>(y.count() * layer.in * layer.kernel * layer.kernel);
    const double forward = bench.time("convolution", {x, w}, {y}, c, 3);
    const double data = bench.time("convolution_data_gradient", {y, w}, {x}, c, 3);
    const double weights = bench.time("convolution_weight_gradient", {x, y}, {w}, c, 3);
    std::printf("%-5s %3ld -> %3ld  %2ldx%-2ld kernel %ld stride %ld   %7.1f %7.1f %7.1f GFLOP/s\n",
                std::string(name_of(dtype)).c_str(), layer.in, layer.out, layer.size, layer.size,
                layer.kernel, layer.stride, flops / forward / 1e9, flops / data / 1e9,
                flops / weights / 1e9);
    bench.release();
  }
}

// Those of stride 1 by all that there is for them, in turns, so that a busy machine is as busy for
// each: GFLOP/s as of the definition, of the fastest of some rounds.
void benchmark_methods(Bench& bench, const Layer& layer, int64_t batch) {
  const Convolution c = convolution_of(layer, batch);
  const View x = bench.tensor(DType::f32, {batch, layer.size, layer.size, layer.in});
  const View w = bench.tensor(DType::f32, {layer.out, layer.in, 3, 3});
  const View y = bench.tensor(DType::f32, {batch, layer.size, layer.size, layer.out});
  struct Pass {
    const char* operation;
    std::vector<View> in, out;
  };
  const Pass passes[] = {{"convolution", {x, w}, {y}},
                         {"convolution_data_gradient", {y, w}, {x}},
                         {"convolution_weight_gradient", {x, y}, {w}}};
  using enum ConvolutionMethods;
  constexpr ConvolutionMethods methods[] = {direct, exact, fast};
  std::vector<std::unique_ptr<CpuDevice>> devices;
  for (const auto each : methods)
    devices.push_back(std::make_unique<CpuDevice>(benchmark_threads(), detect_isa(), each));
  const double flops = 18.0 * static_cast<double>(y.count() * layer.in);
  for (const Pass& pass : passes) {
    std::vector<double> best(devices.size(), 1e30);
    for (int64_t round = 0; round < setting("LACUNA_ROUNDS", 7); ++round) {
      for (size_t i = 0; i < devices.size(); ++i) {
        const Kernel kernel = devices[i]->find(pass.operation, DType::f32);
        const auto run = [&] { kernel({pass.in, pass.out, c, devices[i]->context()}); };
        if (round == 0) run();
        best[i] = std::min(best[i], seconds_of(run));
      }
    }
    std::printf("%3ld of %2ldx%-2ld %-28s %6.0f %6.0f %6.0f   %5.2f %5.2f\n", layer.in, layer.size,
                layer.size, pass.operation, flops / best[0] / 1e9, flops / best[1] / 1e9,
                flops / best[2] / 1e9, best[0] / best[1], best[0] / best[2]);
  }
  bench.release();
}

// GB/s that memcpy moves (read + written) with the same threads, in blocks as the kernels' parts.
double copy_rate(Bench& bench, size_t bytes, int threads) {
  const View from = bench.tensor(DType::f32, {static_cast<int64_t>(bytes / 4)});
  const View to = bench.tensor(DType::f32, {static_cast<int64_t>(bytes / 4)});
  const size_t part = bytes / static_cast<size_t>(threads);
  const double seconds = best_of(5, [&] {
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < threads; ++i) {
      std::memcpy(static_cast<char*>(to.data) + static_cast<size_t>(i) * part,
                  static_cast<const char*>(from.data) + static_cast<size_t>(i) * part, part);
    }
  });
  return 2 * static_cast<double>(bytes) / seconds / 1e9;
}

void report(const char* name, const Shape& shape, double bytes, double seconds, double copy) {
  const double rate = bytes / seconds / 1e9;
  std::printf("%-42s [%ld, %ld, %ld, %ld]  %6.2f ms  %6.1f GB/s  %5.2f of memcpy\n", name, shape[0],
              shape[1], shape[2], shape[3], seconds * 1e3, rate, rate / copy);
}

void benchmark_batch_norm(Bench& bench, DType dtype, const Shape& shape, int threads) {
  const int64_t channels = shape[3];
  const double bytes = static_cast<double>(shape.count()) * static_cast<double>(size_of(dtype));
  const double copy = copy_rate(bench, static_cast<size_t>(bytes), threads);
  const View x = bench.tensor(dtype, shape);
  const View y = bench.tensor(dtype, shape);
  const View dy = bench.tensor(dtype, shape);
  const View dx = bench.tensor(dtype, shape);
  const View residual = bench.tensor(dtype, shape);
  const View moments = bench.tensor(DType::f64, {1 + 2 * channels});
  const View all_sums = bench.tensor(DType::f64, {1 + 4 * channels});
  const View sums = bench.tensor(DType::f64, {2 * channels});
  const View gamma = bench.tensor(DType::f32, {channels});
  const View beta = bench.tensor(DType::f32, {channels});
  std::printf("memcpy of %s: %.1f GB/s\n", std::string(name_of(dtype)).c_str(), copy);
  report("batch_norm_statistics", shape, bytes,
         bench.time("batch_norm_statistics", {x}, {all_sums}, {}), copy);
  const BatchNormAttributes plain{1e-5, 1, 0, 0};
  const BatchNormAttributes with_residual{1e-5, 1, 1, 0};
  report("batch_norm_apply, ReLU", shape, 2 * bytes,
         bench.time("batch_norm_apply", {x, moments, gamma, beta}, {y}, plain), copy);
  report("batch_norm_apply, ReLU, residual", shape, 3 * bytes,
         bench.time("batch_norm_apply", {x, moments, gamma, beta, residual}, {y}, with_residual),
         copy);
  report(
      "batch_norm_gradient_statistics", shape, 2 * bytes,
      bench.time("batch_norm_gradient_statistics", {dy, x, y, moments, gamma, beta}, {sums}, plain),
      copy);
  report("batch_norm_gradient_statistics, residual", shape, 3 * bytes,
         bench.time("batch_norm_gradient_statistics", {dy, x, y, moments, gamma, beta}, {sums},
                    with_residual),
         copy);
  report(
      "batch_norm_gradient_apply", shape, 3 * bytes,
      bench.time("batch_norm_gradient_apply", {dy, x, y, moments, sums, gamma, beta}, {dx}, plain),
      copy);
  report(
      "batch_norm_gradient_apply, in place", shape, 3 * bytes,
      bench.time("batch_norm_gradient_apply", {dy, x, y, moments, sums, gamma, beta}, {dy}, plain),
      copy);
  report("batch_norm_gradient_apply, residual", shape, 5 * bytes,
         bench.time("batch_norm_gradient_apply", {dy, x, y, moments, sums, gamma, beta},
                    {dx, residual}, with_residual),
         copy);
  report("accumulate of two", shape, 3 * bytes, bench.time("accumulate", {x, dy}, {y}, {}), copy);
  bench.release();
}

}  // namespace

TEST_CASE("benchmark of convolutions", "[.benchmark]") {
  Bench bench(benchmark_threads());
  const int64_t batch = setting("LACUNA_BATCH", 256);
  std::printf("%-53s forward    data weights\n", "");
  for (const DType dtype : {DType::f32, DType::bf16}) benchmark_convolutions(bench, dtype, batch);
}

TEST_CASE("benchmark of Winograd convolutions", "[.benchmark]") {
  Bench bench(benchmark_threads());
  std::printf("%-42s direct  exact   fast   ratios\n", "");
  constexpr Layer shapes[] = {{64, 64, 32, 3, 1},   {128, 128, 16, 3, 1}, {256, 256, 8, 3, 1},
                              {512, 512, 4, 3, 1},  {32, 32, 28, 3, 1},   {64, 64, 14, 3, 1},
                              {128, 128, 28, 3, 1}, {16, 16, 32, 3, 1}};
  for (const Layer& shape : shapes) benchmark_methods(bench, shape, setting("LACUNA_BATCH", 128));
}

TEST_CASE("benchmark of batch normalisation", "[.benchmark]") {
  Bench bench(benchmark_threads());
  const int64_t batch = setting("LACUNA_BATCH", 256);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t size : {32, 16, 8, 4}) {
      const Shape shape{batch, size, size, 2048 / size};
      benchmark_batch_norm(bench, dtype, shape, benchmark_threads());
    }
  }
}

TEST_CASE("benchmark of updates and losses", "[.benchmark]") {
  Bench bench(benchmark_threads());
  const int64_t weights = 11'000'000;
  std::vector<View> in{bench.tensor(DType::f32, {weights}), bench.tensor(DType::f64, {}),
                       bench.tensor(DType::f64, {})};
  const std::vector<View> state{bench.tensor(DType::f32, {weights}),
                                bench.tensor(DType::f32, {weights})};
  const double sgd = bench.time("sgd_update", in, state, Sgd{0.9, 1e-4});
  const std::vector<View> of_norms{in[0], state[0], in[2]};
  const View norms = bench.tensor(DType::f64, {1, 2});
  const double lars_norms = bench.time("lars_norms", of_norms, {norms}, LarsNorms{1e-6});
  in.push_back(norms);
  const double lars = lars_norms + bench.time("lars_update", in, state, Lars{0.9, 1e-6, 1e-3});
  std::printf("sgd_update of %ld: %.1f GB/s; lars_update: %.1f GB/s\n", weights,
              20.0 * static_cast<double>(weights) / sgd / 1e9,
              28.0 * static_cast<double>(weights) / lars / 1e9);
  const Shape z{256, 128};
  const std::vector<View> views{bench.tensor(DType::f32, z), bench.tensor(DType::f32, z),
                                bench.tensor(DType::f32, z), bench.tensor(DType::f32, z),
                                bench.tensor(DType::i64, {})};
  const View loss = bench.tensor(DType::f32, {});
  const View lse = bench.tensor(DType::f32, {512});
  const double nt_xent = bench.time("nt_xent", views, {loss, lse}, NtXent{0.5});
  std::printf("nt_xent of 2 x 256, D 128: %.2f ms\n", nt_xent * 1e3);
}

}  // namespace lacuna::test
