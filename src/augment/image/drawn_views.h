// Recipes in two halves: the host draws, a device makes the pixels (kernels/views.h). What loads a
// batch then moves samples as they are stored, and a few bytes for each view.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "augment/augmentation.h"
#include "kernels/views.h"
#include "nn/fields.h"

namespace lacuna {

class DrawnViews {
 public:
  static constexpr const char* sample_field = "sample";
  // A field that the device makes.
  struct View {
    std::string name;   // "view0"
    std::string draws;  // "view0.draws": the field that it is made from, beside the sample
    Shape shape;        // of one sample's
    ViewAttributes attributes;
  };
  virtual ~DrawnViews() = default;
  // `low`, `high`: stored numbers that are the values 0 and 1.
  virtual std::vector<View> views(double low, double high) const = 0;
  // What the device gets of a sample: "sample", as it is stored; then the fields of outputs(), in
  // their order, but in the place of each view its draws, uint8 [sizeof(ViewDraws)].
  virtual std::vector<OutputField> inputs(DType stored) const = 0;
  // Writes all of those but the first. Thread-safe, allocates nothing. Throws as
  // Augmentation::apply.
  virtual void draw(const SampleKey& key, std::span<void* const> to) const = 0;
};

// `fields` as loaded, with each view beside its draws. Views are of type `compute`.
Fields with_views(const Fields& fields, std::span<const DrawnViews::View> views, DType compute);

}  // namespace lacuna
