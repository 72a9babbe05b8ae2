#include "modalities/counted.h"

#include <algorithm>

#include "base/error.h"

namespace lacuna {

namespace {

size_t place_of(const std::vector<OutputField>& fields, const std::string& name) {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const OutputField& field) { return field.name == name; });
  LACUNA_CHECK(found != fields.end(), name);
  return static_cast<size_t>(found - fields.begin());
}

class CountedRecipe final : public Recipe {
 public:
  CountedRecipe(RecipePointer masked, RecipePointer present)
      : masked_(std::move(masked)),
        present_(std::move(present)),
        outputs_(masked_->outputs()),
        mask_(place_of(outputs_, "mask")) {
    const OutputField& view = present_->outputs()[0];
    LACUNA_CHECK(view.name == "view0" && view.shape == outputs_[0].shape, view.shape);
    channels_ = view.shape.count() / outputs_[mask_].shape.count();
    outputs_.push_back({"counted", view.shape, DType::f32});
  }

  const std::vector<OutputField>& outputs() const override { return outputs_; }

  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override {
    masked_->make(stored, key, to.first(to.size() - 1), scratch);
    thread_local std::vector<std::vector<float>> memory;
    memory.resize(present_->outputs().size());
    std::vector<void*> fields;
    for (size_t f = 0; f < memory.size(); ++f) {
      memory[f].resize(static_cast<size_t>(present_->outputs()[f].shape.count()));
      fields.push_back(memory[f].data());
    }
    present_->make(stored, key, fields, scratch);
    constexpr float nearly_all = 0.999f;  // of the numbers that one of the view is made of
    const auto* mask = static_cast<const float*>(to[mask_]);
    auto* counted = static_cast<float*>(to.back());
    for (int64_t i = 0; i < outputs_.back().shape.count(); ++i) {
      const bool there = memory[0][static_cast<size_t>(i)] >= nearly_all;
      counted[i] = there && mask[i / channels_] != 0 ? 1.f : 0.f;
    }
  }

 private:
  RecipePointer masked_, present_;
  std::vector<OutputField> outputs_;
  size_t mask_;
  int64_t channels_ = 1;
};

}  // namespace

RecipePointer with_counted(RecipePointer masked, RecipePointer present) {
  return std::make_shared<CountedRecipe>(std::move(masked), std::move(present));
}

}  // namespace lacuna
