// CUDA's runtime on the host: devices with memory of their own, lazy streams, events, graphs. Rules
// and their sources: the CUDA Runtime API reference 12.4 ("API synchronization behavior", "Memory
// management", "Stream management", "Graph management") and the Programming Guide, 3.2.8.
#include "runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "streams.h"

using namespace cuda_double;

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    default:
      return "invalid argument";
  }
}
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = device_now;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= devices) return cudaErrorInvalidDevice;
  device_now = device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 1;  // few blocks: loops over the grid go round
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  std::snprintf(properties->name, sizeof(properties->name), "double %d", device);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  std::snprintf(text, static_cast<size_t>(length), "0000:%02x:00.0", device + 1);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = size_t{80} << 30;
  *free = *total;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const std::lock_guard lock(current().mutex);
  forbid_capture("cudaMalloc");
  *memory = bytes > size_t{80} << 30 ? nullptr : current().memory.take(bytes);
  const std::lock_guard count(pinned().mutex);
  ++pinned().allocations;
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
// Waits for the device, as cudaFree is known to do for memory of cudaMalloc.
cudaError_t cudaFree(void* memory) {
  if (is_lost()) return cudaErrorIllegalAddress;
  if (memory == nullptr) return cudaSuccess;
  for (DeviceState& device : all_devices()) {
    if (!device.memory.is_here(memory)) continue;
    const std::lock_guard lock(device.mutex);
    forbid_capture("cudaFree");
    run_all(device);
    device.memory.give_back(memory);
    return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  forbid_capture("cudaHostAlloc");
  *memory = std::aligned_alloc(4096, (std::max<size_t>(bytes, 1) + 4095) / 4096 * 4096);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  const std::lock_guard lock(pinned().mutex);
  pinned().blocks[static_cast<char*>(*memory)] = bytes;
  ++pinned().allocations;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  if (is_lost()) return cudaErrorIllegalAddress;
  if (memory == nullptr) return cudaSuccess;
  {
    const std::lock_guard lock(current().mutex);
    run_all(current());  // implicit, as for cudaFree
  }
  const std::lock_guard lock(pinned().mutex);
  if (pinned().blocks.erase(static_cast<char*>(memory)) == 0) return cudaErrorInvalidValue;
  std::free(memory);
  return cudaSuccess;
}

// "API synchronization behavior": from pageable memory the bytes are staged before the call
// returns; to pageable memory it returns when they have arrived; from and to pinned memory it does
// not wait.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (is_lost()) return cudaErrorIllegalAddress;
  if (stream == nullptr) throw Violation("cudaMemcpyAsync on the default stream");
  if (bytes == 0) return cudaSuccess;
  if (kind == cudaMemcpyHostToDevice) {
    check_on_device(to, bytes, "cudaMemcpyAsync to the device");
    check_on_host(from, "cudaMemcpyAsync from the host");
    if (is_pinned(from, bytes)) {
      enqueue(stream, "a copy", [=] { std::memcpy(to, from, bytes); });
    } else {
      forbid_capture("a copy from pageable memory");
      const char* first = static_cast<const char*>(from);
      enqueue(stream, "a copy", [to, staged = std::vector<char>(first, first + bytes)] {
        std::memcpy(to, staged.data(), staged.size());
      });
    }
    return cudaSuccess;
  }
  check_on_device(from, bytes, "cudaMemcpyAsync from the device");
  if (kind == cudaMemcpyDeviceToHost) {
    check_on_host(to, "cudaMemcpyAsync to the host");
  } else {
    check_on_device(to, bytes, "cudaMemcpyAsync to the device");
  }
  enqueue(stream, "a copy", [=] { std::memcpy(to, from, bytes); });
  if (kind == cudaMemcpyDeviceToHost && !is_pinned(to, bytes)) return cudaStreamSynchronize(stream);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  check_on_device(memory, bytes, "cudaMemsetAsync");
  enqueue(stream, "a memset", [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (flags != cudaStreamNonBlocking) throw Violation("a stream that waits for the default stream");
  const std::lock_guard lock(current().mutex);
  *stream = new CUstream_st;
  (*stream)->device = device_now;
  current().streams.insert(*stream);
  return cudaSuccess;
}
// Does not wait: the stream goes once all that is on it has run.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(device_of(stream).mutex);
  stream->goes = true;
  drop_empty_streams(device_of(stream));
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (is_lost()) return cudaErrorIllegalAddress;
  forbid_capture("cudaStreamSynchronize");
  run_until(device_of(stream), [&] { return stream->items.empty(); });
  return cudaSuccess;
}
// Each question lets streams go a few steps.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (is_lost()) return cudaErrorIllegalAddress;
  forbid_capture("cudaStreamQuery");
  DeviceState& device = device_of(stream);
  const std::lock_guard lock(device.mutex);
  uint64_t steps = 1 + generator()() % 100;
  run_until(device, [&] { return stream->items.empty() || steps-- == 0; });
  return stream->items.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (is_lost()) return cudaErrorIllegalAddress;
  if (fault_now == Fault::waits_of_streams) return cudaSuccess;
  const std::lock_guard lock(device_of(stream).mutex);
  if (event->capture != nullptr) {  // the stream joins the capture that the event belongs to
    if (stream->captures != nullptr && stream->captures != event->capture)
      throw Violation("an event of one capture in another");
    stream->captures = event->capture;
    stream->captures->streams.insert(stream);
    stream->captures->graph->items.push_back({stream, "a wait", {}, {}, nullptr, event});
    return cudaSuccess;
  }
  if (stream->captures != nullptr)  // cudaErrorStreamCaptureIsolation
    throw Violation("a stream that captures waits for what is not captured");
  stream->items.push_back({"a wait", {}, event, event->recorded, {}});
  return cudaSuccess;
}

// As of CUDA 13; what is asked for beside the status is undefined where nothing captures.
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, int* status, unsigned long long*, void*,
                                     void*, void*, size_t*) {
  (void)stream;
  // Else cuDNN's layer would tie the plan's life to the graph's; plans live as long as the device.
  *status = 0;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->times = flags != cudaEventDisableTiming;
  (*event)->device = device_now;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }

namespace {
std::atomic<int> synchronisations = 0;
}
cudaError_t cudaDeviceSynchronize() {
  forbid_capture("cudaDeviceSynchronize");
  run_all(all_devices()[static_cast<size_t>(device_now)]);
  ++synchronisations;
  return cudaSuccess;
}
// Work takes no time here; what is measured after more synchronisations of the device took less.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (!from->times || !to->times) return cudaErrorInvalidResourceHandle;
  if (from->completed == 0 || to->completed == 0) return cudaErrorNotReady;
  *milliseconds = 1e6f / static_cast<float>(1 + synchronisations);
  return cudaSuccess;
}
// Allowed before the event is reached: its resources go when it is.
// Does not wait: what is on streams may still name it, so it stays.
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  DeviceState& device = all_devices()[static_cast<size_t>(event->device)];
  const std::lock_guard lock(device.mutex);
  device.past_events.emplace_back(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (is_lost()) return cudaErrorIllegalAddress;
  if (stream->captures != nullptr) {
    event->capture = stream->captures;
    stream->captures->events.insert(event);
    stream->captures->graph->items.push_back({stream, "a record", {}, {}, event, nullptr});
    return cudaSuccess;
  }
  event->capture = nullptr;
  const uint64_t record = ++event->recorded;
  enqueue(stream, "a record", [=] { event->completed = record; });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (is_lost()) return cudaErrorIllegalAddress;
  forbid_capture("cudaEventSynchronize");
  if (fault_now == Fault::waits_of_host) return cudaSuccess;
  DeviceState& device = all_devices()[static_cast<size_t>(event->device)];
  run_until(device, [&] { return event->completed >= event->recorded; });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  forbid_capture("cudaEventQuery");
  return event->completed >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(device_of(stream).mutex);
  forbid_capture("cudaStreamBeginCapture");
  stream->captures = new Capture{stream, new CUgraph_st, std::this_thread::get_id(), {stream}, {}};
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(device_of(stream).mutex);
  const std::unique_ptr<Capture> capture(stream->captures);
  if (capture == nullptr || capture->origin != stream)
    throw Violation("cudaStreamEndCapture of a stream that began none");
  for (CUstream_st* each : capture->streams) each->captures = nullptr;
  for (CUevent_st* each : capture->events) each->capture = nullptr;
  if (!capture->is_joined()) {
    delete capture->graph;
    throw Violation("a capture ends before its streams have joined");
  }
  *graph = capture->graph;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  forbid_capture("cudaGraphInstantiate");
  *executable = new CUgraphExec_st{graph->items};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;  // launches that are under way have what they need
  return cudaSuccess;
}
// Each stream of the graph runs beside the others, as far as its events allow: after what the
// stream held, and before what follows on it.
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (is_lost()) return cudaErrorIllegalAddress;
  DeviceState& device = device_of(stream);
  const std::lock_guard lock(device.mutex);
  drop_empty_streams(device);
  auto events = std::make_shared<std::map<const CUevent_st*, CUevent_st>>();
  const auto begin = std::make_shared<CUevent_st>();
  std::map<const CUstream_st*, CUstream_st*> streams;
  stream->items.push_back({"a graph", [begin] { begin->completed = 1; }, nullptr, 0, {}});
  for (const GraphItem& item : executable->items) {
    CUstream_st*& of_graph = streams[item.stream];
    if (of_graph == nullptr) {
      of_graph = new CUstream_st;
      of_graph->device = stream->device;
      of_graph->goes = true;
      device.streams.insert(of_graph);
      of_graph->items.push_back({"a graph", [begin] {}, begin.get(), 1, {}});
    }
    if (item.records != nullptr) {
      CUevent_st* event = &(*events)[item.records];
      const uint64_t record = ++event->recorded;
      of_graph->items.push_back(
          {item.what, [events, event, record] { event->completed = record; }, nullptr, 0, {}});
    } else if (item.awaits != nullptr) {
      CUevent_st* event = &(*events)[item.awaits];
      of_graph->items.push_back({item.what, [events] {}, event, event->recorded, {}});
    } else {
      of_graph->items.push_back({item.what, item.work, nullptr, 0, item.others});
    }
  }
  for (const auto& [captured, of_graph] : streams) {
    const auto end = std::make_shared<CUevent_st>();
    of_graph->items.push_back({"a graph", [end] { end->completed = 1; }, nullptr, 0, {}});
    stream->items.push_back({"a graph", [end] {}, end.get(), 1, {}});
  }
  return cudaSuccess;
}
}
