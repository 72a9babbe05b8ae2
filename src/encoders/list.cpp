#include "encoders/list.h"

#include <array>

#include "base/text.h"
#include "encoders/fcn.h"
#include "encoders/mlp.h"
#include "encoders/resnet.h"
#include "encoders/vit.h"

namespace lacuna {

std::span<const EncoderEntry> encoders() {
  static const std::array entries = {
      EncoderEntry{"resnet18", resnet_keys, make_resnet, 1, 2, true},
      EncoderEntry{"resnet34", resnet_keys, make_resnet, 1, 2, true},
      EncoderEntry{"resnet50", resnet_keys, make_resnet, 1, 2, true},
      EncoderEntry{"mlp", mlp_keys, make_mlp, 0, 0},
      EncoderEntry{"fcn", fcn_keys, make_fcn, 1, 1, true},
      EncoderEntry{"vit_tiny", vit_keys, make_vit},
      EncoderEntry{"vit_small", vit_keys, make_vit},
      EncoderEntry{"vit_base", vit_keys, make_vit},
  };
  return entries;
}

std::vector<Key> encoder_keys() {
  std::vector<std::string> names;
  for (const EncoderEntry& entry : encoders()) names.emplace_back(entry.name);
  std::vector<Key> all = {
      key::one_of("encoder.name", names, names.front(), "Architecture of the encoder.")};
  // A family's keys are listed once, for all its architectures.
  for (size_t i = 0; i < encoders().size(); ++i) {
    const EncoderEntry& entry = encoders()[i];
    if (i > 0 && encoders()[i - 1].keys == entry.keys) continue;
    std::vector<std::string> family;
    for (const EncoderEntry& other : encoders()) {
      if (other.keys == entry.keys) family.emplace_back(other.name);
    }
    for (Key own : entry.keys()) all.push_back(std::move(own).only_if("encoder.name", family));
  }
  return all;
}

namespace {

constexpr std::array kinds = {"vectors [features]", "signals [length, channels]",
                              "images [height, width, channels]"};

void require_axes(const EncoderEntry& entry, const Shape& sample) {
  const int axes = sample.rank() - 1;
  if (axes >= entry.least_axes && axes <= entry.most_axes) return;
  std::vector<std::string> taken;
  for (int known = entry.least_axes; known <= entry.most_axes; ++known)
    taken.emplace_back(kinds.at(static_cast<size_t>(known)));
  bad_input("encoder ", entry.name, " takes ", join(taken, " or "), ", but a sample is ", sample,
            ": choose another encoder.name or data.dataset");
}

void require_masks(const EncoderEntry& entry) {
  if (entry.masks) return;
  std::vector<std::string> taken;
  for (const EncoderEntry& other : encoders())
    if (other.masks) taken.emplace_back(other.name);
  bad_input("encoder ", entry.name, " takes samples of one length, and these have several: set ",
            "data.hop, so that samples are windows, or encoder.name to one of ", join(taken));
}

}  // namespace

EncoderFactory encoder_factory(const Configuration& configuration, const Modality& modality) {
  return encoder_factory(configuration, modality.view(), modality.padded());
}

EncoderFactory encoder_factory(const Configuration& configuration, const Shape& sample,
                               bool padded) {
  for (const EncoderEntry& entry : encoders()) {
    if (configuration.is("encoder.name", entry.name)) {
      require_axes(entry, sample);
      if (padded) require_masks(entry);
      return [&entry, configuration, sample](Scope scope) {
        return entry.make(configuration, sample, scope);
      };
    }
  }
  LACUNA_CHECK(false, "encoder.name");
  return {};
}

}  // namespace lacuna
