// status: how far a run has come.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage status_stage();

}  // namespace lacuna
