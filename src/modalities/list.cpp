#include "modalities/list.h"

#include <array>

#include "modalities/image.h"
#include "modalities/signal.h"
#include "modalities/vector.h"

namespace lacuna {

std::span<const ModalityEntry> modalities() {
  static const std::array entries = {
      ModalityEntry{"image", image_keys, make_image},
      ModalityEntry{"signal", signal_keys, make_signal},
      ModalityEntry{"vector", vector_keys, make_vector},
  };
  return entries;
}

std::vector<Key> modality_keys() {
  std::vector<std::string> names;
  for (const ModalityEntry& entry : modalities()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("data.kind", names, names.front(),
                  "What a sample is. Samples of two axes of which one is at most 4 long might be "
                  "signals as well as images, so they ask for it, unless data.channels is given.")};
  for (Key& shared : array_keys()) all.push_back(std::move(shared));
  for (const ModalityEntry& entry : modalities()) {
    for (Key own : entry.keys())
      all.push_back(std::move(own).only_if("data.kind", {std::string(entry.name)}));
  }
  return all;
}

std::unique_ptr<Modality> make_modality(const ModalityParts& parts) {
  for (const ModalityEntry& entry : modalities()) {
    if (parts.configuration.is("data.kind", entry.name)) return entry.make(parts);
  }
  LACUNA_CHECK(false, "data.kind");
  return nullptr;
}

}  // namespace lacuna
