// inspect: what an HDF5 file holds.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage inspect_stage();

}  // namespace lacuna
