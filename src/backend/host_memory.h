// What devices whose memory is the host's have in common.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include "backend/device.h"

namespace lacuna {

class HostDevice : public Device {
 public:
  void* allocate(size_t bytes) override {
    // Large blocks lie on huge pages where the system has them: fewer page faults and TLB misses.
    constexpr size_t huge = size_t{2} << 20;
    const size_t alignment = bytes >= huge ? huge : 64;
    const size_t size = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    void* memory = std::aligned_alloc(alignment, size);
    if (memory == nullptr) throw std::bad_alloc();
    if (bytes >= huge) madvise(memory, size, MADV_HUGEPAGE);
    std::memset(memory, 0, size);
    return memory;
  }
  void release(void* memory) override { std::free(memory); }
  void copy_in(void* device, const void* host, size_t bytes) override {
    std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, size_t bytes) override {
    std::memcpy(host, device, bytes);
  }
  bool reads_host_memory() const override { return true; }
};

// Scratch that grows to the largest request.
class HostScratch {
 public:
  HostScratch() = default;
  HostScratch(const HostScratch&) = delete;
  HostScratch& operator=(const HostScratch&) = delete;
  ~HostScratch() { std::free(data_); }
  void* at_least(size_t bytes) {
    if (bytes > bytes_) {
      std::free(data_);
      bytes_ = (bytes + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, bytes_);
      if (data_ == nullptr) throw std::bad_alloc();
    }
    return data_;
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace lacuna
