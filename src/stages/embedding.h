// Embedding: representations of a data set, computed by all ranks, in data-set order.
#pragma once

#include <functional>
#include <memory>

#include "data/dataset.h"
#include "data/row_maker.h"
#include "graph/executor.h"
#include "objectives/objective.h"
#include "stages/compute.h"
#include "tasks/features.h"

namespace lacuna {

enum class Layer { encoder, projector };

// Rows [first, first + count) of the data set.
struct EmbeddedRows {
  int64_t first = 0;
  int64_t count = 0;
  const float* z = nullptr;         // [count, D]
  const int64_t* labels = nullptr;  // [count], or null where the data set has none
};

// From the fields of a batch (their view0) to representations [B, features].
struct Representation {
  std::function<Tensor(const Fields&, Recording&)> of;
  int64_t features = 0;
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

  // Collective: every rank computes its share and receives all rows, in pieces that together cover
  // the data set once. `batch`: samples at a time over all ranks.
  using Sink = std::function<void(const EmbeddedRows&)>;
  void embed(const Dataset& dataset, std::shared_ptr<const RowMaker> maker, int64_t batch,
             int64_t buffer, int workers, const Sink& sink);

 private:
  HostTensor represent(const class Batch& batch);

  Representation representation_;
  Compute& compute_;
  Communicator& communicator_;
  Executor executor_;
};

// All of it in memory, on every rank; labels must be there.
Features embed_features(Embedder& embedder, const Dataset& dataset,
                        std::shared_ptr<const RowMaker> maker, int64_t buffer, int workers);

}  // namespace lacuna
