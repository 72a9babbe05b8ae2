// The list of modalities: a modality is a file, or a folder, and a line in list.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/modality.h"

namespace lacuna {

struct ModalityEntry {
  std::string_view name;       // of data.kind
  std::vector<Key> (*keys)();  // data.* and augment.*, of samples of this kind
  // Collective. bad_input, on every rank, where the data set's samples cannot be read so.
  std::unique_ptr<Modality> (*make)(const ModalityParts& parts);
};

std::span<const ModalityEntry> modalities();

// data.kind, and every modality's own keys.
std::vector<Key> modality_keys();

// Collective. The modality that data.kind names.
std::unique_ptr<Modality> make_modality(const ModalityParts& parts);

}  // namespace lacuna
