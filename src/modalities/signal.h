// Signals: samples [L], [C, L] or [L, C], read as [L, C] floats, values as they are unless
// data.range says otherwise. Of samples of several lengths L is data.length, to which they are cut
// or padded, and each view has its mask.
#pragma once

#include "augment/signal/signal.h"
#include "modalities/array.h"

namespace lacuna {

std::vector<Key> signal_keys();
std::unique_ptr<Modality> make_signal(const ModalityParts& parts);

class SignalModality final : public Modality {
 public:
  SignalModality(ArrayValues values, const SignalOptions& augment, bool padded = false);

  std::string_view name() const override { return "signal"; }
  std::string description() const override;
  Facts facts() const override { return values_.facts(); }
  std::vector<std::string> warnings() const override { return values_.warnings(); }
  const Shape& sample() const override { return values_.shape(); }
  const Shape& view() const override { return view_; }
  bool padded() const override { return padded_; }

  RecipePointer plain() const override;
  RecipePointer views(int count) const override;
  RecipePointer masked() const override;
  double masked_share() const override;
  Survey survey(SurveyOptions options) const override { return values_.survey(options); }

 private:
  RecipePointer recipe(const Interpretation& values,
                       std::unique_ptr<SignalAugmentation> augmentation) const;
  SignalShape shape() const { return {sample(), padded_}; }

  ArrayValues values_;
  SignalOptions augment_;
  Interpretation centred_;  // what views are made of, and normalisation_ is of
  ChannelNormalisation normalisation_;
  Shape view_;
  bool padded_;
};

}  // namespace lacuna
