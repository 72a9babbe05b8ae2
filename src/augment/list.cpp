#include "augment/list.h"

#include "augment/blur_noise.h"
#include "augment/colour.h"

namespace lacuna {

std::span<const Transform> transforms() {
  static constexpr Transform table[] = {
      {"crop", 1, "crop, crop_ratio", random_crop, nullptr},
      {"flip", 2, "flip", random_flip, nullptr},
      {"vertical_flip", 3, "vertical_flip", random_vertical_flip, nullptr},
      {"turns", 4, "turns", random_turn, nullptr},
      {"jitter", 5, "jitter, jitter_probability", nullptr, random_jitter},
      {"greyscale", 6, "greyscale", nullptr, random_greyscale},
      {"blur", 7, "blur, blur_kernel, blur_sigma", nullptr, random_blur},
      {"solarise", 8, "solarise, solarise_threshold", nullptr, random_solarise},
      {"noise", 9, "noise, noise_sigma", nullptr, random_noise},
      {"channel_drop", 10, "channel_drop", nullptr, random_channel_drop},
  };
  return table;
}

}  // namespace lacuna
