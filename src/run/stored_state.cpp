#include "run/stored_state.h"

#include <utility>

namespace lacuna {

namespace {

const Shape& stored_shape(const State& state) {
  return state.slice() ? state.slice()->whole : state.shape();
}

// The tensor of all ranks' slices.
HostTensor gathered(const State& state, Communicator& communicator) {
  const Slice& slice = *state.slice();
  HostTensor whole(state.dtype(), slice.whole);
  state.read(static_cast<char*>(whole.data()) +
             static_cast<size_t>(slice.first) * size_of(state.dtype()));
  const Communicator::Term term{whole.data(), whole.data(),
                                static_cast<size_t>(slice.whole.count())};
  communicator.gather_slices({&term, 1}, state.dtype()).wait();
  return whole;
}

}  // namespace

StoredState::StoredState(const StateStore& store, Communicator& communicator, bool keeps) {
  for (const State& state : store.all()) {
    const void* data = state.data();
    Device* device = &state.device();
    if (state.slice()) {
      HostTensor whole = gathered(state, communicator);
      if (!keeps) continue;
      data = gathered_.emplace_back(std::move(whole)).data();
      device = nullptr;
    }
    if (keeps)
      tensors_.push_back(
          {state.name(), state.dtype(), stored_shape(state), data, state.axes(), device});
  }
}

TensorTarget target_of(State& state) {
  TensorTarget target{state.name(), state.dtype(), stored_shape(state), state.data(),
                      &state.device()};
  if (state.slice()) target.part = {state.slice()->first, state.shape().count()};
  return target;
}

std::vector<TensorTarget> tensor_targets(StateStore& store) {
  std::vector<TensorTarget> all;
  for (State& state : store.all()) all.push_back(target_of(state));
  return all;
}

}  // namespace lacuna
