#include "modalities/signal.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "comm/agree.h"
#include "data/options.h"
#include "modalities/counted.h"

namespace lacuna {

namespace {

// Samples of several lengths, whole as they are stored, then the augmentation.
class PaddedRecipe final : public Recipe {
 public:
  PaddedRecipe(const Interpretation& interpretation,
               std::shared_ptr<const SignalAugmentation> augmentation)
      : interpretation_(interpretation), augmentation_(std::move(augmentation)) {}
  const std::vector<OutputField>& outputs() const override { return augmentation_->outputs(); }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override {
    const int64_t length = stored[0].length;
    float* floats = scratch.floats(static_cast<size_t>(length * interpretation_.channels()));
    interpretation_.floats(stored[0].data, floats, length);
    augmentation_->apply(floats, length, key, to);
  }

 private:
  Interpretation interpretation_;
  std::shared_ptr<const SignalAugmentation> augmentation_;
};

constexpr ArrayKind signal_kind = {.plural = "signals",
                                   .axes = "a length and perhaps channels",
                                   .rank = 2,
                                   .earlier_channels = shorter_axis,
                                   .usual_channels = signal_channels,
                                   .usual_range = ArrayOptions::RangeFrom::none};

}  // namespace

std::vector<Key> signal_keys() {
  std::vector<Key> keys = signal_augment_keys();
  for (Key& key : extent_keys()) keys.push_back(std::move(key));
  return keys;
}

std::unique_ptr<Modality> make_signal(const ModalityParts& parts) {
  ArrayValues values(parts, signal_kind);
  return agreed(parts.communicator, [&] {
    const SampleLayout& layout = parts.dataset.layout();
    return std::make_unique<SignalModality>(std::move(values),
                                            signal_augment_options(parts.configuration),
                                            layout.has_extents() && !layout.has_windows());
  });
}

SignalModality::SignalModality(ArrayValues values, const SignalOptions& augment, bool padded)
    : values_(std::move(values)),
      augment_(augment),
      centred_(values_.centred()),
      normalisation_{values_.mean_of_centred(), values_.std_as_float()},
      view_(values_.shape()),
      padded_(padded) {
  if (augment.size > 0) view_.set(0, augment.size);
}

std::string SignalModality::description() const {
  return concat(padded_ ? "up to " : "", counted(sample()[0], "position"), ", ",
                values_.description());
}

RecipePointer SignalModality::recipe(const Interpretation& values,
                                     std::unique_ptr<SignalAugmentation> augmentation) const {
  if (padded_) return std::make_shared<PaddedRecipe>(values, std::move(augmentation));
  return array_recipe(values, std::move(augmentation));
}

RecipePointer SignalModality::plain() const {
  return recipe(centred_, plain_signal(shape(), augment_.size, normalisation_));
}

RecipePointer SignalModality::views(int count) const {
  return recipe(centred_, signal_views(shape(), count, augment_, normalisation_));
}

RecipePointer SignalModality::masked() const {
  const RecipePointer masked = recipe(centred_, masked_signal(shape(), augment_, normalisation_));
  if (!centred_.replaces()) return masked;
  SignalOptions geometry = augment_;  // where the view lies, and nothing else
  geometry.scale = geometry.noise = geometry.channel_drop = geometry.time_mask = 0;
  const auto channels = static_cast<size_t>(sample()[-1]);
  const ChannelNormalisation none{std::vector<float>(channels, 0), std::vector<float>(channels, 1)};
  return with_counted(masked,
                      recipe(centred_.presence(), signal_views(shape(), 1, geometry, none)));
}

double SignalModality::masked_share() const { return exact_share(augment_.mask, view_[0]); }

}  // namespace lacuna
