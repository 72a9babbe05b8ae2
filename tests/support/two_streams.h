// A training fed by two streams of images, of 70 and of 50 samples: an objective that compares the
// views of each stream with each other, through one vision transformer that draws.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/files/dataset.h"
#include "data/load/streams.h"
#include "io/write_hdf5.h"
#include "nn/layers.h"
#include "ops/elementwise.h"
#include "ops/normalize.h"
#include "ops/nt_xent.h"
#include "support/experiment.h"
#include "support/temporary_folder.h"
#include "train/loop.h"

namespace lacuna::testing {

// data.h5 with "images" [70, 8, 8] in chunks of 7 and "others" [50, 8, 8] in chunks of 5.
class TwoStreamFile {
 public:
  TwoStreamFile() {
    written::DataFile file(path());
    add(file, "images", 70, 7);
    add(file, "others", 50, 5);
  }
  std::string path() const { return folder_ / "data.h5"; }

 private:
  static void add(written::DataFile& file, const char* name, hsize_t samples, hsize_t chunk) {
    std::vector<float> pixels(samples * 64);
    for (size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<float>((i * 37 + samples) % 251) / 255;
    file.add(name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {samples, 8, 8}, pixels.data(),
             {.chunk = {chunk, 8, 8}});
  }
  TemporaryFolder folder_;
};

// What feeds it: its own communicator, data sets and orders, of one rank of `communicator`.
class TwoStreamData {
 public:
  TwoStreamData(const TwoStreamFile& file, const Communicator& communicator,
                const std::string& second = "others")
      : alone_(self_communicator()),
        first_({file.path()}, {{"image", "images"}}, *alone_),
        second_({file.path()}, {{"image", second}}, *alone_),
        rank_(communicator.rank()),
        ranks_(communicator.size()) {}

  static constexpr uint64_t seed = 9;
  // The second is made by further_stream().
  Stream first(const RecipePointer& recipe) const { return stream("", first_, 5, recipe); }
  Stream second(const RecipePointer& recipe) const { return stream("target", second_, 2, recipe); }
  std::vector<Stream> both(const RecipePointer& recipe) const {
    return {first(recipe), further_stream(second(recipe))};
  }

 private:
  Stream stream(const std::string& name, const Dataset& dataset, int64_t lanes,
                const RecipePointer& recipe) const {
    OrderSpec order;
    order.block_samples = dataset.block_samples();
    order.lanes = lanes;
    order.seed = seed;
    return {name, &dataset, order, recipe, {.rank = rank_, .ranks = ranks_, .seed = seed}};
  }
  std::unique_ptr<Communicator> alone_;
  Dataset first_, second_;
  int rank_, ranks_;
};

// The objective and its trainer on the reference device.
class TwoStreamTraining {
 public:
  explicit TwoStreamTraining(Communicator& communicator)
      : configuration_(small_configuration("simclr", {.encoder = small_vit})),
        device_(make_device("reference", 1)),
        store_(*device_),
        modality_(small_modality("simclr", {.size = 8})),
        encoder_(encoder_factory(configuration_, modality_->view())(Scope(store_, 1) / "encoder")),
        projector_(Scope(store_, 1) / "projector", {encoder_->features(), 16, 8}, true),
        trainer_(
            *device_, communicator, store_,
            [this](const Fields& batch, ForwardContext& forward) {
              const Tensor first = contrast(batch, "", forward);
              return add(first, contrast(batch.of("target"), "target", forward));
            },
            make_optimizer(configuration_), in_double()) {}

  RecipePointer recipe() const { return modality_->views(2); }
  Trainer& trainer() { return trainer_; }
  StateStore& store() { return store_; }
  DType compute() const { return device_->parameter_dtype(); }
  // From the first batch of streams like those that it will be fed by.
  void prepare(Streams streams) {
    const std::vector<Batch> batches = streams.next();
    trainer_.prepare(fields_of(streams, batches, compute()), streams.counts(0, batches[0]));
  }
  std::map<std::string, std::vector<double>> state() const {
    std::map<std::string, std::vector<double>> all;
    for (const State& each : store_.all()) all[each.name()] = each.values();
    return all;
  }

 private:
  static StepOptions in_double() {
    StepOptions options;
    options.compute = DType::f64;
    return options;
  }
  Tensor contrast(const Fields& batch, const std::string& stream, ForwardContext& forward) const {
    forward.stream = stream;
    const Tensor z0 = project(batch, 0, forward);
    const Tensor z1 = project(batch, 1, forward);
    return nt_xent(z0, z1, gather(z0, forward, stream), gather(z1, forward, stream), 0.3,
                   forward.first_row(stream));
  }
  Tensor project(const Fields& batch, int view, ForwardContext& forward) const {
    forward.view = view;
    return normalize(projector_((*encoder_)(batch.view(view), forward), forward));
  }

  Configuration configuration_;
  std::unique_ptr<Device> device_;
  StateStore store_;
  std::unique_ptr<Modality> modality_;
  std::unique_ptr<Encoder> encoder_;
  Mlp projector_;
  Trainer trainer_;
};

}  // namespace lacuna::testing
