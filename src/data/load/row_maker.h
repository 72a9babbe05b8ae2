// RowMaker: how one stored sample becomes its row of a batch.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "augment/recipe.h"
#include "data/files/dataset.h"
#include "data/files/interpretation.h"

namespace lacuna {

class RowMaker {
 public:
  virtual ~RowMaker() = default;
  // The fields of a batch that make() writes, in this order.
  virtual const std::vector<OutputField>& outputs() const = 0;
  // `stored`: one pointer per field of the data set, to this sample in native byte order. `to`: one
  // pointer per field of outputs(). Thread-safe.
  virtual void make(std::span<const void* const> stored, const SampleKey& key,
                    std::span<void* const> to, Scratch& scratch) const = 0;
};

// The fields of the data set as they are.
class StoredRows : public RowMaker {
 public:
  explicit StoredRows(const Dataset& dataset);
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const void* const> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override;

 private:
  std::vector<OutputField> outputs_;
};

// A label as the class that it is. bad_input where it is no whole number.
int64_t class_of(double label, int64_t sample, const std::string& path);

// The field "label" of a data set that has one, as int64 [].
class Labels {
 public:
  explicit Labels(const Dataset& dataset);
  void add_to(std::vector<OutputField>& outputs) const;
  // Writes the last of `to`, where there is a label. bad_input where it is no whole number.
  void make(std::span<const void* const> stored, const SampleKey& key,
            std::span<void* const> to) const;

 private:
  int field_ = -1;
  std::string path_;
  DType dtype_ = DType::i64;
};

// What a recipe makes of one field, and the label.
class RecipeRows : public RowMaker {
 public:
  RecipeRows(const Dataset& dataset, const std::string& field, Interpretation interpretation,
             std::shared_ptr<const Recipe> recipe);
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const void* const> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override;

 private:
  size_t field_;
  Interpretation interpretation_;
  std::shared_ptr<const Recipe> recipe_;
  Labels labels_;
  std::vector<OutputField> outputs_;
};

// What a device makes a recipe's views from (Recipe::drawn, which is there): the sample as it is
// stored, what is drawn, and the label. The interpretation keeps the order.
class DrawnRows : public RowMaker {
 public:
  DrawnRows(const Dataset& dataset, const std::string& field, const Interpretation& interpretation,
            std::shared_ptr<const Recipe> recipe);
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const void* const> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override;

 private:
  size_t field_;
  size_t bytes_;  // of a sample
  std::shared_ptr<const Recipe> recipe_;
  Labels labels_;
  std::vector<OutputField> outputs_;
};

}  // namespace lacuna
