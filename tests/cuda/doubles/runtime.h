// What the double of CUDA's runtime does beside the calls of its API (runtime.cpp). Streams are
// lazy: what is put on one runs only when something waits for it, streams taking turns at random
// within what events allow, so that a missing wait gives wrong results. Each device has memory of
// its own, filled with NaNs and closed to the host but while its streams run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

struct CUstream_st;

namespace cuda_double {

// A rule of CUDA's runtime that host code broke.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};

// Runs `work` on the stream in its order, at some time before something waits for it. Memory of the
// device is open only then. The stream nullptr runs it at once: kernels in the host's memory.
void enqueue(CUstream_st* stream, const char* what, std::function<void()> work);

// As enqueue(), but not before `ready`, which is asked whenever the stream might go on.
void enqueue_when(CUstream_st* stream, const char* what, std::function<bool()> ready,
                  std::function<void()> work);

// Whether what is put on the stream is recorded.
bool is_recorded(CUstream_st* stream);

// Whether [data, data + bytes) lies in one live allocation of the current device's memory.
bool is_device_memory(const void* data, size_t bytes);

// Throws where one of the words among a kernel's parameters is an address of the host's memory.
void check_parameters(CUstream_st* stream, const void* parameters, size_t bytes);

// Seed of the order in which streams take turns, for this thread.
void set_seed(uint64_t seed);

// What is left out or done wrongly from here on, for this thread, until the next call.
enum class Fault {
  none,
  waits_of_streams,  // cudaStreamWaitEvent does nothing
  waits_of_host,     // cudaEventSynchronize does nothing
  stream_of_sums,    // NCCL's sums run on a stream of their own
  // A kernel has failed: every call from then on does too (Runtime API, cudaErrorIllegalAddress).
  lost_device,
};
void plant(Fault fault);
Fault planted();

// Whether something is on the current device's streams.
bool is_busy();
// Runs what is on the current device's streams.
void finish_all();

// Drops what is on the current device's streams: its process would have ended.
void forget_all();

// Calls of cudaMalloc and cudaHostAlloc by this process so far.
int64_t allocations();

}  // namespace cuda_double
