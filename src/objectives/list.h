// The list of objectives: an objective is a file and a line in list.cpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "objectives/objective.h"

namespace lacuna {

struct ObjectiveEntry {
  std::string_view name;       // of objective.name
  std::vector<Key> (*keys)();  // its own
  std::unique_ptr<Objective> (*make)(const ObjectiveParts& parts);
  // The kinds of data (data.kind) that it works on; none: all.
  std::vector<std::string_view> kinds = {};
  // Parts of a sample beside the first one, whose keys stand under "part.<name>."
  // (stages/keys/parts.h).
  std::vector<std::string_view> parts = {};
  bool works_on(std::string_view kind) const;
};

std::span<const ObjectiveEntry> objectives();

// objective.name and every objective's own keys.
std::vector<Key> objective_keys();

std::unique_ptr<Objective> make_objective(const ObjectiveParts& parts);

}  // namespace lacuna
