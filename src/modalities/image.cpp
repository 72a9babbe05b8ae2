#include "modalities/image.h"

#include <algorithm>
#include <cstring>

#include "augment/image/drawn_views.h"
#include "comm/agree.h"
#include "data/options.h"
#include "modalities/counted.h"
#include "ops/views.h"

namespace lacuna {

namespace {

constexpr ArrayKind image_kind = {.plural = "images",
                                  .axes = "a height, a width and perhaps channels",
                                  .rank = 3,
                                  .earlier_channels = usual_channels,
                                  .usual_channels = image_channels,
                                  .usual_range = ArrayOptions::RangeFrom::type};

// bad_input where samples may as well be signals and nobody said that they are images.
void ask_for_kind(const ModalityParts& parts) {
  constexpr int64_t most_channels = 4;  // of what would be taken for a signal
  // A run that was begun goes on, and is used, as it was.
  if (parts.known || parts.configuration.is_set("data.kind")) return;
  if (!parts.configuration.is("data.channels", "auto")) return;
  const Field& field =
      parts.dataset.fields()[static_cast<size_t>(parts.dataset.field(sample_field))];
  const Shape& shape = field.shape;
  if (shape.rank() != 2 || std::min(shape[0], shape[1]) > most_channels) return;
  bad_input("samples of ", field.path, " have the shape ", shape, ", which may be signals of ",
            counted(std::min(shape[0], shape[1]), "channel"),
            " or images without an axis of channels: set data.kind to \"signal\" or to \"image\"",
            parts.dataset.files().size() > 1
                ? "; or, where each file is one sample, data.samples to \"file\""
                : "");
}

// The sample as it is stored, and what is drawn: the host's half of an augmentation. The
// interpretation keeps the order.
class DrawnRecipe final : public Recipe {
 public:
  DrawnRecipe(const Interpretation& values, std::shared_ptr<const Recipe> whole,
              const DrawnViews& drawn)
      : bytes_(static_cast<size_t>(values.shape().count()) * size_of(values.stored())),
        whole_(std::move(whole)),
        drawn_(drawn),
        outputs_(drawn.inputs(values.stored())) {}
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch&) const override {
    std::memcpy(to[0], stored[0].data, bytes_);
    drawn_.draw(key, to.subspan(1));
  }

 private:
  size_t bytes_;         // of a sample
  RecipePointer whole_;  // which owns `drawn_`
  const DrawnViews& drawn_;
  std::vector<OutputField> outputs_;
};

}  // namespace

std::vector<Key> image_keys() {
  std::vector<Key> keys = augment_keys();
  keys.push_back(
      key::boolean("data.colours", "auto",
                   "Whether the channels are colours, which jitter and greyscale mix; of others "
                   "jitter changes brightness and contrast of each, and greyscale nothing. auto: "
                   "three real channels of one range are.")
          .or_word("auto"));
  return keys;
}

namespace {

bool are_colours(const ModalityParts& parts, const ArrayValues& values) {
  const auto said = [](const Configuration& configuration) -> std::optional<bool> {
    if (configuration.is("data.colours", "auto")) return std::nullopt;
    return configuration.boolean("data.colours");
  };
  if (const auto here = said(parts.configuration)) return *here;
  if (parts.known) {
    const std::vector<double> found = parts.known("colours");
    return found.empty() || found[0] != 0;  // earlier runs mixed any channels
  }
  const Field& field = parts.dataset.fields()[0];
  const int64_t channels = values.shape()[-1];
  return channels == 1 ||
         (channels == 3 && !field.complex && !values.interpretation().has_own_ranges());
}

}  // namespace

std::unique_ptr<Modality> make_image(const ModalityParts& parts) {
  agreed(parts.communicator, [&] { ask_for_kind(parts); });
  ArrayValues values(parts, image_kind);
  return agreed(parts.communicator, [&] {
    AugmentOptions augment = augment_options(parts.configuration);
    augment.colours = are_colours(parts, values);
    return std::make_unique<ImageModality>(std::move(values), augment);
  });
}

ImageModality::ImageModality(ArrayValues values, const AugmentOptions& augment)
    : values_(std::move(values)),
      augment_(augment),
      normalisation_{values_.mean_as_float(), values_.std_as_float()},
      view_(values_.shape()) {
  if (augment.size == 0) return;
  view_.set(0, augment.size);
  view_.set(1, augment.size);
}

std::string ImageModality::description() const {
  return concat(sample()[0], " x ", sample()[1], " pixels, ", values_.description());
}

Facts ImageModality::facts() const {
  Facts all = values_.facts();
  if (!values_.of_earlier_run()) all.push_back({"colours", {augment_.colours ? 1.0 : 0.0}});
  return all;
}

std::vector<std::string> ImageModality::notes() const {
  if (augment_.colours) return {};
  return {concat("the ", sample()[-1],
                 " channels are read as no colours (data.colours): jitter changes brightness and "
                 "contrast of each, and greyscale nothing")};
}

RecipePointer ImageModality::recipe(std::unique_ptr<Augmentation> augmentation) const {
  return array_recipe(values_.interpretation(), std::move(augmentation));
}

RecipePointer ImageModality::plain() const {
  return recipe(plain_view(sample(), augment_.size, normalisation_));
}

RecipePointer ImageModality::views(int count) const {
  return recipe(image_views(sample(), count, augment_, normalisation_));
}

RecipePointer ImageModality::masked() const {
  const RecipePointer masked = recipe(masked_view(sample(), augment_, normalisation_));
  if (!values_.interpretation().replaces()) return masked;
  return with_counted(
      masked, array_recipe(values_.interpretation().presence(), geometry_view(sample(), augment_)));
}

RecipePointer ImageModality::rotated() const {
  return recipe(rotated_view(sample(), augment_, normalisation_));
}

std::optional<Halves> ImageModality::halves(const RecipePointer& recipe,
                                            const Device& device) const {
  const Interpretation& values = values_.interpretation();
  if (!values.keeps_order()) return std::nullopt;
  const DrawnViews* drawn = augmentation_of(*recipe).drawn();
  const bool jitters_each = !augment_.colours && augment_.jitter[1] > 0;  // on the host alone
  if (device.reads_host_memory() || drawn == nullptr || jitters_each || values.as_they_are() ||
      !is_stored_view_type(values.stored()) ||
      device.find(make_views_operation.name, values.stored()) == nullptr)
    return std::nullopt;
  return Halves{.host = std::make_shared<DrawnRecipe>(values, recipe, *drawn),
                .device = [views = drawn->views(values.low(), values.high())](const Fields& fields,
                                                                              DType compute) {
                  return with_views(fields, views, compute);
                }};
}

}  // namespace lacuna
