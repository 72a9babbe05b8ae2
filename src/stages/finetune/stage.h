// finetune: trains a head, or the whole encoder, with labels.
#pragma once

#include "stages/setup/stage.h"

namespace lacuna {

Stage finetune_stage();

}  // namespace lacuna
