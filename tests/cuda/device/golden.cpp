// The golden values of networks, losses and optimizers on the CUDA device: tests/golden, tagged
// [golden].
#include "golden/golden.h"
#include "cuda/device/support.h"

namespace lacuna::golden {

std::vector<Setting> settings() {
  return {{"the cuda device", [] { return testing::cuda_device(); }, false, {1e-5, 1e-4}}};
}

}  // namespace lacuna::golden
