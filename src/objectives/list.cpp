#include "objectives/list.h"

#include <algorithm>
#include <array>

#include "objectives/byol.h"
#include "objectives/clip.h"
#include "objectives/inpaint.h"
#include "objectives/rotation.h"
#include "objectives/simclr.h"
#include "objectives/simsiam.h"

namespace lacuna {

std::span<const ObjectiveEntry> objectives() {
  static const std::array entries = {
      ObjectiveEntry{"simclr", simclr_keys, make_simclr},
      ObjectiveEntry{"byol", byol_keys, make_byol},
      ObjectiveEntry{"simsiam", simsiam_keys, make_simsiam},
      ObjectiveEntry{"rotation", rotation_keys, make_rotation, {"image"}},
      ObjectiveEntry{"inpaint", inpaint_keys, make_inpaint},
      ObjectiveEntry{"clip", clip_keys, make_clip, {}, {"paired"}},
  };
  return entries;
}

bool ObjectiveEntry::works_on(std::string_view kind) const {
  return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
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
    if (!parts.configuration.is("objective.name", entry.name)) continue;
    const std::string_view kind = parts.modality.name();
    if (!entry.works_on(kind)) {
      bad_input("objective ", entry.name, " works on data.kind = \"", entry.kinds.front(),
                "\", and data.kind is \"", kind, "\": choose another objective.name");
    }
    return entry.make(parts);
  }
  LACUNA_CHECK(false, "objective.name");
  return nullptr;
}

}  // namespace lacuna
