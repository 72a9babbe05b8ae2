#include "stages/pretrain/roll_back.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "comm/agree.h"
#include "run/stored_state.h"
#include "stages/setup/model.h"

namespace lacuna {

RollBack::RollBack(std::filesystem::path run, bool wanted, StateStore& store, Trainer& trainer,
                   StageContext& context)
    : run_(std::move(run)), wanted_(wanted), store_(store), trainer_(trainer), context_(context) {}

// On every rank, which may hold slices of their own.
bool RollBack::has_numbers_only() const {
  double bad = 0;
  for (const State& state : store_.all()) {
    const std::vector<double> values = state.values();
    if (!std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }))
      bad = 1;
  }
  context_.communicator.all_reduce_sum(&bad, 1, DType::f64).wait();
  return bad == 0;
}

void RollBack::run(int64_t checkpoint, const Train& train) {
  for (int64_t first = checkpoint;;) {
    try {
      return train(checkpoint, first);
    } catch (const NonFiniteLoss& bad) {
      checkpoint = back(bad);
      first = bad.step() + 1;
    }
  }
}

int64_t RollBack::back(const NonFiniteLoss& bad) {
  constexpr int most_from_one = 2;
  if (!wanted_) throw bad;
  Communicator& communicator = context_.communicator;
  while (const auto checkpoint = find_on_all_ranks(run_, "last", context_)) {
    load_state(*checkpoint, tensor_targets(store_), Match::all, communicator);
    const int64_t step = checkpoint->info.step;
    if (!has_numbers_only()) {
      context_.log.warning("checkpoint ", step, " holds values that are no numbers: moved aside");
      agreed(communicator, [&] {
        if (communicator.rank() == 0) set_aside_checkpoint(run_, step);
      });
      continue;
    }
    times_ = step == last_ ? times_ + 1 : 1;
    last_ = step;
    if (times_ > most_from_one)
      throw NonFiniteLoss(
          bad.step(), bad.what_is_bad(),
          concat("it comes again and again from checkpoint ", step,
                 "; begin a new run with a lower optimizer.lr or with optimizer.clip"));
    trainer_.abandon();
    context_.log.warning(bad.what_is_bad(), ": going on from checkpoint ", step,
                         ", without the samples of steps ", step, " to ", bad.step());
    return step;
  }
  throw NonFiniteLoss(
      bad.step(), bad.what_is_bad(),
      "there is no checkpoint to go back to; begin a new run with a lower optimizer.lr or "
      "with optimizer.clip");
}

}  // namespace lacuna
