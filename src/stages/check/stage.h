// check: tells before a job is submitted what is in the data, and what it will take.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage check_stage();

}  // namespace lacuna
