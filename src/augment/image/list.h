// The one table of transforms, in the order in which they are applied to a view.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "augment/image/geometry.h"

namespace lacuna {

struct Transform {
  std::string_view name;
  uint32_t id;            // part of every draw: never reuse or renumber; below 64
  std::string_view keys;  // the keys augment.* that it reads
  // One of the two: what is drawn of where the view lies in its sample, or of a change of its
  // pixels.
  void (*place)(const ViewSpec&, const TransformDraws&, CropPlacement&);
  void (*draw)(const ViewSpec&, const TransformDraws&, ViewDraws&);
  // The change, for those that draw one.
  void (*change)(const ViewSpec&, const ViewDraws&, WorkImage&, float* scratch);
};

std::span<const Transform> transforms();

// Draws of recipes that are no transform of the table share its numbers.
inline constexpr uint32_t rotation_label_id = 32;
inline constexpr uint32_t mask_id = 33;

}  // namespace lacuna
