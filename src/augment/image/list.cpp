#include "augment/image/list.h"

#include "augment/image/blur_noise.h"
#include "augment/image/colour.h"

namespace lacuna {

std::span<const Transform> transforms() {
  static constexpr Transform table[] = {
      {"crop", 1, "crop, crop_ratio", random_crop, nullptr, nullptr},
      {"flip", 2, "flip", random_flip, nullptr, nullptr},
      {"vertical_flip", 3, "vertical_flip", random_vertical_flip, nullptr, nullptr},
      {"turns", 4, "turns", random_turn, nullptr, nullptr},
      {"jitter", 5, "jitter, jitter_probability", nullptr, draw_jitter, apply_jitter},
      {"greyscale", 6, "greyscale", nullptr, draw_greyscale, apply_greyscale},
      {"blur", 7, "blur, blur_kernel, blur_sigma", nullptr, draw_blur, apply_blur},
      {"solarise", 8, "solarise, solarise_threshold", nullptr, draw_solarise, apply_solarise},
      {"noise", 9, "noise, noise_sigma", nullptr, draw_noise, apply_noise},
      {"channel_drop", 10, "channel_drop", nullptr, draw_channel_drop, apply_channel_drop},
  };
  return table;
}

}  // namespace lacuna
