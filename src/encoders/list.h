// The list of encoders: a family of architectures is a file, each of them a line in list.cpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "encoders/encoder.h"
#include "modalities/modality.h"

namespace lacuna {

struct EncoderEntry {
  std::string_view name;       // of encoder.name
  std::vector<Key> (*keys)();  // of its family, whose entries stand beside each other
  std::unique_ptr<Encoder> (*make)(const Configuration& configuration, const Shape& sample,
                                   Scope scope);
  // Spatial axes of the samples that it takes: 2 of images [H, W, C], 1 of signals [L, C], 0 of
  // vectors [D].
  int least_axes = 2, most_axes = 2;
  bool masks = false;  // whether it takes padded samples with their mask
};

std::span<const EncoderEntry> encoders();

// encoder.name and every encoder's own keys.
std::vector<Key> encoder_keys();

// bad_input where the architecture does not take samples of this shape, or none that are padded.
EncoderFactory encoder_factory(const Configuration& configuration, const Shape& sample,
                               bool padded = false);
EncoderFactory encoder_factory(const Configuration& configuration, const Modality& modality);

}  // namespace lacuna
