#include "train/loss_scale.h"

#include <algorithm>
#include <array>

namespace lacuna {

namespace {

constexpr double first = 65536, least = 0x1p-14, most = 0x1p24;
constexpr double steps_until_doubled = 2000;

}  // namespace

LossScale::LossScale(StateStore& store)
    : state_(store.create(loss_scaling, DType::f64, {2}, Role::buffer)) {
  state_.fill([](int64_t i) { return i == 0 ? first : 0; });
}

double LossScale::value() const { return state_.values()[0]; }

void LossScale::follow(bool finite) {
  const std::vector<double> now = state_.values();
  std::array<double, 2> next = {now[0], now[1] + 1};
  if (!finite) {
    next = {now[0] / 2, 0};
    if (next[0] < least) {
      throw Error(ExitStatus::bad_values,
                  "the gradients are no numbers in float16, whatever the loss is scaled with: set "
                  "train.precision to \"bf16\" or lower optimizer.lr");
    }
  } else if (next[1] >= steps_until_doubled) {
    next = {std::min(2 * now[0], most), 0};
  }
  state_.write(next.data());
}

}  // namespace lacuna
