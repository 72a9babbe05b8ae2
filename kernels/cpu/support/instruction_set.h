// Which instruction set the kernels of this process use, oneDNN's and ours.
#pragma once

#include "base/cpu_features.h"

namespace lacuna {

// No kernel uses more than `most` from here on, so that ranks on unlike processors compute alike
// (Highway's and oneDNN's own choice is by each rank's processor). For the whole process; before
// the first kernel runs, later is an error of the program. Nothing changes where the processor has
// no more.
void limit_instruction_set(Isa most);

}  // namespace lacuna
