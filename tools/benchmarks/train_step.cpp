// The train step with a linear head and cross entropy: forward, backward, SGD with momentum; of
// resnet18 (small stem, width 64) on images of 32x32x3, or of resnet50, vit_tiny and vit_base
// (patches of 16) on images of 224x224x3. Driven by tools/bench, which takes turns with the peer
// (train_step.py, the same protocol).
//
//   train-step ENCODER THREADS BATCH [DEVICE [f32|bf16 [timed|direct|exact|fast]]]
//
// says "ready" after some steps; then for each line N on stdin makes N steps and prints the seconds
// of one: the median, or on a GPU, which computes a step while the host records the next, the whole
// by N. Without DEVICE it is the CPU, in f32; "timed" takes the fastest of cuDNN's plans instead of
// its heuristics' first; the other words say what the CPU's convolutions are (train.convolution;
// "direct": oneDNN's alone). Other lines on stdin:
//
//   profile N   a line for each kernel of a step, in order, columns separated by tabs: the
//               operation, types and shapes of its operands, of its results, and the seconds it
//               took, the mean over N steps; then "end"
//   plans       a line for each problem of cuDNN: the problem, its engine, workspace, plans
//               offered; then "end"
//   memory      bytes of the device that the step takes: weights, momenta, activations, the
//               largest workspace
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "backend/list.h"
#include "base/error.h"
#include "base/host_tensor.h"
#include "base/random.h"
#include "base/waiting.h"
#include "comm/communicator.h"
#include "encoders/resnet.h"
#include "encoders/vit.h"
#include "graph/state.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "tasks/network.h"
#include "train/trainer.h"

using namespace lacuna;

namespace {

constexpr int64_t channels = 3, classes = 10;

int64_t edge_of(const std::string& encoder) { return encoder == "resnet18" ? 32 : 224; }

// A batch that stays the same and where it is, on the device, as the peer's.
class Data {
 public:
  Data(int64_t edge, int64_t batch, DType compute, Device& device)
      : store_(device), labels_(DType::i64, {batch}) {
    const Draws draws(1, Purpose::test, 0);
    State& images = store_.create("view0", DType::f32, {batch, edge, edge, channels}, Role::buffer);
    images.fill([&](int64_t i) { return draws.normal(static_cast<uint32_t>(i)); });
    int64_t row = 0;
    for (int64_t& label : labels_.as<int64_t>()) label = row++ % classes;
    fields_.add("view0", cast(images.tensor(), compute));
    fields_.add("label", host_leaf("label", labels_));
  }
  const Fields& fields() const { return fields_; }
  const StateStore& store() const { return store_; }

 private:
  StateStore store_;
  HostTensor labels_;
  Fields fields_;
};

ConvolutionMethods methods(const std::string& word) {
  if (word == "exact") return ConvolutionMethods::exact;
  return word == "fast" ? ConvolutionMethods::fast : ConvolutionMethods::direct;
}

class TrainStep {
 public:
  TrainStep(const std::string& encoder, int threads, int64_t batch, const std::string& device,
            DType compute, const std::string& plans)
      : device_(make_device(device, threads, detect_isa(), {.time_plans = plans == "timed"},
                            methods(plans))),
        communicator_(self_communicator()),
        store_(*device_),
        network_([&](Scope scope) { return make_encoder(encoder, scope); }, classes,
                 Scope(store_, 1)),
        data_(edge_of(encoder), batch, compute, *device_),
        rows_{batch},
        trainer_(
            *device_, *communicator_, store_,
            [this](const Fields& fields, ForwardContext& forward) {
              const double share = 1.0 / static_cast<double>(forward.global_rows());
              return softmax_cross_entropy(network_(fields.view(0), forward), fields["label"],
                                           share);
            },
            make_optimizer(optimizer()), with(compute)) {
    trainer_.prepare(data_.fields(), rows_);
  }

  double seconds() {
    const auto start = std::chrono::steady_clock::now();
    trainer_.step(data_.fields(), rows_, step_++, 0.01, 0);
    return since(start);
  }
  // One by one, or one recorded while the device computes the one before.
  double seconds_of_one(int steps) {
    if (device_->reads_host_memory()) {
      std::vector<double> each;
      for (int i = 0; i < steps; ++i) each.push_back(seconds());
      std::sort(each.begin(), each.end());
      return each[each.size() / 2];
    }
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) {
      trainer_.record(data_.fields(), rows_, step_++, 0.01, 0);
      if (i > 0) trainer_.finish();
      trainer_.start();
    }
    trainer_.finish();
    return since(start) / steps;
  }
  const Executor& executor() const { return trainer_.executor(); }

  // Kernel by kernel, on a device that waits for each step to be recorded. The first step describes
  // the kernels and is not timed: what the host does between two kernels counts where the device
  // has no work left.
  void print_profile(int steps) {
    const std::unique_ptr<Stopwatch> stopwatch = device_->make_stopwatch();
    std::vector<std::string> kernels;
    std::vector<double> sums;
    trainer_.observe([&](const Operation& operation, const Call& call) {
      stopwatch->mark();
      if (!sums.empty()) return;
      kernels.push_back(
          concat(operation.name, "\t", described(call.in), "\t", described(call.out)));
    });
    for (int i = 0; i <= steps; ++i) {
      trainer_.record(data_.fields(), rows_, step_++, 0.01, 0);
      stopwatch->mark();
      trainer_.start();
      trainer_.finish();
      const std::vector<double> laps = stopwatch->laps();
      if (i == 0) sums.assign(laps.size(), 0);
      for (size_t k = 0; i > 0 && k < laps.size(); ++k) sums[k] += laps[k];
    }
    trainer_.observe({});
    for (size_t k = 0; k < kernels.size(); ++k)
      std::cout << kernels[k] << "\t" << sums[k] / steps << "\n";
    std::cout << "end" << std::endl;
  }
  void print_plans() const {
    for (const LibraryPlan& plan : device_->library_plans()) {
      std::cout << plan.problem << "\t" << plan.engine << "\t" << plan.workspace << "\t"
                << plan.candidates << "\n";
    }
    std::cout << "end" << std::endl;
  }
  size_t memory() const {
    size_t bytes = executor().plan().arena_bytes;
    for (const StateStore* store : {&store_, &data_.store()})
      for (const State& state : store->all()) bytes += state.bytes();
    size_t workspace = 0;
    for (const LibraryPlan& plan : device_->library_plans())
      workspace = std::max(workspace, static_cast<size_t>(plan.workspace));
    return bytes + workspace;
  }

 private:
  static std::string described(std::span<const View> operands) {
    std::string text;
    for (const View& each : operands)
      text += concat(text.empty() ? "" : " ", name_of(each.dtype), each.shape);
    return text;
  }
  static double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  static std::unique_ptr<Encoder> make_encoder(const std::string& name, Scope scope) {
    if (name == "resnet18") return make_resnet({}, 2, channels, scope);
    if (name == "resnet50") {
      ResNetOptions options = resnet_blocks(name);
      options.imagenet_stem = true;
      return make_resnet(options, 2, channels, scope);
    }
    if (name != "vit_tiny" && name != "vit_base")
      bad_input("no encoder ", name, " here: resnet18, resnet50, vit_tiny or vit_base");
    return make_vit(vit_size(name), {edge_of(name), edge_of(name), channels}, scope);
  }
  static StepOptions with(DType compute) {
    StepOptions options;
    options.compute = compute;
    return options;
  }
  static Configuration optimizer() {
    Schema schema;
    schema.add(optimizer_keys());
    return Configuration::from_text(
        "[optimizer]\nname = \"sgd\"\nmomentum = 0.9\nweight_decay = 5e-4\n", schema, "train-step");
  }
  std::unique_ptr<Device> device_;
  std::unique_ptr<Communicator> communicator_;
  StateStore store_;
  FineTunedNetwork network_;
  Data data_;
  std::vector<int64_t> rows_;
  Trainer trainer_;
  int64_t step_ = 0;
};

// A GPU's plans are made in the first, and its steps recorded in the third and fourth.
constexpr int warm_steps(bool gpu) { return gpu ? 10 : 2; }

int run(const std::vector<std::string>& words) {
  const std::string device = words.size() > 3 ? words[3] : "cpu";
  const DType compute = words.size() > 4 && words[4] == "bf16" ? DType::bf16 : DType::f32;
  const std::string plans = words.size() > 5 ? words[5] : "";
  TrainStep step(words[0], std::stoi(words[1]), std::stoll(words[2]), device, compute, plans);
  for (int i = 0; i < warm_steps(device != "cpu"); ++i) step.seconds();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.starts_with("profile ")) {
      step.print_profile(std::stoi(line.substr(8)));
    } else if (line == "plans") {
      step.print_plans();
    } else if (line == "memory") {
      std::cout << step.memory() << std::endl;
    } else {
      std::cout << step.seconds_of_one(std::stoi(line)) << std::endl;
    }
  }
  for (const auto& [name, spent] : step.executor().times_by_operation())
    std::fprintf(stderr, "%-40s %8.3f s\n", name.c_str(), spent);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  keep_waits_short(argv);
  if (argc < 4 || argc > 7) {
    std::fprintf(
        stderr,
        "usage: train-step ENCODER THREADS BATCH [DEVICE [f32|bf16 [timed|direct|exact|fast]]]\n");
    return 2;
  }
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {
    std::fprintf(stderr, "train-step: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
