// Events on the stream of kernels, which the device times without the host.
#pragma once

#include <memory>
#include <vector>

#include "backend/cuda/runtime.h"
#include "backend/device.h"

namespace lacuna {

class CudaStopwatch final : public Stopwatch {
 public:
  explicit CudaStopwatch(const cuda::Stream& kernels) : kernels_(kernels) {}
  void mark() override;
  std::vector<double> laps() override;

 private:
  const cuda::Stream& kernels_;
  std::vector<std::unique_ptr<cuda::TimingEvent>> marks_;  // kept from lap to lap
  size_t used_ = 0;
};

}  // namespace lacuna
