// A communicator that passes every call on to another one, which outlives it: the base of those
// that change some. Messages of several tensors are made here of the simple calls, so that those
// see them too.
#pragma once

#include "comm/communicator.h"

namespace lacuna {

class ForwardingCommunicator : public Communicator {
 public:
  explicit ForwardingCommunicator(Communicator& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  Request all_gather(const void* mine, void* all, std::span<const size_t> bytes) override {
    return inner_.all_gather(mine, all, bytes);
  }
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    return inner_.all_reduce_sum(data, count, dtype);
  }
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    return inner_.reduce_scatter_sum(data, mine, parts, dtype);
  }
  Request broadcast(void* data, size_t bytes, int root) override {
    return inner_.broadcast(data, bytes, root);
  }
  void barrier() override { inner_.barrier(); }

 protected:
  Communicator& inner_;
};

}  // namespace lacuna
