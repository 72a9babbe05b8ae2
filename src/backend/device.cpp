#include "backend/device.h"

#include <chrono>
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

// Of devices whose kernels have ended when they return.
class HostStopwatch final : public Stopwatch {
 public:
  void mark() override { marks_.push_back(Clock::now()); }
  std::vector<double> laps() override {
    std::vector<double> laps;
    for (size_t i = 1; i < marks_.size(); ++i)
      laps.push_back(std::chrono::duration<double>(marks_[i] - marks_[i - 1]).count());
    marks_.clear();
    return laps;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> marks_;
};

}  // namespace

std::unique_ptr<Downloads> immediate_downloads(Device* device) {
  return std::make_unique<ImmediateDownloads>(device);
}

std::unique_ptr<Downloads> Device::make_downloads() { return immediate_downloads(this); }

std::unique_ptr<Stopwatch> Device::make_stopwatch() { return std::make_unique<HostStopwatch>(); }

}  // namespace lacuna
