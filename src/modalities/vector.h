// Vectors: samples [D], rows of a table, each feature with its own mean and spread.
#pragma once

#include "augment/vector/vector.h"
#include "modalities/array.h"

namespace lacuna {

std::vector<Key> vector_keys();
std::unique_ptr<Modality> make_vector(const ModalityParts& parts);

class VectorModality final : public Modality {
 public:
  // `marginals` [K, D]: K samples, whose features' values may replace those of others.
  VectorModality(ArrayValues values, std::vector<double> marginals, const VectorOptions& augment);

  std::string_view name() const override { return "vector"; }
  std::string description() const override;
  // Those of the values, and "marginals".
  Facts facts() const override;
  std::vector<std::string> warnings() const override { return values_.warnings(); }
  const Shape& sample() const override { return values_.shape(); }
  const Shape& view() const override { return values_.shape(); }

  RecipePointer plain() const override;
  RecipePointer views(int count) const override;
  RecipePointer masked() const override;
  double masked_share() const override;
  Survey survey(SurveyOptions options) const override { return values_.survey(options); }

 private:
  RecipePointer recipe(std::unique_ptr<Augmentation> augmentation) const;

  ArrayValues values_;
  std::vector<double> marginals_;
  VectorOptions augment_;
  Interpretation centred_;  // what views are made of, and features_ is of
  FeatureFacts features_;
};

}  // namespace lacuna
