// The state of the double's devices: memory, streams with what is on them, events, captures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "runtime.h"

struct Capture;

struct CUevent_st {
  Capture* capture = nullptr;  // that recorded it last
  uint64_t recorded = 0;       // how often, by the host's calls
  uint64_t completed = 0;      // the last that its stream has reached
  int device = 0;
  bool times = true;  // made without cudaEventDisableTiming
};

namespace cuda_double {

inline constexpr int devices = 8;

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
           std::function<bool()> others = {});
  // All streams have come back to the origin: the last thing on each is a record that another
  // awaits.
  bool is_joined() const;
};

namespace cuda_double {

// Addresses taken once and handed out one behind the other; what is given back is not used again,
// so that what reads it dies.
class Memory {
 public:
  // nullptr where there is no more.
  void* take(size_t bytes);
  void give_back(void* data);
  // Whether [data, data + bytes) lies in one live allocation.
  bool holds(const void* data, size_t bytes) const;
  bool is_here(const void* data) const;
  // To the host.
  void open(bool yes);
  bool is_open() const { return open_; }

 private:
  static constexpr size_t page = 4096;
  static constexpr size_t size = size_t{256} << 30;
  void reserve();
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
std::array<DeviceState, devices>& all_devices();

struct HostBlocks {
  std::mutex mutex;
  std::map<const char*, size_t> blocks;
  int64_t allocations = 0;
};
HostBlocks& pinned();

extern thread_local int device_now;
extern thread_local Fault fault_now;

std::mt19937_64& generator();

DeviceState& device_of(const CUstream_st* stream);
DeviceState& current();

bool is_pinned(const void* data, size_t bytes);
void check_on_device(const void* data, size_t bytes, const char* call);
void check_on_host(const void* data, const char* call);

void drop_empty_streams(DeviceState& device);
// Streams take turns until `done`.
void run_until(DeviceState& device, const std::function<bool()>& done);
void run_all(DeviceState& device);

bool is_lost();
// For calls that may not be made while a stream captures: Programming Guide 3.2.8.7.3.
void forbid_capture(const char* call);

}  // namespace cuda_double
