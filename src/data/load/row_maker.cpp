#include "data/load/row_maker.h"

#include <cmath>
#include <cstring>

#include "augment/drawn_views.h"
#include "base/error.h"

namespace lacuna {

StoredRows::StoredRows(const Dataset& dataset) {
  for (const Field& field : dataset.fields()) {
    outputs_.push_back({field.name, field.shape, field.dtype});
  }
}

void StoredRows::make(std::span<const void* const> stored, const SampleKey&,
                      std::span<void* const> to, Scratch&) const {
  for (size_t f = 0; f < outputs_.size(); ++f) {
    const auto bytes = static_cast<size_t>(outputs_[f].shape.count()) * size_of(outputs_[f].dtype);
    std::memcpy(to[f], stored[f], bytes);
  }
}

int64_t class_of(double label, int64_t sample, const std::string& path) {
  constexpr double most = 0x1p53;  // up to which doubles hold every whole number
  if (std::abs(label) <= most && label == std::trunc(label)) return static_cast<int64_t>(label);
  bad_input("the label of sample ", sample, " in ", path, " is ", label,
            ", and classes are whole numbers: give a column of classes, or none, and copy these "
            "numbers beside the representations with embed.copy");
}

Labels::Labels(const Dataset& dataset) {
  if (!dataset.has_field("label")) return;
  field_ = dataset.field("label");
  const Field& label = dataset.fields()[static_cast<size_t>(field_)];
  if (label.shape.count() != 1) {
    bad_input("labels of ", label.path, " have the shape ", label.shape,
              "; data.label must name one number for each sample");
  }
  dtype_ = label.dtype;
  path_ = label.path;
}

void Labels::add_to(std::vector<OutputField>& outputs) const {
  if (field_ >= 0) outputs.push_back({"label", {}, DType::i64});
}

void Labels::make(std::span<const void* const> stored, const SampleKey& key,
                  std::span<void* const> to) const {
  if (field_ < 0) return;
  const void* label = stored[static_cast<size_t>(field_)];
  *static_cast<int64_t*>(to.back()) =
      dtype_ == DType::i64
          ? *static_cast<const int64_t*>(label)
          : class_of(element_value(label, 0, dtype_), static_cast<int64_t>(key.sample), path_);
}

RecipeRows::RecipeRows(const Dataset& dataset, const std::string& field,
                       Interpretation interpretation, std::shared_ptr<const Recipe> recipe)
    : field_(static_cast<size_t>(dataset.field(field))),
      interpretation_(std::move(interpretation)),
      recipe_(std::move(recipe)),
      labels_(dataset),
      outputs_(recipe_->outputs()) {
  LACUNA_CHECK(recipe_->input() == interpretation_.shape(), recipe_->input(), " and ",
               interpretation_.shape());
  labels_.add_to(outputs_);
}

void RecipeRows::make(std::span<const void* const> stored, const SampleKey& key,
                      std::span<void* const> to, Scratch& scratch) const {
  // The floats of this thread's sample; the recipe has `scratch` for itself.
  thread_local std::vector<float> floats;
  floats.resize(static_cast<size_t>(interpretation_.shape().count()));
  interpretation_.floats(stored[field_], floats.data());
  recipe_->apply(floats.data(), key, to.first(recipe_->outputs().size()), scratch);
  labels_.make(stored, key, to);
}

DrawnRows::DrawnRows(const Dataset& dataset, const std::string& field,
                     const Interpretation& interpretation, std::shared_ptr<const Recipe> recipe)
    : field_(static_cast<size_t>(dataset.field(field))),
      bytes_(static_cast<size_t>(interpretation.shape().count()) *
             size_of(interpretation.stored())),
      recipe_(std::move(recipe)),
      labels_(dataset),
      outputs_(recipe_->drawn()->inputs(interpretation.stored())) {
  LACUNA_CHECK(interpretation.keeps_order() && recipe_->input() == interpretation.shape());
  labels_.add_to(outputs_);
}

void DrawnRows::make(std::span<const void* const> stored, const SampleKey& key,
                     std::span<void* const> to, Scratch&) const {
  std::memcpy(to[0], stored[field_], bytes_);
  recipe_->drawn()->draw(key, to.subspan(1, recipe_->outputs().size()));
  labels_.make(stored, key, to);
}

}  // namespace lacuna
