#include "backend/device.h"

#include <cstddef>
#include <cstring>

namespace lacuna {

namespace {

// What fetch() copies is there when it returns.
class ImmediateDownloads final : public Downloads {
 public:
  explicit ImmediateDownloads(Device* device) : device_(device) {}
  void* memory(size_t bytes) override {
    const size_t lines = (bytes + sizeof(Line) - 1) / sizeof(Line);
    if (lines > lines_) memory_ = std::make_unique_for_overwrite<Line[]>(lines_ = lines);
    return memory_.get();
  }
  void fetch(void* to, const void* device, size_t bytes) override {
    if (bytes == 0) return;
    if (device_ == nullptr) {
      std::memcpy(to, device, bytes);
    } else {
      device_->copy_out(to, device, bytes);
    }
  }
  void wait() override {}

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  Device* device_;
  size_t lines_ = 0;
  std::unique_ptr<Line[]> memory_;
};

}  // namespace

std::unique_ptr<Downloads> immediate_downloads(Device* device) {
  return std::make_unique<ImmediateDownloads>(device);
}

std::unique_ptr<Downloads> Device::make_downloads() { return immediate_downloads(this); }

}  // namespace lacuna
