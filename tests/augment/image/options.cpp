#include "augment/image/options.h"

#include <catch2/catch.hpp>

#include "config/configuration.h"

using namespace lacuna;

namespace {

Configuration configured(const std::string& text) {
  Schema schema;
  schema.add(augment_keys());
  return Configuration::from_text(text, schema, "a.toml");
}

std::string message_of(const std::string& text) {
  try {
    augment_options(configured(text));
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("augment keys default to the defaults of the options") {
  const AugmentOptions from_keys = augment_options(configured(""));
  const AugmentOptions defaults;
  CHECK(from_keys.size == defaults.size);
  CHECK(from_keys.crop == defaults.crop);
  CHECK(from_keys.crop_ratio == defaults.crop_ratio);
  CHECK(from_keys.flip == defaults.flip);
  CHECK(from_keys.vertical_flip == defaults.vertical_flip);
  CHECK(from_keys.turns == defaults.turns);
  CHECK(from_keys.jitter == defaults.jitter);
  CHECK(from_keys.jitter_probability == defaults.jitter_probability);
  CHECK(from_keys.greyscale == defaults.greyscale);
  CHECK(from_keys.blur == defaults.blur);
  CHECK(from_keys.blur_kernel == defaults.blur_kernel);
  CHECK(from_keys.blur_sigma == defaults.blur_sigma);
  CHECK(from_keys.solarise == defaults.solarise);
  CHECK(from_keys.solarise_threshold == defaults.solarise_threshold);
  CHECK(from_keys.noise == defaults.noise);
  CHECK(from_keys.noise_sigma == defaults.noise_sigma);
  CHECK(from_keys.channel_drop == defaults.channel_drop);
  CHECK(from_keys.mask == defaults.mask);
  CHECK(from_keys.mask_edge == defaults.mask_edge);
}

TEST_CASE("augment keys are read into the options of their name") {
  const AugmentOptions options = augment_options(configured(
      "[augment]\nsize = 96\ncrop = [0.3, 0.9]\ncrop_ratio = [0.5, 2.0]\nflip = 0.1\n"
      "vertical_flip = 0.2\nturns = 0.3\njitter = [0.1, 0.2, 0.3, 0.05]\njitter_probability = 0.4\n"
      "greyscale = 0.15\nblur = [1.0, 0.1]\nblur_kernel = 9\nblur_sigma = [0.5, 1.5]\n"
      "solarise = [0.0, 0.2]\nsolarise_threshold = 0.6\nnoise = 0.7\nnoise_sigma = [0.01, 0.02]\n"
      "channel_drop = 0.25\nmask = 0.4\nmask_edge = [0.2, 0.3]\n"));
  CHECK(options.size == 96);
  CHECK(options.crop == Interval{0.3, 0.9});
  CHECK(options.crop_ratio == Interval{0.5, 2});
  CHECK(options.flip == 0.1);
  CHECK(options.vertical_flip == 0.2);
  CHECK(options.turns == 0.3);
  CHECK(options.jitter == std::array<double, 4>{0.1, 0.2, 0.3, 0.05});
  CHECK(options.jitter_probability == 0.4);
  CHECK(options.greyscale == 0.15);
  CHECK(options.blur == std::vector<double>{1, 0.1});
  CHECK(options.blur_kernel == 9);
  CHECK(options.blur_sigma == Interval{0.5, 1.5});
  CHECK(options.solarise == std::vector<double>{0, 0.2});
  CHECK(options.solarise_threshold == 0.6);
  CHECK(options.noise == 0.7);
  CHECK(options.noise_sigma == Interval{0.01, 0.02});
  CHECK(options.channel_drop == 0.25);
  CHECK(options.mask == 0.4);
  CHECK(options.mask_edge == Interval{0.2, 0.3});
}

TEST_CASE("augment options refuse what a key alone cannot check") {
  CHECK(message_of("[augment]\ncrop = [0.9, 0.3]\n").find("a.toml, line 2") != std::string::npos);
  CHECK(message_of("[augment]\njitter = [0.1, 0.2, 0.3, 0.7]\n").find("hue by 0.7") !=
        std::string::npos);
  CHECK(message_of("[augment]\nblur_kernel = 4\n").find("use 5") != std::string::npos);
}
