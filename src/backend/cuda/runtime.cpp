#include "backend/cuda/runtime.h"

namespace lacuna::cuda {

Stream::Stream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}
Stream::~Stream() { cudaStreamDestroy(stream_); }
void Stream::wait() const { check(cudaStreamSynchronize(stream_), "waiting for kernels"); }
void Stream::drain() const noexcept {
  if (!is_failing()) cudaStreamSynchronize(stream_);
}
bool Stream::is_idle() const {
  const cudaError_t state = cudaStreamQuery(stream_);
  if (state == cudaErrorNotReady) return false;
  check(state, "waiting for kernels");
  return true;
}

Event::Event() : Event(cudaEventDisableTiming) {}
Event::Event(unsigned flags) { check(cudaEventCreateWithFlags(&event_, flags), "making an event"); }
Event::~Event() { cudaEventDestroy(event_); }
void Event::record(const Stream& stream) const {
  check(cudaEventRecord(event_, stream.get()), "recording an event");
}
void Event::hold(const Stream& stream) const {
  check(cudaStreamWaitEvent(stream.get(), event_, 0), "waiting for an event");
}
void Event::wait() const { check(cudaEventSynchronize(event_), "waiting for an event"); }
void Event::drain() const noexcept {
  if (!is_failing()) cudaEventSynchronize(event_);
}

double TimingEvent::seconds_since(const TimingEvent& before) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, before.get(), get()), "timing kernels");
  return 1e-3 * static_cast<double>(milliseconds);
}

PinnedMemory::PinnedMemory(size_t bytes) : bytes_(bytes) {
  check(cudaHostAlloc(&data_, bytes, cudaHostAllocDefault), "taking pinned memory of the host");
}
PinnedMemory::~PinnedMemory() {
  if (data_ != nullptr && !is_failing()) cudaFreeHost(data_);
}

}  // namespace lacuna::cuda
