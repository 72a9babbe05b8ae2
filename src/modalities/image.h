// Images: samples [H, W] or [H, W, C] (or [C, H, W]), read as [H, W, C] floats in [0, 1].
#pragma once

#include "augment/image/image.h"
#include "modalities/array.h"

namespace lacuna {

std::vector<Key> image_keys();
std::unique_ptr<Modality> make_image(const ModalityParts& parts);

class ImageModality final : public Modality {
 public:
  // bad_input from its recipes where the options do not fit the samples.
  // `augment.colours` is stored as a fact, but by an earlier run.
  ImageModality(ArrayValues values, const AugmentOptions& augment);

  std::string_view name() const override { return "image"; }
  std::string description() const override;
  Facts facts() const override;
  std::vector<std::string> warnings() const override { return values_.warnings(); }
  std::vector<std::string> notes() const override;
  const Shape& sample() const override { return values_.shape(); }
  const Shape& view() const override { return view_; }

  RecipePointer plain() const override;
  RecipePointer views(int count) const override;
  // The target is the view before colour, blur and noise.
  RecipePointer masked() const override;
  double masked_share() const override { return augment_.mask; }
  RecipePointer rotated() const override;
  std::optional<Halves> halves(const RecipePointer& recipe, const Device& device) const override;
  Survey survey(SurveyOptions options) const override { return values_.survey(options); }

 private:
  RecipePointer recipe(std::unique_ptr<Augmentation> augmentation) const;

  ArrayValues values_;
  AugmentOptions augment_;
  Normalisation normalisation_;
  Shape view_;
};

}  // namespace lacuna
