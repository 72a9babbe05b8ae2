#include "stages/keys/parts.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/options.h"
#include "encoders/list.h"
#include "modalities/list.h"
#include "objectives/list.h"

namespace lacuna {

namespace {

// Where samples lie on the stored rows is the same for all parts.
std::vector<Key> keys_of_a_part() {
  std::vector<Key> all = {
      key::text("data.dataset", required, "Path of this part of the samples in each file.")};
  for (Key& each : modality_keys()) all.push_back(std::move(each));
  for (Key& each : encoder_keys()) all.push_back(std::move(each));
  std::set<std::string> shared;
  for (const Key& each : extent_keys()) shared.insert(each.name);
  std::erase_if(all, [&](const Key& each) { return shared.contains(each.name); });
  return all;
}

std::string prefix_of(const std::string& part) { return "part." + part; }

}  // namespace

std::vector<Key> part_keys() {
  std::map<std::string, std::vector<std::string>> objectives_with;  // by part
  for (const ObjectiveEntry& entry : objectives())
    for (const std::string_view part : entry.parts)
      objectives_with[std::string(part)].emplace_back(entry.name);
  std::vector<Key> all;
  for (const auto& [part, names] : objectives_with)
    for (Key& each : keys_of_a_part())
      all.push_back(std::move(each).under(prefix_of(part), "objective.name", names));
  return all;
}

std::vector<std::string> parts_of(const Configuration& configuration) {
  for (const ObjectiveEntry& entry : objectives())
    if (configuration.is("objective.name", entry.name))
      return {entry.parts.begin(), entry.parts.end()};
  return {};
}

std::string part_of_output(const Configuration& configuration, const std::string& output) {
  for (const std::string& part : parts_of(configuration))
    if (output.starts_with(part + ".")) return part;
  return "";
}

Configuration configuration_of_part(const Configuration& configuration, const std::string& part) {
  return part.empty() ? configuration : configuration.section(prefix_of(part));
}

}  // namespace lacuna
