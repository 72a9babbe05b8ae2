#include "augment/image/options.h"

#include <algorithm>

#include "config/configuration.h"

namespace lacuna {

std::vector<Key> augment_keys() {
  return {
      key::integer("augment.size", "0",
                   "Edge of the square views; 0 keeps the sample's own height and width.")
          .unit("pixels")
          .min(0)
          .max(4096),
      key::numbers("augment.crop", "[0.2, 1.0]",
                   "Least and largest share of the sample's area that a random crop shows; [1, 1] "
                   "is no random crop.")
          .length(2)
          .above(0)
          .max(1),
      key::numbers("augment.crop_ratio", "[0.75, 1.3333333333333333]",
                   "Least and largest width / height of a random crop, relative to the view's own.")
          .length(2)
          .between(0.05, 20),
      key::number("augment.flip", "0.5", "Probability of a horizontal flip.").between(0, 1),
      key::number("augment.vertical_flip", "0", "Probability of a vertical flip.").between(0, 1),
      key::number("augment.turns", "0",
                  "Probability of a turn by 0, 90, 180 or 270 degrees, drawn evenly.")
          .between(0, 1),
      key::numbers("augment.jitter", "[0.4, 0.4, 0.4, 0]",
                   "Strength of the jitter of brightness, contrast, saturation (factors from 1 - s "
                   "to 1 + s) and hue (turns from -s to s of the circle, at most 0.5; three "
                   "channels only).")
          .length(4)
          .min(0),
      key::number("augment.jitter_probability", "0.8", "Probability of the jitter.").between(0, 1),
      key::number("augment.greyscale", "0.2",
                  "Probability that all channels become the pixel's grey; without effect on one "
                  "channel.")
          .between(0, 1),
      key::numbers("augment.blur", "[0]",
                   "Probability of a Gaussian blur, of the first view, the second, ...; the last "
                   "value holds for all further views.")
          .between(0, 1),
      key::integer("augment.blur_kernel", "0",
                   "Width of the blur's kernel, odd; 0 is the odd number nearest to a tenth of the "
                   "view's edge, at least 3.")
          .unit("pixels")
          .between(0, 255),
      key::numbers("augment.blur_sigma", "[0.1, 2.0]",
                   "Least and largest standard deviation of the blur.")
          .unit("pixels")
          .length(2)
          .between(0.01, 100),
      key::numbers("augment.solarise", "[0]",
                   "Probability of solarising, of the first view, the second, ...; the last value "
                   "holds for all further views.")
          .between(0, 1),
      key::number("augment.solarise_threshold", "0.5",
                  "Solarising turns values x from here on into 1 - x.")
          .between(0, 1),
      key::number("augment.noise", "0", "Probability of Gaussian noise.").between(0, 1),
      key::numbers("augment.noise_sigma", "[0, 0.05]",
                   "Least and largest standard deviation of the noise, as a share of the range of "
                   "values.")
          .length(2)
          .between(0, 10),
      key::number("augment.channel_drop", "0",
                  "Probability that one channel becomes its mean; two channels or more.")
          .between(0, 1),
      key::number("augment.mask", "0.25", "Share of the pixels that inpainting hides.")
          .above(0)
          .below(1),
      key::numbers("augment.mask_edge", "[0.1, 0.4]",
                   "Least and largest edges of the hidden rectangles, as a share of the view's.")
          .length(2)
          .above(0)
          .max(1),
  };
}

AugmentOptions augment_options(const Configuration& configuration) {
  const auto number = [&](std::string_view name) { return configuration.number(name); };
  AugmentOptions options;
  options.size = configuration.integer("augment.size");
  options.crop = configuration.interval("augment.crop");
  options.crop_ratio = configuration.interval("augment.crop_ratio");
  options.flip = number("augment.flip");
  options.vertical_flip = number("augment.vertical_flip");
  options.turns = number("augment.turns");
  const std::vector<double>& jitter = configuration.numbers("augment.jitter");
  std::copy_n(jitter.begin(), 4, options.jitter.begin());
  if (jitter[3] > 0.5)
    bad_input(configuration.place("augment.jitter"), ": augment.jitter turns the hue by ",
              jitter[3],
              " of the circle, and half a turn reaches every hue; set its fourth value to 0.5 or "
              "less");
  options.jitter_probability = number("augment.jitter_probability");
  options.greyscale = number("augment.greyscale");
  options.blur = configuration.numbers("augment.blur");
  options.blur_kernel = configuration.integer("augment.blur_kernel");
  if (options.blur_kernel > 0 && options.blur_kernel % 2 == 0)
    bad_input(configuration.place("augment.blur_kernel"),
              ": augment.blur_kernel = ", options.blur_kernel, " is even and has no middle; use ",
              options.blur_kernel + 1);
  options.blur_sigma = configuration.interval("augment.blur_sigma");
  options.solarise = configuration.numbers("augment.solarise");
  options.solarise_threshold = number("augment.solarise_threshold");
  options.noise = number("augment.noise");
  options.noise_sigma = configuration.interval("augment.noise_sigma");
  options.channel_drop = number("augment.channel_drop");
  options.mask = number("augment.mask");
  options.mask_edge = configuration.interval("augment.mask_edge");
  return options;
}

}  // namespace lacuna
