#include "objectives/list.h"

#include <array>

#include "objectives/byol.h"
#include "objectives/inpaint.h"
#include "objectives/rotation.h"
#include "objectives/simclr.h"

namespace lacuna {

std::span<const ObjectiveEntry> objectives() {
  static const std::array entries = {
      ObjectiveEntry{"simclr", simclr_keys, make_simclr},
      ObjectiveEntry{"byol", byol_keys, make_byol},
      ObjectiveEntry{"rotation", rotation_keys, make_rotation},
      ObjectiveEntry{"inpaint", inpaint_keys, make_inpaint},
  };
  return entries;
}

std::vector<Key> objective_keys() {
  std::vector<std::string> names;
  for (const ObjectiveEntry& entry : objectives()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("objective.name", names, required, "What the encoder learns by.")};
  for (const ObjectiveEntry& entry : objectives()) {
    for (Key own : entry.keys()) {
      all.push_back(std::move(own).only_if("objective.name", {std::string(entry.name)}));
    }
  }
  return all;
}

std::unique_ptr<Objective> make_objective(const ObjectiveParts& parts) {
  for (const ObjectiveEntry& entry : objectives()) {
    if (parts.configuration.is("objective.name", entry.name)) return entry.make(parts);
  }
  LACUNA_CHECK(false, "objective.name");
  return nullptr;
}

}  // namespace lacuna
