#include "support/separate_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include "kernels/cpu/support/table.h"

namespace lacuna {

// Addresses taken once, handed out one behind the other; what is given back is not used again.
class SeparateDevice::Memory {
 public:
  Memory() {
    void* begin =
        mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<char*>(begin);
    const std::lock_guard lock(mutex());
    all().insert(this);
  }
  ~Memory() {
    {
      const std::lock_guard lock(mutex());
      all().erase(this);
    }
    munmap(begin_, size);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void* take(size_t bytes) {
    const size_t at = end_;
    end_ += (bytes + alignment - 1) / alignment * alignment;
    if (end_ > size) throw std::bad_alloc();
    return begin_ + at;
  }
  bool holds(const void* data, size_t bytes) const {
    if (bytes == 0) return true;  // nothing is read or written there
    const char* first = static_cast<const char*>(data);
    return first >= begin_ && first + bytes <= begin_ + end_;
  }
  // Open while it lives.
  class Open {
   public:
    explicit Open(Memory& memory) : memory_(memory) { memory_.protect(PROT_READ | PROT_WRITE); }
    ~Open() { memory_.protect(PROT_NONE); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    Memory& memory_;
  };
  // The device whose memory all operands lie in.
  static Memory& of(const Call& call) {
    const std::lock_guard lock(mutex());
    for (Memory* memory : all()) {
      if (memory->holds_all(call.in) && memory->holds_all(call.out)) return *memory;
    }
    throw std::logic_error("a kernel was given memory that is not the device's");
  }

  // Whether there is anything to compute on.
  static bool is_empty(const Call& call) {
    const auto empty = [](const View& view) { return view.count() == 0; };
    return std::all_of(call.in.begin(), call.in.end(), empty) &&
           std::all_of(call.out.begin(), call.out.end(), empty);
  }

 private:
  bool holds_all(std::span<const View> views) const {
    return std::all_of(views.begin(), views.end(), [this](const View& view) {
      return holds(view.data, static_cast<size_t>(view.count()) * size_of(view.dtype));
    });
  }
  static constexpr size_t size = size_t{4} << 30;
  static constexpr size_t alignment = 256;
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::set<Memory*>& all() {
    static std::set<Memory*> instances;
    return instances;
  }
  void protect(int mode) {
    constexpr size_t page = 4096;
    if (mprotect(begin_, (end_ + page - 1) / page * page, mode) != 0)
      throw std::runtime_error("mprotect failed");
  }

  char* begin_ = nullptr;
  size_t end_ = 0;
};

namespace {

void run_guarded(Kernel kernel, const Call& call) {
  if (SeparateDevice::Memory::is_empty(call)) return kernel(call);
  const SeparateDevice::Memory::Open open(SeparateDevice::Memory::of(call));
  kernel(call);
}

class BlockUploads final : public Uploads {
 public:
  explicit BlockUploads(SeparateDevice& device) : device_(device) {}
  void* fill(size_t bytes) override {
    bytes_ = bytes;
    return host_.at_least(bytes);
  }
  void* send() override {
    if (bytes_ > memory_.bytes()) memory_ = DeviceMemory(device_, bytes_);
    device_.copy_in(memory_.data(), host_.at_least(bytes_), bytes_);
    return memory_.data();
  }

 private:
  SeparateDevice& device_;
  HostScratch host_;
  DeviceMemory memory_;
  size_t bytes_ = 0;
};

// A kernel is a plain function: one for each line of the table.
constexpr size_t most_kernels = 256;
template <size_t line>
void guarded(const Call& call) {
  run_guarded(cpu_kernels()[line].kernel, call);
}
template <size_t... lines>
constexpr std::array<Kernel, sizeof...(lines)> all_guarded(std::index_sequence<lines...>) {
  return {guarded<lines>...};
}
constexpr auto guarded_kernels = all_guarded(std::make_index_sequence<most_kernels>());

}  // namespace

SeparateDevice::SeparateDevice(int threads) : cpu_(threads), memory_(std::make_unique<Memory>()) {}
SeparateDevice::~SeparateDevice() = default;

void* SeparateDevice::allocate(size_t bytes) {
  void* memory = memory_->take(bytes);
  const Memory::Open open(*memory_);
  std::memset(memory, 0, bytes);
  return memory;
}
void SeparateDevice::release(void*) {}

void SeparateDevice::copy_in(void* device, const void* host, size_t bytes) {
  if (!memory_->holds(device, bytes) || (bytes > 0 && memory_->holds(host, 1)))
    throw std::logic_error("copy_in to memory that is not the device's, or from it");
  const Memory::Open open(*memory_);
  if (bytes > 0) std::memcpy(device, host, bytes);
}
void SeparateDevice::copy_out(void* host, const void* device, size_t bytes) {
  if (!memory_->holds(device, bytes) || (bytes > 0 && memory_->holds(host, 1)))
    throw std::logic_error("copy_out of memory that is not the device's, or to it");
  const Memory::Open open(*memory_);
  if (bytes > 0) std::memcpy(host, device, bytes);
}

std::unique_ptr<Uploads> SeparateDevice::make_uploads() {
  return std::make_unique<BlockUploads>(*this);
}

Kernel SeparateDevice::find(std::string_view operation, DType dtype) const {
  const auto table = cpu_kernels();
  LACUNA_CHECK(table.size() <= most_kernels);
  for (size_t line = 0; line < table.size(); ++line) {
    if (table[line].operation == operation && table[line].dtypes.contains(dtype))
      return guarded_kernels[line];
  }
  return nullptr;
}

}  // namespace lacuna
