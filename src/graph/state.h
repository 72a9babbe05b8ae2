// State: what survives a step — weights, teachers, queues, centres, running statistics, momenta —
// as named tensors in device memory, changed only after the step. A checkpoint saves exactly those.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/device.h"
#include "base/host_tensor.h"
#include "comm/communicator.h"
#include "graph/tensor.h"

namespace lacuna {

enum class Role {
  parameter,  // changed by the optimizer
  buffer,     // changed by an update that an objective or a layer records
  optimizer,  // momenta, changed with the parameter
};

// The part of a tensor that a rank holds where its ranks share it: elements from `first` on.
struct Slice {
  Shape whole;
  int64_t first = 0;
};
// A rank's slice of a tensor of this shape (slice_begin), and how many elements it has.
Slice slice_of(const Shape& whole, const Communicator& communicator);
int64_t slice_count(const Shape& whole, const Communicator& communicator);

class State {
 public:
  State(Device& device, std::string name, DType dtype, const Shape& shape, Role role);
  // A slice [count], in memory of its own.
  State(Device& device, std::string name, DType dtype, const Slice& slice, int64_t count,
        Role role);
  // A slice [count] of `whole`, which outlives it: the same memory.
  State(State& whole, const Slice& slice, int64_t count);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const std::string& name() const { return name_; }
  DType dtype() const { return leaf_.dtype(); }
  const Shape& shape() const { return leaf_.shape(); }
  Role role() const { return role_; }
  // Of the tensor that it is a slice of; none: it is whole.
  const std::optional<Slice>& slice() const { return slice_; }
  size_t bytes() const { return static_cast<size_t>(shape().count()) * size_of(dtype()); }
  void* data() const { return data_; }
  Device& device() const { return device_; }
  // The tensor to record with: the same handle each time.
  const Tensor& tensor() const { return leaf_; }

  // Weight decay and LARS leave out what has at most one axis: biases and normalisation (as
  // PyTorch's recipes do), and what its layer exempts.
  bool decays() const { return role_ == Role::parameter && !exempt_ && shape().rank() > 1; }
  void exempt_from_decay() { exempt_ = true; }

  // What the axes of the whole tensor mean, in order and separated by commas, for who reads a
  // checkpoint ("out_feature, in_feature"); "" where nobody has said it, since a shape alone does
  // not tell.
  const std::string& axes() const { return axes_; }
  State& name_axes(const std::string& axes);

  // Contents, by way of host memory of the same dtype and size.
  void write(const void* host);
  void read(void* host) const;
  // Fills with value(element), rounded once to the dtype (f64, f32 or i64).
  void fill(const std::function<double(int64_t)>& value);
  std::vector<double> values() const;

 private:
  Device& device_;
  std::string name_;
  Role role_;
  bool exempt_ = false;
  std::string axes_;
  void make_leaf(DType dtype, const Shape& shape);

  std::optional<Slice> slice_;
  DeviceMemory memory_;  // none where it is another's
  void* data_;
  Tensor leaf_;
};

// All State of a run, in order of creation; addresses stay valid.
class StateStore {
 public:
  explicit StateStore(Device& device) : device_(device) {}
  Device& device() { return device_; }
  // Zeroed. A name given twice is a broken rule.
  State& create(const std::string& name, DType dtype, const Shape& shape, Role role);
  // This rank's slice of a tensor.
  State& create_slice(const std::string& name, DType dtype, const Shape& whole, Role role,
                      const Communicator& communicator);
  State* find(const std::string& name);
  std::deque<State>& all() { return states_; }
  const std::deque<State>& all() const { return states_; }
  // Those whose name begins with `prefix`, of one role.
  std::vector<State*> select(const std::string& prefix, Role role);

 private:
  Device& device_;
  std::deque<State> states_;
};

}  // namespace lacuna
