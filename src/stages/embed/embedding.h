// Embedding: representations of a data set, computed by all ranks, in data-set order.
#pragma once

#include <functional>
#include <memory>

#include "data/order/order.h"
#include "graph/executor.h"
#include "objectives/objective.h"
#include "stages/setup/compute.h"
#include "stages/setup/source.h"
#include "train/early_stop.h"

namespace lacuna {

enum class Layer { encoder, projector };

// The rows of one batch, of all ranks.
struct EmbeddedBatch {
  std::vector<int64_t> samples;  // [count], in the data set
  std::vector<float> z;          // [count, D]
  std::vector<int64_t> labels;   // [count], or none where the data set has none
  int64_t next_position = 0;     // of the pass
};

// One pass over a data set, or the rest of one.
struct EmbedPass {
  std::vector<SampleRange> ranges = {};  // as Sequential takes them
  int64_t position = 0;                  // where to begin
  int64_t batch = 512;                   // samples at a time, over all ranks
  int64_t buffer = 0;                    // bytes; 0: the source's own
};

// From the fields of a batch (their view0) to representations [B, features].
struct Representation {
  std::function<Tensor(const Fields&, Recording&)> of;
  int64_t features = 0;
  // What is done with it further, on the host: from f32 [B, ..] to f32 [B, features].
  std::function<HostTensor(HostTensor)> then = {};
};
// By a network, which must outlive it; bad_input when it lacks the layer.
Representation representation(const Objective::Network& network, Layer layer);
// The samples' own values, flattened: the baseline that a representation has to beat.
Representation pixels(const Shape& sample);

class Embedder {
 public:
  Embedder(Representation representation, Compute& compute, Communicator& communicator)
      : representation_(std::move(representation)),
        compute_(compute),
        communicator_(communicator),
        executor_(*compute.device) {}

  int64_t features() const { return representation_.features; }

  // Collective: every rank computes its share of each batch and receives all its rows.
  using Sink = std::function<void(const EmbeddedBatch&)>;
  void embed(const Source& source, const EmbedPass& pass, const Sink& sink);

 private:
  HostTensor represent(const class Batch& batch);

  Representation representation_;
  Compute& compute_;
  Communicator& communicator_;
  Executor executor_;
};

// All of it in memory, on every rank, f32 [N, features]. Ends early where that is asked for.
HostTensor embed_in_memory(Embedder& embedder, const Source& source, const EarlyStop& early_stop);

}  // namespace lacuna
