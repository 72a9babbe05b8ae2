// embed: writes the representations of a data set.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage embed_stage();

}  // namespace lacuna
