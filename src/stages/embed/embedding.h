// Embedding: representations of a data set, computed by all ranks, in data-set order.
#pragma once

#include <functional>
#include <memory>

#include "data/order/order.h"
#include "graph/executor.h"
#include "graph/forward_context.h"
#include "objectives/objective.h"
#include "stages/setup/compute.h"
#include "stages/setup/source.h"
#include "train/early_stop.h"

namespace lacuna {

// The rows of one batch, of all ranks.
struct EmbeddedBatch {
  std::vector<int64_t> samples;  // [count], in the data set
  std::vector<float> z;          // [count, features]
  std::vector<int64_t> labels;   // [count], or none where the data set has none
  std::vector<RowRange> at;      // [count] where samples may be several rows: as Batch has it
  int64_t next_position = 0;     // of the pass
};

// One pass over a data set, or the rest of one.
struct EmbedPass {
  std::vector<SampleRange> ranges = {};  // as Sequential takes them
  int64_t position = 0;                  // where to begin
  int64_t batch = 512;                   // samples at a time, over all ranks
  int64_t buffer = 0;                    // bytes; 0: the source's own
};

// What is done with an output further, on the host: from f32 [B, ..] to f32 [B, features].
struct FurtherStep {
  std::function<HostTensor(HostTensor)> make;
  int64_t features = 0;
};
// The samples' own values, flattened: the baseline that a representation has to beat.
Output own_values();

class Embedder {
 public:
  // What the output, and a further step, make of the modality's plain views; the output's networks
  // outlive it.
  Embedder(Output output, const Modality& modality, Compute& compute, Communicator& communicator,
           FurtherStep further = {});

  // Of one sample's representation: [D], or of a dense one [positions…, D].
  const Shape& shape() const { return shape_; }
  int64_t features() const { return shape_.count(); }
  const Output& output() const { return output_; }

  // Collective: every rank computes its share of each batch and receives all its rows.
  using Sink = std::function<void(const EmbeddedBatch&)>;
  void embed(const Source& source, const EmbedPass& pass, const Sink& sink);

 private:
  HostTensor represent(const class Batch& batch);

  ForwardContext evaluation(int64_t rows) const;

  Output output_;
  Compute& compute_;
  Communicator& communicator_;
  Executor executor_;
  FurtherStep further_;
  Shape shape_;
};

// All of it in memory, on every rank, f32 [N, features]. Ends early where that is asked for.
HostTensor embed_in_memory(Embedder& embedder, const Source& source, const EarlyStop& early_stop);

}  // namespace lacuna
