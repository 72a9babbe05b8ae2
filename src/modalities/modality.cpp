#include "modalities/modality.h"

namespace lacuna {

RecipePointer Modality::rotated() const {
  bad_input("predicting rotation needs images, and data.kind is \"", name(),
            "\": choose another objective.name");
}

std::optional<Halves> Modality::halves(const RecipePointer&, const Device&) const {
  return std::nullopt;
}

namespace {

Halves halves_of_one(const Modality& modality, const RecipePointer& recipe, const Device& device) {
  return modality.halves(recipe, device).value_or(Halves{.host = recipe, .device = {}});
}

}  // namespace

Halves halves_of(const PartModalities& parts, const RecipePointer& recipe, const Device& device) {
  const auto* whole = dynamic_cast<const JoinedRecipe*>(recipe.get());
  if (whole == nullptr) return halves_of_one(*parts.at(""), recipe, device);
  RecipePointer first;
  std::vector<RecipeOfPart> further;
  std::map<std::string, decltype(Halves::device)> made;  // by the part's name
  for (const RecipeOfPart& part : whole->parts()) {
    Halves halves = halves_of_one(*parts.at(part.name), part.recipe, device);
    if (part.name.empty())
      first = halves.host;
    else
      further.push_back({part.name, halves.host});
    if (halves.device) made[part.name] = std::move(halves.device);
  }
  Halves all{.host = joined(first, std::move(further)), .device = {}};
  if (made.empty()) return all;
  all.device = [made](const Fields& loaded, DType compute) {
    Fields fields = loaded;
    for (const auto& [part, make] : made)
      fields.add_part(part, make(part.empty() ? loaded : loaded.of(part), compute));
    return fields;
  };
  return all;
}

}  // namespace lacuna
