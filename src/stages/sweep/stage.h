// sweep: the runs of a grid of settings.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage sweep_stage();

}  // namespace lacuna
