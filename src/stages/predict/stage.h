// predict: writes what a fine-tuned run says of a data set.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage predict_stage();

}  // namespace lacuna
