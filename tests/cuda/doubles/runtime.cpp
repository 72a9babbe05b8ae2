// CUDA's runtime on the host: devices with memory of their own, lazy streams, events, graphs. Rules
// and their sources: the CUDA Runtime API reference 12.4 ("API synchronization behavior", "Memory
// management", "Stream management", "Graph management") and the Programming Guide, 3.2.8.
#include "runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

struct Capture;

struct CUevent_st {
  Capture* capture = nullptr;  // that recorded it last
  uint64_t recorded = 0;       // how often, by the host's calls
  uint64_t completed = 0;      // the last that its stream has reached
  int device = 0;
  bool times = true;  // made without cudaEventDisableTiming
};

namespace cuda_double {

namespace {

constexpr int devices = 8;

// One thing on a stream: work, or to wait until an event's n-th record has been reached.
struct Item {
  const char* what;
  std::function<void()> work;
  const CUevent_st* awaited = nullptr;
  uint64_t record = 0;
  std::function<bool()> others;  // whether other ranks have come
  bool ready() const {
    if (others) return others();
    return awaited == nullptr || awaited->completed >= record;
  }
};

}  // namespace

}  // namespace cuda_double

struct CUstream_st {
  int device = 0;
  std::deque<cuda_double::Item> items;
  Capture* captures = nullptr;
  bool goes = false;  // when it is empty
};

// One thing on a stream of a graph: work, or a record of an event, or to wait for one of its
// records.
struct GraphItem {
  const CUstream_st* stream;
  const char* what;
  std::function<void()> work;
  std::function<bool()> others;
  const CUevent_st* records = nullptr;
  const CUevent_st* awaits = nullptr;
};
struct CUgraph_st {
  std::vector<GraphItem> items;
};
struct CUgraphExec_st {
  std::vector<GraphItem> items;
};
struct Capture {
  CUstream_st* origin;
  CUgraph_st* graph;
  std::thread::id thread;  // cudaStreamCaptureModeThreadLocal: others may do what they like
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;

  void add(const CUstream_st* stream, const char* what, std::function<void()> work,
           std::function<bool()> others = {}) {
    graph->items.push_back({stream, what, std::move(work), std::move(others), nullptr, nullptr});
  }
  // All streams have come back to the origin: the last thing on each is a record that another
  // awaits.
  bool is_joined() const {
    return std::all_of(streams.begin(), streams.end(), [&](const CUstream_st* stream) {
      if (stream == origin) return true;
      const auto& items = graph->items;
      const auto last = std::find_if(items.rbegin(), items.rend(),
                                     [&](const GraphItem& item) { return item.stream == stream; });
      if (last == items.rend() || last->records == nullptr) return false;
      return std::any_of(items.rbegin(), last,
                         [&](const GraphItem& item) { return item.awaits == last->records; });
    });
  }
};

namespace cuda_double {

namespace {

// Addresses taken once and handed out one behind the other; what is given back is not used again,
// so that what reads it dies.
class Memory {
 public:
  void* take(size_t bytes) {
    if (begin_ == nullptr) reserve();
    const size_t at = end_;
    end_ += (std::max<size_t>(bytes, 1) + page - 1) / page * page;
    if (end_ > size) return nullptr;
    char* data = begin_ + at;
    blocks_[data] = bytes;
    mprotect(data, end_ - at, PROT_READ | PROT_WRITE);
    std::memset(data, 0xff, end_ - at);  // NaNs
    if (!open_) mprotect(data, end_ - at, PROT_NONE);
    return data;
  }
  void give_back(void* data) {
    const auto block = blocks_.find(static_cast<char*>(data));
    if (block == blocks_.end()) throw Violation("cudaFree of what is no allocation");
    const size_t bytes = (std::max<size_t>(block->second, 1) + page - 1) / page * page;
    mprotect(data, bytes, PROT_NONE);
    madvise(data, bytes, MADV_DONTNEED);
    blocks_.erase(block);
  }
  bool holds(const void* data, size_t bytes) const {
    const char* first = static_cast<const char*>(data);
    auto block = blocks_.upper_bound(const_cast<char*>(first));
    if (block == blocks_.begin()) return false;
    --block;
    return first + bytes <= block->first + std::max<size_t>(block->second, 1);
  }
  bool is_here(const void* data) const {
    const char* at = static_cast<const char*>(data);
    return begin_ != nullptr && at >= begin_ && at < begin_ + size;
  }
  void open(bool yes) {
    if (open_ == yes) return;
    open_ = yes;
    for (const auto& [data, bytes] : blocks_)
      mprotect(data, std::max<size_t>(bytes, 1), yes ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  bool is_open() const { return open_; }

 private:
  static constexpr size_t page = 4096;
  static constexpr size_t size = size_t{256} << 30;
  void reserve() {
    void* begin =
        mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<char*>(begin);
  }
  char* begin_ = nullptr;
  size_t end_ = 0;
  bool open_ = false;
  std::map<char*, size_t> blocks_;
};

struct DeviceState {
  std::recursive_mutex mutex;
  Memory memory;
  std::set<CUstream_st*> streams;
  std::vector<std::unique_ptr<CUevent_st>> past_events;
};

std::array<DeviceState, devices>& all_devices() {
  static std::array<DeviceState, devices> instances;
  return instances;
}

struct HostBlocks {
  std::mutex mutex;
  std::map<const char*, size_t> blocks;
  int64_t allocations = 0;
};
HostBlocks& pinned() {
  static HostBlocks instance;
  return instance;
}

thread_local int device_now = 0;
thread_local Fault fault_now = Fault::none;

std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine(1);
  return engine;
}

DeviceState& device_of(const CUstream_st* stream) {
  return all_devices()[static_cast<size_t>(stream->device)];
}
DeviceState& current() { return all_devices()[static_cast<size_t>(device_now)]; }

bool is_pinned(const void* data, size_t bytes) {
  const std::lock_guard lock(pinned().mutex);
  const char* first = static_cast<const char*>(data);
  auto block = pinned().blocks.upper_bound(first);
  if (block == pinned().blocks.begin()) return false;
  --block;
  return first + bytes <= block->first + block->second;
}

bool is_of_any_device(const void* data) {
  return std::any_of(all_devices().begin(), all_devices().end(),
                     [&](const DeviceState& device) { return device.memory.is_here(data); });
}

void check_on_device(const void* data, size_t bytes, const char* call) {
  if (bytes > 0 && !current().memory.holds(data, bytes))
    throw Violation(std::string(call) + ": not in one allocation of the device's memory");
}
void check_on_host(const void* data, const char* call) {
  if (is_of_any_device(data))
    throw Violation(std::string(call) + ": the device's memory as host's");
}

void run_one(DeviceState& device, const std::vector<CUstream_st*>& ready) {
  CUstream_st& stream = *ready[generator()() % ready.size()];
  const Item item = std::move(stream.items.front());
  stream.items.pop_front();
  const bool was_open = device.memory.is_open();
  device.memory.open(true);
  try {
    if (item.work) item.work();
  } catch (...) {
    device.memory.open(was_open);
    for (CUstream_st* other : device.streams) other->items.clear();  // the context is lost
    throw;
  }
}

bool waits_for_others(const DeviceState& device) {
  return std::any_of(device.streams.begin(), device.streams.end(), [](const CUstream_st* stream) {
    return !stream->items.empty() && stream->items.front().others;
  });
}

void drop_empty_streams(DeviceState& device) {
  for (auto at = device.streams.begin(); at != device.streams.end();) {
    CUstream_st* stream = *at;
    const bool over = stream->goes && stream->items.empty();
    at = over ? device.streams.erase(at) : std::next(at);
    if (over) delete stream;
  }
}

// Streams take turns until `done`.
template <typename Done>
void run_until(DeviceState& device, const Done& done) {
  const std::lock_guard lock(device.mutex);
  int patience = 0;
  while (!done()) {
    std::vector<CUstream_st*> ready;
    for (CUstream_st* stream : device.streams) {
      if (!stream->items.empty() && stream->items.front().ready()) ready.push_back(stream);
    }
    if (!ready.empty()) {
      run_one(device, ready);
    } else if (waits_for_others(device) &&
               ++patience < (fault_now == Fault::none ? 600'000 : 10'000)) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    } else {
      throw Violation("streams wait for what never comes");
    }
  }
  device.memory.open(false);
}

void run_all(DeviceState& device) {
  run_until(device, [&] {
    return std::all_of(device.streams.begin(), device.streams.end(),
                       [](const CUstream_st* stream) { return stream->items.empty(); });
  });
}

// Calls that may not be made while a stream captures: Programming Guide 3.2.8.7.3.
bool is_lost() { return fault_now == Fault::lost_device; }

void forbid_capture(const char* call) {
  for (const CUstream_st* stream : current().streams) {
    if (stream->captures != nullptr && stream->captures->thread == std::this_thread::get_id())
      throw Violation(std::string(call) + " while a stream captures");
  }
}

}  // namespace

void set_seed(uint64_t seed) { generator().seed(seed); }
void plant(Fault fault) { fault_now = fault; }
Fault planted() { return fault_now; }
bool is_busy() {
  const std::lock_guard lock(current().mutex);
  return std::any_of(current().streams.begin(), current().streams.end(),
                     [](const CUstream_st* stream) { return !stream->items.empty(); });
}
void finish_all() { run_all(current()); }
void forget_all() {
  const std::lock_guard lock(current().mutex);
  for (CUstream_st* stream : current().streams) stream->items.clear();
}
int64_t allocations() {
  const std::lock_guard lock(pinned().mutex);
  return pinned().allocations;
}

bool is_device_memory(const void* data, size_t bytes) {
  const std::lock_guard lock(current().mutex);
  return current().memory.holds(data, bytes);
}

bool is_recorded(CUstream_st* stream) {
  const std::lock_guard lock(device_of(stream).mutex);
  return stream->captures != nullptr;
}

void enqueue(CUstream_st* stream, const char* what, std::function<void()> work) {
  if (stream == nullptr) return work();
  const std::lock_guard lock(device_of(stream).mutex);
  if (stream->device != device_now)
    throw Violation(std::string(what) + " on another device's stream");
  if (stream->captures != nullptr) return stream->captures->add(stream, what, std::move(work));
  stream->items.push_back({what, std::move(work), nullptr, 0, {}});
}

void enqueue_when(CUstream_st* stream, const char* what, std::function<bool()> ready,
                  std::function<void()> work) {
  const std::lock_guard lock(device_of(stream).mutex);
  if (stream->captures != nullptr)
    return stream->captures->add(stream, what, std::move(work), std::move(ready));
  stream->items.push_back({what, std::move(work), nullptr, 0, std::move(ready)});
}

void check_parameters(CUstream_st* stream, const void* parameters, size_t bytes) {
  if (stream == nullptr) return;
  const std::lock_guard lock(device_of(stream).mutex);
  for (size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*)) {
    uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(parameters) + at, sizeof(word));
    if (word < uintptr_t{1} << 32 || word >= uintptr_t{1} << 47) continue;  // no address
    void* data = reinterpret_cast<void*>(word);
    if (current().memory.is_here(data)) {
      if (!current().memory.holds(data, 1))
        throw Violation("a kernel was given memory that is not, or no longer, allocated");
      continue;
    }
    unsigned char resident;
    void* page = reinterpret_cast<void*>(word & ~uintptr_t{4095});
    if (mincore(page, 1, &resident) == 0)
      throw Violation("a kernel was given an address of the host's memory");
  }
}

}  // namespace cuda_double

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
