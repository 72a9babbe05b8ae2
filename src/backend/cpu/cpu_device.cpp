#include "backend/cpu/cpu_device.h"

#include <omp.h>

#include "kernels/cpu/context.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/table.h"

namespace lacuna {

class CpuDevice::Context final : public CpuContext {
 public:
  explicit Context(int threads) : threads_(threads) {}
  void* scratch(size_t bytes) override { return scratch_.at_least(bytes); }
  int threads() const override { return threads_; }
  OneDnn& onednn() override { return onednn_; }

 private:
  int threads_;
  HostScratch scratch_;
  OneDnn onednn_;
};

CpuDevice::CpuDevice(int threads) {
  LACUNA_CHECK(threads >= 1);
  omp_set_num_threads(threads);  // of the calling thread's parallel regions: oneDNN's and ours
  context_ = std::make_unique<Context>(threads);
}

CpuDevice::~CpuDevice() = default;

Kernel CpuDevice::find(std::string_view operation, DType dtype) const {
  return find_in(cpu_kernels(), operation, dtype);
}

KernelContext& CpuDevice::context() { return *context_; }

}  // namespace lacuna
