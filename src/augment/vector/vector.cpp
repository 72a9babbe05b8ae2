#include "augment/vector/vector.h"

#include <algorithm>
#include <cmath>

#include "augment/draw.h"
#include "base/error.h"
#include "base/text.h"
#include "config/configuration.h"

namespace lacuna {

std::vector<Key> vector_augment_keys() {
  return {
      key::numbers("augment.corrupt", "[0, 0.6]",
                   "Share of the features that are replaced by values of other samples, of the "
                   "first view, the second, ...; the last value holds for all further views.")
          .between(0, 1),
      key::number("augment.mask", "0.25", "Share of the features that inpainting hides.")
          .above(0)
          .below(1),
  };
}

VectorOptions vector_augment_options(const Configuration& configuration) {
  VectorOptions options;
  options.corrupt = configuration.numbers("augment.corrupt");
  if (options.corrupt.empty())
    bad_input(configuration.place("augment.corrupt"),
              ": augment.corrupt is empty: give a share, such as [0, 0.6]");
  options.mask = configuration.number("augment.mask");
  return options;
}

namespace {

// Part of every draw: never reuse or renumber.
enum class Transform : uint32_t { choice = 1, value, mask };

// Calls use(feature) for exactly `count` of `features`, each choice as likely as any other (Knuth,
// volume 2, algorithm S).
template <typename Use>
void choose(const TransformDraws& draws, int64_t count, int64_t features, const Use& use) {
  int64_t left = count;
  for (int64_t d = 0; d < features && left > 0; ++d) {
    if (static_cast<int64_t>(
            draws.below(static_cast<uint32_t>(d), static_cast<uint64_t>(features - d))) >= left)
      continue;
    use(d);
    --left;
  }
}

class VectorViews : public Augmentation {
 public:
  VectorViews(const Shape& sample, std::vector<double> corrupt, const FeatureFacts& facts)
      : input_(sample), facts_(facts), corrupt_(std::move(corrupt)) {
    LACUNA_CHECK(sample.rank() == 1 && sample[0] > 0, sample);
    LACUNA_CHECK(facts.mean.size() == static_cast<size_t>(sample[0]));
    rows_ = static_cast<int64_t>(facts.marginals.size()) / sample[0];
    for (size_t view = 0; view < corrupt_.size(); ++view)
      outputs_.push_back({concat("view", view), input_, DType::f32});
  }

  const Shape& input() const override { return input_; }
  const std::vector<OutputField>& outputs() const override { return outputs_; }

  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch&) const override {
    check_epoch(key);
    for (size_t view = 0; view < corrupt_.size(); ++view)
      make(sample, key, view, static_cast<float*>(to[view]));
  }

 protected:
  void normalised(const float* sample, float* to) const {
    for (int64_t d = 0; d < input_[0]; ++d) to[d] = normalised(sample[d], d);
  }
  void add_field(OutputField field) { outputs_.push_back(std::move(field)); }

 private:
  float normalised(float value, int64_t d) const {
    const auto feature = static_cast<size_t>(d);
    return (value - facts_.mean[feature]) / facts_.std[feature];
  }

  void make(const float* sample, const SampleKey& key, size_t view, float* to) const {
    normalised(sample, to);
    const int64_t features = input_[0];
    const auto count = std::llround(corrupt_[view] * static_cast<double>(features));
    if (count == 0) return;
    const auto number = static_cast<uint32_t>(view);
    const TransformDraws choice(key, number, static_cast<uint32_t>(Transform::choice));
    const TransformDraws value(key, number, static_cast<uint32_t>(Transform::value));
    choose(choice, count, features, [&](int64_t d) {
      const auto row =
          static_cast<int64_t>(value.below(static_cast<uint32_t>(d), static_cast<uint64_t>(rows_)));
      to[d] = normalised(facts_.marginals[static_cast<size_t>(row * features + d)], d);
    });
  }

  Shape input_;
  FeatureFacts facts_;
  std::vector<double> corrupt_;  // of each view
  int64_t rows_ = 0;             // of the marginals
  std::vector<OutputField> outputs_;
};

class MaskedVector final : public VectorViews {
 public:
  MaskedVector(const Shape& sample, const VectorOptions& options, const FeatureFacts& facts)
      : VectorViews(sample, {options.corrupt[0]}, facts), has_target_(options.corrupt[0] > 0) {
    if (sample[0] < 2)
      bad_input("samples of one feature cannot be hidden in part: choose another objective.name");
    hidden_ = std::clamp<int64_t>(std::llround(options.mask * static_cast<double>(sample[0])), 1,
                                  sample[0] - 1);
    if (has_target_) add_field({"target", sample, DType::f32});
    add_field({"mask", sample, DType::f32});
  }

  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch& scratch) const override {
    VectorViews::apply(sample, key, to, scratch);
    if (has_target_) normalised(sample, static_cast<float*>(to[1]));
    auto* mask = static_cast<float*>(to.back());
    std::fill_n(mask, input()[0], 0.f);
    choose(TransformDraws(key, 0, static_cast<uint32_t>(Transform::mask), Purpose::mask), hidden_,
           input()[0], [&](int64_t d) { mask[d] = 1; });
  }

 private:
  bool has_target_;
  int64_t hidden_ = 0;  // features
};

}  // namespace

std::unique_ptr<Augmentation> vector_views(const Shape& sample, int views,
                                           const VectorOptions& options,
                                           const FeatureFacts& facts) {
  std::vector<double> corrupt;
  for (size_t view = 0; view < static_cast<size_t>(views); ++view)
    corrupt.push_back(options.corrupt[std::min(view, options.corrupt.size() - 1)]);
  return std::make_unique<VectorViews>(sample, std::move(corrupt), facts);
}

std::unique_ptr<Augmentation> masked_vector(const Shape& sample, const VectorOptions& options,
                                            const FeatureFacts& facts) {
  return std::make_unique<MaskedVector>(sample, options, facts);
}

std::unique_ptr<Augmentation> plain_vector(const Shape& sample, const FeatureFacts& facts) {
  return std::make_unique<VectorViews>(sample, std::vector<double>{0}, facts);
}

}  // namespace lacuna
