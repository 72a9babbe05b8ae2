#include "comm/delayed.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include "comm/forwarding.h"

namespace lacuna {
namespace {

using Clock = std::chrono::steady_clock;

class DelayedState : public Request::State {
 public:
  DelayedState(Request inner, Clock::time_point due) : inner_(std::move(inner)), due_(due) {}
  void wait() override {
    inner_.wait();
    std::this_thread::sleep_until(due_);
  }

 private:
  Request inner_;
  Clock::time_point due_;
};

class DelayedCommunicator : public ForwardingCommunicator {
 public:
  DelayedCommunicator(Communicator& inner, double seconds, size_t from_bytes)
      : ForwardingCommunicator(inner),
        delay_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))),
        from_bytes_(from_bytes) {}
  using Communicator::all_reduce_sum;
  Request all_reduce_sum(void* data, size_t count, DType dtype) override {
    return delayed(inner_.all_reduce_sum(data, count, dtype), count * size_of(dtype));
  }
  Request reduce_scatter_sum(const void* data, void* mine, std::span<const size_t> parts,
                             DType dtype) override {
    const size_t count = std::accumulate(parts.begin(), parts.end(), size_t{0});
    return delayed(inner_.reduce_scatter_sum(data, mine, parts, dtype), count * size_of(dtype));
  }

 private:
  Request delayed(Request request, size_t bytes) {
    if (bytes < from_bytes_) return request;
    link_free_ = std::max(link_free_, Clock::now()) + delay_;
    return Request(std::make_unique<DelayedState>(std::move(request), link_free_));
  }
  Clock::duration delay_;
  size_t from_bytes_;
  Clock::time_point link_free_{};
};

}  // namespace

std::unique_ptr<Communicator> delayed_communicator(Communicator& inner, double seconds,
                                                   size_t from_bytes) {
  return std::make_unique<DelayedCommunicator>(inner, seconds, from_bytes);
}

}  // namespace lacuna
