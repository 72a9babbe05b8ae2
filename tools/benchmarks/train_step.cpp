// The f32 train step with a linear head and cross entropy: forward, backward, SGD with momentum; of
// resnet18 (small stem, width 64) on images of 32x32x3, or of vit_tiny (patches of 16) on images of
// 224x224x3. Driven by tools/bench, which takes turns with the peer (train_step.py, the same
// protocol).
//
//   train-step ENCODER THREADS BATCH     says "ready" after two steps; then for each line N on stdin
//                                        makes N steps and prints their seconds, the median of one
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "backend/device.h"
#include "base/error.h"
#include "base/host_tensor.h"
#include "base/random.h"
#include "base/waiting.h"
#include "comm/communicator.h"
#include "encoders/resnet.h"
#include "encoders/vit.h"
#include "tasks/classify.h"
#include "train/trainer.h"

using namespace lacuna;

namespace {

constexpr int64_t channels = 3, classes = 10;

int64_t edge_of(const std::string& encoder) { return encoder == "vit_tiny" ? 224 : 32; }

// A batch that stays the same, since only its time counts.
class Data {
 public:
  Data(int64_t edge, int64_t batch)
      : images_(DType::f32, {batch, edge, edge, channels}), labels_(DType::i64, {batch}) {
    const Draws draws(1, Purpose::test, 0);
    uint32_t index = 0;
    for (float& value : images_.as<float>()) value = static_cast<float>(draws.normal(index++));
    int64_t row = 0;
    for (int64_t& label : labels_.as<int64_t>()) label = row++ % classes;
    fields_.add("view0", host_leaf("view0", images_));
    fields_.add("label", host_leaf("label", labels_));
  }
  const Fields& fields() const { return fields_; }

 private:
  HostTensor images_, labels_;
  Fields fields_;
};

class TrainStep {
 public:
  TrainStep(const std::string& encoder, int threads, int64_t batch)
      : device_(make_device("cpu", threads)),
        communicator_(self_communicator()),
        store_(*device_),
        classifier_([&](Scope scope) { return make_encoder(encoder, scope); }, classes,
                    Scope(store_, 1)),
        data_(edge_of(encoder), batch),
        rows_{batch},
        trainer_(*device_, *communicator_, store_,
                 [this](const Fields& fields, Recording& recording) {
                   return classifier_.loss(fields, recording);
                 },
                 make_optimizer(optimizer()), {}) {
    trainer_.prepare(data_.fields(), rows_);
  }

  double seconds() {
    const auto start = std::chrono::steady_clock::now();
    trainer_.step(data_.fields(), rows_, step_++, 0.01, 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const Executor& executor() const { return trainer_.executor(); }

 private:
  static std::unique_ptr<Encoder> make_encoder(const std::string& name, Scope scope) {
    if (name == "resnet18") return make_resnet({}, channels, scope);
    if (name != "vit_tiny") bad_input("no encoder ", name, " here: resnet18 or vit_tiny");
    return make_vit(vit_size(name), {edge_of(name), edge_of(name), channels}, scope);
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
  Classifier classifier_;
  Data data_;
  std::vector<int64_t> rows_;
  Trainer trainer_;
  int64_t step_ = 0;
};

int run(const std::string& encoder, int threads, int64_t batch) {
  TrainStep step(encoder, threads, batch);
  for (int i = 0; i < 2; ++i) step.seconds();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<double> seconds;
    for (int i = std::stoi(line); i > 0; --i) seconds.push_back(step.seconds());
    std::sort(seconds.begin(), seconds.end());
    std::cout << seconds[seconds.size() / 2] << std::endl;
  }
  for (const auto& [name, spent] : step.executor().times_by_operation())
    std::fprintf(stderr, "%-40s %8.3f s\n", name.c_str(), spent);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  keep_waits_short(argv);
  if (argc != 4) {
    std::fprintf(stderr, "usage: train-step ENCODER THREADS BATCH\n");
    return 2;
  }
  try {
    return run(argv[1], std::stoi(argv[2]), std::stoll(argv[3]));
  } catch (const Error& error) {
    std::fprintf(stderr, "train-step: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
