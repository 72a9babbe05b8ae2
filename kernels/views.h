// Views of images, made from what was drawn for them on the host. F: float types.
//
//   make_views     in   sample u8, u16 or i16 [B, H, W, C], C <= max_view_channels (ViewAttributes)
//                       draws u8 [B, sizeof(ViewDraws)]: a ViewDraws of each sample
//                  out  view F [B, h, w, C], as augment/image/view.h makes it on the host: box
//                       resized, mirrored; jitter, grey, blur, solarise, noise, a dropped channel;
//                       normalised; rows and columns exchanged if asked
#pragma once

#include <cstdint>

#include "base/dtype.h"
#include "base/random.h"

namespace lacuna {

constexpr int max_view_channels = 4;

// Types of samples that make_views takes.
constexpr bool is_stored_view_type(DType dtype) {
  return dtype == DType::u8 || dtype == DType::u16 || dtype == DType::i16;
}

// Where the view lies in the sample. The box is resized to the view's size, then mirrored, then (if
// transposed) rows and columns are exchanged; transposed views are square.
struct CropPlacement {
  int64_t top = 0, left = 0, height = 0, width = 0;  // pixels of the sample
  bool flip_x = false, flip_y = false, transposed = false;
};

// What was drawn for one view of one sample.
struct ViewDraws {
  enum Jitter : int32_t { none = -1, brightness, contrast, saturation, hue };

  CropPlacement box;
  Jitter jitter[4] = {none, none, none, none};  // in the order in which they happen
  float factors[4] = {};                        // of each of `jitter`; hue: a turn of the circle
  double blur = 0;                              // sigma in pixels; 0: none
  bool grey = false, solarise = false, noise = false;
  int32_t dropped = -1;  // channel
  float noise_sigma = 0;
  uint32_t noise_key[2] = {};      // Philox's inputs for the first 16 values (base/random.h)
  uint32_t noise_counter[4] = {};  // the next 16 take the next four blocks' lanes, and so on
};

struct ViewAttributes {
  static constexpr uint64_t id = hash_name("ViewAttributes");
  int64_t blur_radius = 0;  // pixels on either side; 0: no view is blurred
  double solarise_threshold = 0.5;
  double low = 0, high = 1;  // stored numbers that are the values 0 and 1
  float mean[max_view_channels] = {};
  float inverse_std[max_view_channels] = {};
};

}  // namespace lacuna
