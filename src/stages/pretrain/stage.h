// pretrain: trains an encoder without labels, or continues a run.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage pretrain_stage();

}  // namespace lacuna
