// State as a checkpoint holds it: whole tensors under their names, however ranks share them in
// memory.
#pragma once

#include <span>
#include <vector>

#include "base/host_tensor.h"
#include "comm/communicator.h"
#include "graph/state.h"
#include "run/checkpoint.h"

namespace lacuna {

// Every State tensor, whole. Where ranks share some in slices, making it is collective: each rank
// that `keeps` them holds copies, until it is destroyed; others hold none. The other tensors lie
// where they lay.
class StoredState {
 public:
  StoredState(const StateStore& store, Communicator& communicator, bool keeps);
  std::span<const NamedTensor> tensors() const { return tensors_; }

 private:
  std::vector<HostTensor> gathered_;
  std::vector<NamedTensor> tensors_;
};

// Where they are loaded to: of a tensor that ranks share, this rank's slice.
TensorTarget target_of(State& state);
std::vector<TensorTarget> tensor_targets(StateStore& store);

}  // namespace lacuna
