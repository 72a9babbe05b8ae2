// CUDA's streams, events and memory with owners, for one device. A call that fails is an Error that
// names it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <exception>
#include <utility>

#include "kernels/cuda/support/errors.h"

namespace lacuna::cuda {

// Whether an error is on its way out. The device may then hold what never ends (a collective whose
// ranks are gone) or refuse every call: destructors neither wait for it nor give its memory back.
// The process ends, which does.
inline bool is_failing() { return std::uncaught_exceptions() > 0; }

// A stream that does not wait for the default one.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }
  void wait() const;            // of the host, for all that is on it
  void drain() const noexcept;  // the same for destructors: not while an error is on its way out
  bool is_idle() const;

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(const Stream& stream) const;
  void hold(
      const Stream& stream) const;  // the stream goes on once the last record has been reached
  void wait() const;                // the host likewise
  void drain() const noexcept;      // as Stream::drain()

 protected:
  explicit Event(unsigned flags);
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// One that tells the device's time.
class TimingEvent final : public Event {
 public:
  TimingEvent() : Event(cudaEventDefault) {}
  // Both must have been reached.
  double seconds_since(const TimingEvent& before) const;
};

// Memory of the host that the device copies by itself, while the host goes on.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(size_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept { swap(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~PinnedMemory();
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void swap(PinnedMemory& other) {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace lacuna::cuda
