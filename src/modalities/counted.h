// Masked views of samples in which numbers may be missing: what is missing cannot be found again.
#pragma once

#include "data/load/recipe.h"

namespace lacuna {

// What `masked` makes, and "counted", float32 of the view's shape: 1 where the mask hides a number
// that is there, 0 elsewhere. `present`: a recipe whose "view0" is 1 where a number of the same
// view is made of numbers that are there alone.
RecipePointer with_counted(RecipePointer masked, RecipePointer present);

}  // namespace lacuna
