#include "modalities/signal.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "comm/agree.h"
#include "data/options.h"

namespace lacuna {

namespace {

// The shorter axis; bad_input where either may be the channels'.
Channels signal_channels(const Shape& stored) {
  if (stored.rank() < 2) return Channels::none;
  if (stored.rank() > 2) return Channels::last;  // which is refused
  const int64_t first = stored[0], last = stored[-1];
  if (2 * std::min(first, last) > std::max(first, last)) {
    bad_input("samples have the shape ", stored,
              ", and either axis may be the channels': set data.channels to \"first\" or to "
              "\"last\"");
  }
  return first < last ? Channels::first : Channels::last;
}

constexpr ArrayKind signal_kind = {.plural = "signals",
                                   .axes = "a length and perhaps channels",
                                   .rank = 2,
                                   .usual_channels = signal_channels,
                                   .usual_range = ArrayOptions::RangeFrom::none};

}  // namespace

std::vector<Key> signal_keys() {
  std::vector<Key> keys = signal_augment_keys();
  for (Key& key : extent_keys()) keys.push_back(std::move(key));
  return keys;
}

std::unique_ptr<Modality> make_signal(const ModalityParts& parts) {
  agreed(parts.communicator, [&] {
    const SampleLayout& layout = parts.dataset.layout();
    if (layout.has_extents() && !layout.has_windows())
      bad_input(
          "signals of different lengths are not trained on: set data.hop, so that windows of "
          "data.length positions are samples");
  });
  ArrayValues values(parts, signal_kind);
  return agreed(parts.communicator, [&] {
    return std::make_unique<SignalModality>(std::move(values),
                                            signal_augment_options(parts.configuration));
  });
}

SignalModality::SignalModality(ArrayValues values, const SignalOptions& augment)
    : values_(std::move(values)),
      augment_(augment),
      normalisation_{values_.mean_as_float(), values_.std_as_float()},
      view_(values_.shape()) {
  if (augment.size > 0) view_.set(0, augment.size);
}

std::string SignalModality::description() const {
  return concat(counted(sample()[0], "position"), ", ", values_.description());
}

RecipePointer SignalModality::recipe(std::unique_ptr<Augmentation> augmentation) const {
  return array_recipe(values_.interpretation(), std::move(augmentation));
}

RecipePointer SignalModality::plain() const {
  return recipe(plain_signal(sample(), augment_.size, normalisation_));
}

RecipePointer SignalModality::views(int count) const {
  return recipe(signal_views(sample(), count, augment_, normalisation_));
}

RecipePointer SignalModality::masked() const {
  return recipe(masked_signal(sample(), augment_, normalisation_));
}

double SignalModality::masked_share() const { return exact_share(augment_.mask, view_[0]); }

}  // namespace lacuna
