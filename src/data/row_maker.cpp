#include "data/row_maker.h"

#include <cstring>

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

RecipeRows::RecipeRows(const Dataset& dataset, const std::string& field,
                       Interpretation interpretation, std::shared_ptr<const Recipe> recipe)
    : field_(static_cast<size_t>(dataset.field(field))),
      interpretation_(std::move(interpretation)),
      recipe_(std::move(recipe)),
      outputs_(recipe_->outputs()) {
  LACUNA_CHECK(recipe_->input() == interpretation_.shape(), recipe_->input(), " and ",
               interpretation_.shape());
  if (!dataset.has_field("label")) return;
  label_ = dataset.field("label");
  const Field& label = dataset.fields()[static_cast<size_t>(label_)];
  if (label.shape.count() != 1) {
    bad_input("labels of ", label.path, " have the shape ", label.shape,
              "; data.label must name one number for each sample");
  }
  label_dtype_ = label.dtype;
  outputs_.push_back({"label", {}, DType::i64});
}

void RecipeRows::make(std::span<const void* const> stored, const SampleKey& key,
                      std::span<void* const> to, Scratch& scratch) const {
  // The floats of this thread's sample; the recipe has `scratch` for itself.
  thread_local std::vector<float> floats;
  floats.resize(static_cast<size_t>(interpretation_.shape().count()));
  interpretation_.floats(stored[field_], floats.data());
  recipe_->apply(floats.data(), key, to.first(recipe_->outputs().size()), scratch);
  if (label_ < 0) return;
  const void* label = stored[static_cast<size_t>(label_)];
  const int64_t value = label_dtype_ == DType::i64
                            ? *static_cast<const int64_t*>(label)
                            : static_cast<int64_t>(element_value(label, 0, label_dtype_));
  *static_cast<int64_t*>(to.back()) = value;
}

}  // namespace lacuna
