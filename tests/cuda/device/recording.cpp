// Steps that are recorded once and started by one call: they compute what others do.
#include <catch2/catch.hpp>

#include "cuda/device/support.h"
#include "support/three_steps.h"

namespace {

using namespace lacuna;
using namespace lacuna::testing;

// The device, but it records nothing.
class Unrecorded final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  std::unique_ptr<Replay> record(const std::function<void()>&) override { return nullptr; }
};

constexpr int64_t steps = 7;

}  // namespace

TEST_CASE("cuda: recorded steps give the bits of those that are not") {
  const auto recorded = three_steps(
      "simclr", [](int rank) { return cuda_device(rank); }, small_images, steps);
  const auto started = three_steps(
      "simclr", [](int rank) { return std::make_unique<Unrecorded>(cuda_device(rank)); },
      small_images, steps);
  CHECK(recorded.losses.size() == steps);
  CHECK(recorded == started);
}
