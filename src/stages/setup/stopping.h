// How a stage ends early: train.stop_signals and --max-hours.
#pragma once

#include "stages/setup/stage.h"
#include "train/early_stop.h"
#include "train/options.h"

namespace lacuna {

Option max_hours_option();

// Its signals are noted from now on. bad_input unless --max-hours is a number above 0.
EarlyStop early_stop_of(const Arguments& arguments, const TrainOptions& options,
                        StageContext& context);

}  // namespace lacuna
