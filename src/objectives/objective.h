// Objective: a self-supervised loss and what belongs to it — the networks it trains, the views it
// asks of the loader. One file per objective, which reads like its paper; objectives/list.h names
// them. The training loop, the loader, the checkpoint and the stages know none by name.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "augment/image.h"
#include "config/configuration.h"
#include "encoders/encoder.h"
#include "graph/recording.h"
#include "nn/fields.h"
#include "nn/layers.h"

namespace lacuna {

// What views are made of: the sample's shape ([H, W, C]), [augment], the data set's statistics.
struct ViewOptions {
  Shape sample;
  AugmentOptions augment;
  Normalisation normalisation;
  // How samples lie in their files, where that is `sample` numbers in their order: what a device
  // can make views of.
  struct Stored {
    DType dtype;
    double low, high;  // the values 0 and 1
  };
  std::optional<Stored> stored = {};

  // Of a view: what the encoder sees.
  Shape view() const {
    if (augment.size == 0) return sample;
    Shape shape = sample;
    shape.set(0, augment.size);
    shape.set(1, augment.size);
    return shape;
  }
};

// What an objective is made from.
struct ObjectiveParts {
  const Configuration& configuration;
  Scope scope;  // of the run's State; an objective makes "encoder", "projector", "teacher.…" in it
  EncoderFactory make_encoder;
  const ViewOptions& views;
};

enum class Weights { student, teacher };

class Objective {
 public:
  virtual ~Objective() = default;

  // How a decoded sample becomes the fields that loss() reads.
  virtual std::unique_ptr<Recipe> recipe() const = 0;

  // This rank's share of the loss of the global batch: the loss is the sum of the shares. Records
  // in `recording` what changes State after the optimizer's update, and figures to watch.
  virtual Tensor loss(const Fields& batch, Recording& recording) const = 0;

  // Whether the loss of a batch is more than the sum over its parts, so that accumulating gradients
  // over parts would change it.
  virtual bool spans_batch() const = 0;

  // The networks that embed and finetune use. `projector` is null where there is none. Weights that
  // an objective does not keep are bad_input.
  struct Network {
    const Encoder* encoder;
    const Mlp* projector;
  };
  virtual Network network(Weights weights) const = 0;
};

// bad_input unless `weights` are the student's, for objectives that keep no teacher.
void require_student(Weights weights, std::string_view objective);

// `x` in the parameters' dtype, in which losses are computed.
Tensor exact(const Tensor& x, const Recording& recording);

// The rows of all ranks, in rank order.
Tensor gather(const Tensor& x, const Recording& recording);

}  // namespace lacuna
