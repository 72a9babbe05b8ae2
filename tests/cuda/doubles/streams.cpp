#include "streams.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string>
#include <utility>

void Capture::add(const CUstream_st* stream, const char* what, std::function<void()> work,
                  std::function<bool()> others) {
  graph->items.push_back({stream, what, std::move(work), std::move(others), nullptr, nullptr});
}

bool Capture::is_joined() const {
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

namespace cuda_double {

thread_local int device_now = 0;
thread_local Fault fault_now = Fault::none;

void* Memory::take(size_t bytes) {
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

void Memory::give_back(void* data) {
  const auto block = blocks_.find(static_cast<char*>(data));
  if (block == blocks_.end()) throw Violation("cudaFree of what is no allocation");
  const size_t bytes = (std::max<size_t>(block->second, 1) + page - 1) / page * page;
  mprotect(data, bytes, PROT_NONE);
  madvise(data, bytes, MADV_DONTNEED);
  blocks_.erase(block);
}

bool Memory::holds(const void* data, size_t bytes) const {
  const char* first = static_cast<const char*>(data);
  auto block = blocks_.upper_bound(const_cast<char*>(first));
  if (block == blocks_.begin()) return false;
  --block;
  return first + bytes <= block->first + std::max<size_t>(block->second, 1);
}

bool Memory::is_here(const void* data) const {
  const char* at = static_cast<const char*>(data);
  return begin_ != nullptr && at >= begin_ && at < begin_ + size;
}

void Memory::open(bool yes) {
  if (open_ == yes) return;
  open_ = yes;
  for (const auto& [data, bytes] : blocks_)
    mprotect(data, std::max<size_t>(bytes, 1), yes ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void Memory::reserve() {
  void* begin = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  begin_ = static_cast<char*>(begin);
}

std::array<DeviceState, devices>& all_devices() {
  static std::array<DeviceState, devices> instances;
  return instances;
}

HostBlocks& pinned() {
  static HostBlocks instance;
  return instance;
}

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

namespace {

bool is_of_any_device(const void* data) {
  return std::any_of(all_devices().begin(), all_devices().end(),
                     [&](const DeviceState& device) { return device.memory.is_here(data); });
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

}  // namespace

void check_on_device(const void* data, size_t bytes, const char* call) {
  if (bytes > 0 && !current().memory.holds(data, bytes))
    throw Violation(std::string(call) + ": not in one allocation of the device's memory");
}
void check_on_host(const void* data, const char* call) {
  if (is_of_any_device(data))
    throw Violation(std::string(call) + ": the device's memory as host's");
}

void drop_empty_streams(DeviceState& device) {
  for (auto at = device.streams.begin(); at != device.streams.end();) {
    CUstream_st* stream = *at;
    const bool over = stream->goes && stream->items.empty();
    at = over ? device.streams.erase(at) : std::next(at);
    if (over) delete stream;
  }
}

void run_until(DeviceState& device, const std::function<bool()>& done) {
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

bool is_lost() { return fault_now == Fault::lost_device; }

void forbid_capture(const char* call) {
  for (const CUstream_st* stream : current().streams) {
    if (stream->captures != nullptr && stream->captures->thread == std::this_thread::get_id())
      throw Violation(std::string(call) + " while a stream captures");
  }
}

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
