// A small experiment without files: an objective by name on a device, with fields made from draws.
#pragma once

#include <map>

#include "backend/list.h"
#include "encoders/list.h"
#include "modalities/list.h"
#include "nn/fields.h"
#include "objectives/list.h"
#include "ops/elementwise.h"
#include "stages/keys/parts.h"
#include "support/modalities.h"
#include "train/trainer.h"

namespace lacuna::testing {

struct SmallImages {
  int64_t size = 16;
  int64_t channels = 1;
  int64_t width = 4;           // of a ResNet-18
  std::string encoder = "";    // lines of [encoder] instead, if there are any
  std::string objective = "";  // further lines of [objective]
  int64_t view = 0;            // augment.size
};

// A small vision transformer that draws.
inline const std::string small_vit = "name = \"vit_tiny\"\npatch = 8\ndepth = 1\ndrop_path = 0.5\n";

// An objective on a modality, "simclr on signal", or "simclr" on images.
struct Cell {
  explicit Cell(std::string_view text)
      : objective(text.substr(0, text.find(' '))),
        kind(text.find(' ') == text.npos ? "image" : text.substr(text.rfind(' ') + 1)) {}
  std::string objective, kind;
};

// Every objective of the list on every modality that it works on, and on signals of several lengths
// ("padded").
inline std::vector<std::string> every_cell() {
  std::vector<std::string> all;
  for (const ModalityEntry& modality : modalities()) {
    for (const ObjectiveEntry& objective : objectives()) {
      if (!objective.works_on(modality.name)) continue;
      all.push_back(modality.name == "image" ? std::string(objective.name)
                                             : concat(objective.name, " on ", modality.name));
    }
  }
  for (const ObjectiveEntry& objective : objectives())
    if (objective.works_on("signal")) all.push_back(concat(objective.name, " on padded"));
  return all;
}

// Lines of [objective].
inline std::string narrow_heads(const std::string& objective) {
  if (objective == "rotation" || objective == "inpaint") return "";
  if (objective == "clip") return "projection = 8\n";
  return concat("hidden = 16\nprojection = 8\n", objective == "simsiam" ? "bottleneck = 16\n" : "");
}

// The second part of the samples of an objective that asks for one: vectors.
inline std::string second_part(const std::string& objective, const std::string& dataset = "table") {
  if (objective != "clip") return "";
  return concat("[part.paired.data]\ndataset = \"", dataset,
                "\"\nkind = \"vector\"\n[part.paired.encoder]\nname = \"mlp\"\nwidth = 8\n",
                "depth = 2\n");
}

// The configuration of an objective with narrow heads.
inline Configuration small_configuration(std::string_view text_of_cell, const SmallImages& images,
                                         const std::string& more = "") {
  const Cell cell(text_of_cell);
  const std::string& objective = cell.objective;
  Schema schema;
  schema.add(objective_keys()).add(encoder_keys()).add(part_keys()).add(optimizer_keys());
  std::string text =
      concat("[objective]\nname = \"", objective, "\"\n", narrow_heads(objective), images.objective,
             second_part(objective), "[encoder]\n", images.encoder);
  if (images.encoder.empty() && cell.kind == "vector")
    text += concat("name = \"mlp\"\nwidth = ", 4 * images.width, "\ndepth = 2\n");
  else if (images.encoder.empty())
    text += concat("width = ", images.width, "\n");
  text += more;
  return Configuration::from_text(text, schema, "small.toml");
}

// Rows [first, last) of a batch: the fields that a recipe makes of samples, floats of this shape,
// drawn from their index; where they are padded, of lengths from 2 to half as long again.
// Owns the memory of the tensors. `layers`: seed of what layers draw. `further`: shapes of further
// parts of the samples.
class SmallBatch {
 public:
  SmallBatch(const Recipe& recipe, Shape shape, int64_t first, int64_t last, uint64_t seed,
             DType compute, uint64_t layers, bool padded = false,
             const std::vector<Shape>& further = {}) {
    const int64_t most = padded ? shape[0] + shape[0] / 2 : shape[0];
    shape.set(0, most);
    const int64_t count = last - first;
    for (int64_t i = first; i < last; ++i) keys_.push_back({layers, 0, static_cast<uint64_t>(i)});
    for (const OutputField& field : recipe.outputs()) {
      memory_[field.name] = HostTensor(field.dtype, field.shape.behind(count));
    }
    std::vector<HostTensor> parts;
    parts.emplace_back(DType::f32, shape);
    for (const Shape& part : further) parts.emplace_back(DType::f32, part);
    Scratch scratch;
    for (int64_t row = 0; row < count; ++row) {
      for (uint32_t part = 0; part < parts.size(); ++part)
        draw(parts[part], {7, Purpose::test, static_cast<uint64_t>(first + row), part});
      std::vector<void*> to;
      for (const OutputField& field : recipe.outputs()) {
        const auto bytes = static_cast<size_t>(field.shape.count()) * size_of(field.dtype);
        to.push_back(static_cast<char*>(memory_[field.name].data()) +
                     static_cast<size_t>(row) * bytes);
      }
      const int64_t length = padded ? 2 + (first + row) * 7 % (most - 1) : 1;
      std::vector<Extent> stored;
      for (const HostTensor& part : parts) stored.push_back({.data = part.data(), .length = 1});
      stored[0].length = length;
      recipe.make(stored, {seed, 0, static_cast<uint64_t>(first + row)}, to, scratch);
    }
    for (const auto& [name, value] : memory_) {
      const Tensor leaf = host_leaf(name, value);
      fields_.add(name, is_float(value.dtype()) ? cast(leaf, compute) : leaf);
    }
    fields_.set_keys(keys_);
  }
  const Fields& fields() const { return fields_; }

 private:
  static void draw(HostTensor& sample, const Draws& draws) {
    for (uint32_t i = 0; i < sample.shape().count(); ++i)
      sample.as<float>()[i] = static_cast<float>(draws.uniform(i));
  }

  std::map<std::string, HostTensor> memory_;
  std::vector<SampleKey> keys_;
  Fields fields_;
};

inline VectorOptions corrupted_vectors() {
  VectorOptions augment;
  augment.corrupt = {0.5};
  return augment;
}

// The modality of a cell, of samples of `images.size`.
inline std::unique_ptr<Modality> small_modality(std::string_view cell, const SmallImages& images) {
  const std::string kind = Cell(cell).kind;
  if (kind == "vector") {
    // Of one view alone nothing would be drawn.
    const bool one_view = Cell(cell).objective == "clip";
    return std::make_unique<VectorModality>(
        vectors(images.size, one_view ? corrupted_vectors() : VectorOptions()));
  }
  if (kind == "signal" || kind == "padded") {
    SignalOptions augment;
    augment.size = kind == "padded" ? 0 : images.view;
    return std::make_unique<SignalModality>(
        testing::signals({images.size, images.channels}, augment, kind == "padded"));
  }
  LACUNA_CHECK(kind == "image", kind);
  AugmentOptions augment;
  augment.jitter = {0.4, 0.4, 0, 0};
  augment.greyscale = 0;
  augment.size = images.view;
  return std::make_unique<ImageModality>(
      testing::images({images.size, images.size, images.channels}, augment));
}

// An objective and its trainer on one rank's device.
class SmallExperiment {
 public:
  SmallExperiment(std::string_view objective, std::string_view device, int threads,
                  Communicator& communicator, const SmallImages& images = {},
                  StepOptions options = {}, const std::string& more = "")
      : SmallExperiment(objective, make_device(device, threads), communicator, images, options,
                        more) {}
  SmallExperiment(std::string_view objective, std::unique_ptr<Device> device,
                  Communicator& communicator, const SmallImages& images = {},
                  StepOptions options = {}, const std::string& more = "")
      : configuration_(small_configuration(objective, images, more)),
        device_(std::move(device)),
        store_(*device_) {
    modality_ = small_modality(objective, images);
    std::map<std::string, FurtherPart> further;
    for (const std::string& part : parts_of(configuration_)) {
      const Modality& modality =
          *further_.emplace_back(std::make_unique<VectorModality>(vectors(6, corrupted_vectors())));
      further.insert(
          {part,
           {modality, encoder_factory(configuration_of_part(configuration_, part), modality)}});
    }
    objective_ = make_objective({configuration_, Scope(store_, 1),
                                 encoder_factory(configuration_, *modality_), *modality_, further});
    if (options.compute == DType::f32) options.compute = device_->parameter_dtype();
    compute_ = options.compute;
    trainer_ = std::make_unique<Trainer>(
        *device_, communicator, store_,
        [this](const Fields& fields, ForwardContext& forward) {
          return objective_->loss(fields, forward);
        },
        make_optimizer(configuration_), options);
    recipe_ = objective_->recipe();
  }

  SmallBatch batch(int64_t first, int64_t last, uint64_t seed = 1, uint64_t layers = 1) const {
    std::vector<Shape> further;
    for (const auto& part : further_) further.push_back(part->sample());
    return {*recipe_, modality_->sample(), first,  last, seed, compute_,
            layers,   modality_->padded(), further};
  }
  Trainer& trainer() { return *trainer_; }
  StateStore& store() { return store_; }
  Device& device() { return *device_; }
  const Objective& objective() const { return *objective_; }
  const Modality& modality() const { return *modality_; }
  DType compute() const { return compute_; }

 private:
  Configuration configuration_;
  std::unique_ptr<Modality> modality_;
  std::vector<std::unique_ptr<Modality>> further_;  // of further parts
  std::unique_ptr<Device> device_;
  StateStore store_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Trainer> trainer_;
  RecipePointer recipe_;
  DType compute_ = DType::f32;
};

}  // namespace lacuna::testing
