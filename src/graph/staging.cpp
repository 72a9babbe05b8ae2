#include "graph/staging.h"

#include "base/host_tensor.h"

namespace lacuna {

namespace {

class StagedRequest final : public Request::State {
 public:
  StagedRequest(const Operation& operation, Communicator& communicator, const Call& call,
                std::span<const int64_t> rows, Device& device)
      : device_(device), targets_(call.out.begin(), call.out.end()) {
    std::vector<View> in;
    std::vector<View> out;
    for (const View& x : call.in) {
      in.push_back(host_view(x));
      device_.copy_out(in.back().data, x.data, buffers_.back().bytes());
    }
    for (const View& y : call.out) out.push_back(host_view(y));
    inner_ = operation.start(communicator, {in, out, call.attributes, call.context}, rows);
  }
  void wait() override {
    inner_.wait();
    const size_t first = buffers_.size() - targets_.size();
    for (size_t i = 0; i < targets_.size(); ++i) {
      const HostTensor& arrived = buffers_[first + i];
      device_.copy_in(targets_[i].data, arrived.data(), arrived.bytes());
    }
  }

 private:
  View host_view(const View& view) {
    HostTensor& buffer = buffers_.emplace_back(view.dtype, view.shape);
    return {buffer.data(), view.dtype, view.shape};
  }

  Device& device_;
  std::vector<View> targets_;
  std::vector<HostTensor> buffers_;  // inputs, then outputs; outlive inner_
  Request inner_;
};

}  // namespace

Request start_staged(const Operation& operation, Communicator& communicator, const Call& call,
                     std::span<const int64_t> rows, Device& device) {
  return Request(std::make_unique<StagedRequest>(operation, communicator, call, rows, device));
}

}  // namespace lacuna
