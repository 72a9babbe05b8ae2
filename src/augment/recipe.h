// Recipe: how one decoded sample becomes its row of a batch: views, a label that the transform
// makes, a mask. The loader knows recipes by this interface alone; nothing here assumes an image.
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

namespace lacuna {

// One field of a batch: what a row of it looks like. The batch's field is [B] + shape.
struct OutputField {
  std::string name;
  Shape shape;  // of one sample
  DType dtype = DType::f32;
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

class DrawnViews;  // augment/drawn_views.h

class Recipe {
 public:
  virtual ~Recipe() = default;

  // The same in two halves, the second of which a device can do; nullptr where there are none.
  virtual const DrawnViews* drawn() const { return nullptr; }

  // The sample's shape that the recipe was made for, as data/ delivers it (images: [H, W, C]).
  virtual const Shape& input() const = 0;

  // The fields that apply() writes, in this order.
  virtual const std::vector<OutputField>& outputs() const = 0;

  // Makes one row. `sample`: input().count() floats in [0, 1] (data.range has mapped them),
  // row-major, not changed. `to`: one pointer per field of outputs(), to shape.count() elements of
  // its dtype, aligned for that dtype, every element of which is written. Thread-safe; allocates
  // nothing once `scratch` has grown. The result is a function of the sample, the key and the
  // recipe only. Throws bad_input when key.epoch is out of range.
  virtual void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
                     Scratch& scratch) const = 0;
};

}  // namespace lacuna
