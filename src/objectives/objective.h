// Objective: a self-supervised loss and what belongs to it — the networks it trains, the views it
// asks of the modality. One file per objective, which reads like its paper; objectives/list.h names
// them. The training loop, the loader, the checkpoint and the stages know none by name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/configuration.h"
#include "encoders/encoder.h"
#include "graph/forward_context.h"
#include "modalities/modality.h"
#include "nn/fields.h"
#include "nn/layers.h"

namespace lacuna {

// A part of the samples beside the first one, such as the caption of an image.
struct FurtherPart {
  const Modality& modality;  // outlives the objective
  EncoderFactory make_encoder;
};

// What an objective is made from.
struct ObjectiveParts {
  const Configuration& configuration;
  Scope scope;  // of the run's State; an objective makes "encoder", "projector", "teacher.…" in it
  EncoderFactory make_encoder;
  const Modality& modality;  // outlives the objective
  // The parts that the objective's entry names (objectives/list.h).
  std::map<std::string, FurtherPart> further = {};
};

// What a network makes of "view0", by a name that embed and tasks ask for. An output of a further
// part of the samples has a name that begins with the part's ("paired.encoder"), and is handed that
// part's fields alone, under their own names.
struct Output {
  std::string name;  // "encoder", "projector", "teacher.encoder"; dense: "encoder.map"
  // [B, D], or dense, [B, positions…, D].
  std::function<Tensor(const Fields& fields, ForwardContext& forward)> of;
  // Of a dense output: positions of the view from one of its own to the next, which lie at 0,
  // stride, 2 stride, …
  int64_t stride = 0;
};

class Objective {
 public:
  virtual ~Objective() = default;

  // How a stored sample becomes the fields that loss() reads.
  virtual RecipePointer recipe() const = 0;

  // This rank's share of the loss of the global batch: the loss is the sum of the shares. Records
  // in `forward` what changes State after the optimizer's update, and figures to watch.
  virtual Tensor loss(const Fields& batch, ForwardContext& forward) const = 0;

  // Whether the loss of a batch is more than the sum over its parts, so that accumulating gradients
  // over parts would change it.
  virtual bool spans_batch() const = 0;

  // What its networks give for later use; they live as long as the objective.
  virtual std::vector<Output> outputs() const = 0;
};

// "<prefix>encoder" and "<prefix>encoder.map"; with a projector "<prefix>projector".
std::vector<Output> outputs_of(const std::string& prefix, const Encoder& encoder,
                               const Mlp* projector = nullptr);

// The output of that name; bad_input that lists what there is.
Output output_of(const Objective& objective, std::string_view name);

// `x` in the parameters' dtype, in which losses are computed.
Tensor exact(const Tensor& x, const ForwardContext& forward);

// The rows of all ranks, in rank order; of a further stream by its name.
Tensor gather(const Tensor& x, const ForwardContext& forward, const std::string& stream = "");

}  // namespace lacuna
