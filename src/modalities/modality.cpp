#include "modalities/modality.h"

namespace lacuna {

RecipePointer Modality::rotated() const {
  bad_input("predicting rotation needs images, and data.kind is \"", name(),
            "\": choose another objective.name");
}

std::optional<Halves> Modality::halves(const RecipePointer&, const Device&) const {
  return std::nullopt;
}

}  // namespace lacuna
