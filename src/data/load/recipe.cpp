#include "data/load/recipe.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "data/files/decode.h"

namespace lacuna {

JoinedRecipe::JoinedRecipe(RecipePointer first, std::vector<RecipeOfPart> further)
    : parts_(std::move(further)) {
  parts_.insert(parts_.begin(), {"", std::move(first)});
  for (const RecipeOfPart& part : parts_) {
    for (OutputField field : part.recipe->outputs()) {
      if (!part.name.empty()) field.name = part.name + "." + field.name;
      outputs_.push_back(std::move(field));
    }
  }
}

void JoinedRecipe::make(std::span<const Extent> stored, const SampleKey& key,
                        std::span<void* const> to, Scratch& scratch) const {
  LACUNA_CHECK(stored.size() >= parts_.size(), "a sample of ", stored.size(), " fields has ",
               parts_.size(), " parts");
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Recipe& recipe = *parts_[i].recipe;
    const size_t count = recipe.outputs().size();
    SampleKey of_part = key;
    of_part.seed = stream_seed(key.seed, parts_[i].name);
    recipe.make(stored.subspan(i), of_part, to.first(count), scratch);
    to = to.subspan(count);
  }
}

RecipePointer joined(RecipePointer first, std::vector<RecipeOfPart> further) {
  return std::make_shared<JoinedRecipe>(std::move(first), std::move(further));
}

StoredFields::StoredFields(const Dataset& dataset) {
  for (const Field& field : dataset.fields()) {
    outputs_.push_back({field.name, field.shape, field.dtype});
  }
}

void StoredFields::make(std::span<const Extent> stored, const SampleKey&, std::span<void* const> to,
                        Scratch&) const {
  for (size_t f = 0; f < outputs_.size(); ++f) {
    const auto bytes = static_cast<size_t>(outputs_[f].shape.count()) * size_of(outputs_[f].dtype);
    std::memcpy(to[f], stored[f].data, bytes);
  }
}

int64_t class_of(double label, int64_t sample, const std::string& path) {
  constexpr double most = 0x1p53;  // up to which doubles hold every whole number
  if (std::abs(label) <= most && label == std::trunc(label)) return static_cast<int64_t>(label);
  bad_input("the label of sample ", sample, " in ", path, " is ", label,
            ", and classes are whole numbers: give a column of classes, or none, and copy these "
            "numbers beside the representations with embed.copy");
}

const Field& label_of(const Dataset& dataset) {
  const Field& label = dataset.fields()[static_cast<size_t>(dataset.field("label"))];
  if (label.shape.count() != 1) {
    bad_input("labels of ", label.path, " have the shape ", label.shape,
              "; data.label must name one number for each sample");
  }
  return label;
}

namespace {

class Labelled final : public Recipe {
 public:
  Labelled(const Dataset& dataset, RecipePointer recipe)
      : recipe_(std::move(recipe)),
        field_(static_cast<size_t>(dataset.field("label"))),
        outputs_(recipe_->outputs()) {
    const Field& label = label_of(dataset);
    dtype_ = label.dtype;
    path_ = label.path;
    outputs_.push_back({"label", {}, DType::i64});
  }

  const std::vector<OutputField>& outputs() const override { return outputs_; }

  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override {
    recipe_->make(stored, key, to.first(to.size() - 1), scratch);
    const void* label = stored[field_].data;
    *static_cast<int64_t*>(to.back()) =
        dtype_ == DType::i64
            ? *static_cast<const int64_t*>(label)
            : class_of(element_value(label, 0, dtype_), static_cast<int64_t>(key.sample), path_);
  }

 private:
  RecipePointer recipe_;
  size_t field_;
  std::vector<OutputField> outputs_;
  std::string path_;
  DType dtype_ = DType::i64;
};

// Labels that are in memory.
class WithLabels final : public Recipe {
 public:
  WithLabels(RecipePointer recipe, const Shape& row, const std::vector<int64_t>& labels)
      : recipe_(std::move(recipe)),
        outputs_(recipe_->outputs()),
        width_(static_cast<size_t>(row.count())),
        labels_(labels) {
    outputs_.push_back({"label", row, DType::i64});
  }

  const std::vector<OutputField>& outputs() const override { return outputs_; }

  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override {
    recipe_->make(stored, key, to.first(to.size() - 1), scratch);
    const int64_t* const label = labels_.data() + key.sample * width_;
    std::copy_n(label, width_, static_cast<int64_t*>(to.back()));
  }

 private:
  RecipePointer recipe_;
  std::vector<OutputField> outputs_;
  size_t width_;
  const std::vector<int64_t>& labels_;
};

}  // namespace

RecipePointer with_labels(RecipePointer recipe, const Shape& row,
                          const std::vector<int64_t>& labels) {
  return std::make_shared<WithLabels>(std::move(recipe), row, labels);
}

RecipePointer with_label(const Dataset& dataset, RecipePointer recipe) {
  if (!dataset.has_field("label")) return recipe;
  return std::make_shared<Labelled>(dataset, std::move(recipe));
}

}  // namespace lacuna
