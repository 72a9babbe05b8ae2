// Recipe: how a stored sample becomes its row of a batch. The loader knows recipes by this
// interface alone; nothing here assumes an image. What a sample means, and so which recipes there
// are for it, is its modality's (modalities/modality.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/host_tensor.h"
#include "base/random.h"
#include "base/shape.h"
#include "data/files/dataset.h"

namespace lacuna {

// One field of a batch: what a row of it looks like. The batch's field is [B] + shape.
struct OutputField {
  std::string name;
  Shape shape;  // of one sample
  DType dtype = DType::f32;
};

// Where a sample lies in one field of the data set, in memory, in native byte order.
struct Extent {
  const void* data = nullptr;
  int64_t length = 1;  // rows of Field::shape: 1, but of samples of several rows
};

// Working memory of one thread, reused from sample to sample; grows to the largest request and
// stays.
class Scratch {
 public:
  // At least `count` floats, 64-byte aligned, contents undefined; valid until the next call.
  float* floats(size_t count) {
    if (!memory_.defined() || memory_.bytes() < count * sizeof(float))
      memory_ = HostTensor(DType::f32, {static_cast<int64_t>(count)});
    return memory_.as<float>().data();
  }

 private:
  HostTensor memory_;
};

class Recipe {
 public:
  virtual ~Recipe() = default;
  // The fields of a batch that make() writes, in this order.
  virtual const std::vector<OutputField>& outputs() const = 0;
  // Makes one row. `stored`: the sample in each field of the data set, of which a recipe reads the
  // first ones. `to`: one pointer per field of outputs(), to shape.count() elements of its dtype,
  // aligned for that dtype, every element of which is written. Thread-safe. The result is a
  // function of the sample, the key and the recipe only. Throws bad_input when key.epoch is out of
  // range.
  virtual void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
                    Scratch& scratch) const = 0;
};

using RecipePointer = std::shared_ptr<const Recipe>;

// The recipe of one part of the samples.
struct RecipeOfPart {
  std::string name;
  RecipePointer recipe;
};

// Of samples of several parts: the fields that `first` makes of the data set's first field, and of
// the further parts, which are its next fields in their order, "<name>.<field>". All that is drawn
// for a part follows from its name too (stream_seed), so that parts are not augmented alike.
class JoinedRecipe : public Recipe {
 public:
  JoinedRecipe(RecipePointer first, std::vector<RecipeOfPart> further);
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override;
  // The first has no name.
  const std::vector<RecipeOfPart>& parts() const { return parts_; }

 private:
  std::vector<RecipeOfPart> parts_;
  std::vector<OutputField> outputs_;
};
RecipePointer joined(RecipePointer first, std::vector<RecipeOfPart> further);

// The fields of the data set as they are. None of them may differ in length.
class StoredFields : public Recipe {
 public:
  explicit StoredFields(const Dataset& dataset);
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent> stored, const SampleKey& key, std::span<void* const> to,
            Scratch& scratch) const override;

 private:
  std::vector<OutputField> outputs_;
};

// A label as the class that it is. bad_input where it is no whole number.
int64_t class_of(double label, int64_t sample, const std::string& path);

// The field "label" of a data set that has one; bad_input unless it is one number for each sample.
const Field& label_of(const Dataset& dataset);

// What the recipe makes, and "label", int64 []: the field "label" of the data set, where it has
// one. bad_input unless that is one number for each sample; make() throws it where it is no class.
RecipePointer with_label(const Dataset& dataset, RecipePointer recipe);

// What the recipe makes, and "label", int64 `row`: that of each sample among `labels` [N, row],
// which must outlive the recipe.
RecipePointer with_labels(RecipePointer recipe, const Shape& row,
                          const std::vector<int64_t>& labels);

}  // namespace lacuna
