#include "encoders/list.h"

#include <array>

#include "encoders/resnet.h"

namespace lacuna {

std::span<const EncoderEntry> encoders() {
  static const std::array entries = {
      EncoderEntry{"resnet18", resnet_keys, make_resnet18},
  };
  return entries;
}

std::vector<Key> encoder_keys() {
  std::vector<std::string> names;
  for (const EncoderEntry& entry : encoders()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("encoder.name", names, names.front(), "Architecture of the encoder.")};
  for (const EncoderEntry& entry : encoders()) {
    for (Key own : entry.keys()) {
      all.push_back(std::move(own).only_if("encoder.name", {std::string(entry.name)}));
    }
  }
  return all;
}

EncoderFactory encoder_factory(const Configuration& configuration, const Shape& sample) {
  for (const EncoderEntry& entry : encoders()) {
    if (configuration.is("encoder.name", entry.name)) {
      return [&entry, configuration, sample](Scope scope) {
        return entry.make(configuration, sample, scope);
      };
    }
  }
  LACUNA_CHECK(false, "encoder.name");
  return {};
}

}  // namespace lacuna
