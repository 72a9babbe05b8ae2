#include "augment/image/view.h"

#include <algorithm>
#include <string_view>

#include "augment/image/blur_noise.h"

namespace lacuna {
namespace {

double of_view(const std::vector<double>& values, uint32_t view) {
  return values.empty() ? 0 : values[std::min<size_t>(view, values.size() - 1)];
}

// The odd number of pixels next to a tenth of the edge, halved; as in SimCLR 23 for 224.
int64_t radius_of(int64_t kernel, int64_t edge) {
  return kernel > 0 ? kernel / 2 : std::max<int64_t>((edge + 10) / 20, 1);
}

void check_shape(const Shape& sample) {
  if ((sample.rank() != 2 && sample.rank() != 3) || sample.count() == 0)
    bad_input(
        "samples of shape ", sample,
        " are no images: augmentation needs [height, width, channels] or [height, width]; name "
        "another dataset in data.dataset, or say in data.channels where the channels are");
}

void check_interval(std::string_view key, const Interval& interval, double low, double high) {
  if (!(interval[0] >= low && interval[0] <= interval[1] && interval[1] <= high))
    bad_input("augment.", key, " = [", interval[0], ", ", interval[1],
              "]: needs lowest first, within ", low, " and ", high);
}

void check_options(const ViewSpec& spec) {
  const AugmentOptions& options = spec.options;
  check_interval("crop", options.crop, 1e-6, 1);
  check_interval("crop_ratio", options.crop_ratio, 0.01, 100);
  check_interval("blur_sigma", options.blur_sigma, 1e-3, 1e3);
  check_interval("noise_sigma", options.noise_sigma, 0, 1e3);
  if (options.jitter[3] > 0 && options.jitter_probability > 0 && options.colours &&
      spec.channels != 3)
    bad_input("augment.jitter turns the hue by ", options.jitter[3], ", but samples have ",
              spec.channels,
              " channels and hue is a property of three; set the fourth value of augment.jitter to "
              "0");
  if (options.turns > 0 && spec.out_height != spec.out_width)
    bad_input("augment.turns = ", options.turns, " needs square views, but these have ",
              spec.out_height, " x ", spec.out_width,
              " pixels; set augment.size, or augment.turns to 0");
  if (options.channel_drop > 0 && spec.channels == 1)
    bad_input("augment.channel_drop = ", options.channel_drop,
              " would leave nothing of samples with one channel; set it to 0");
  if (spec.blur > 0 && spec.blur_radius >= std::min(spec.out_height, spec.out_width))
    bad_input("the blur's kernel of ", 2 * spec.blur_radius + 1,
              " pixels is too wide for views of ", spec.out_height, " x ", spec.out_width,
              "; set a smaller augment.blur_kernel");
  if (spec.blur > 0 && spec.blur_radius > max_blur_radius)
    bad_input("the blur's kernel of ", 2 * spec.blur_radius + 1, " pixels is over ",
              2 * max_blur_radius + 1, "; set a smaller augment.blur_kernel");
}

}  // namespace

ViewMaker::ViewMaker(const Shape& sample, const AugmentOptions& options, uint32_t view,
                     const Normalisation& normalisation, bool random)
    : random_(random) {
  check_shape(sample);
  LACUNA_CHECK(view <= max_draw_view, view);
  spec_.options = options;
  spec_.view = view;
  spec_.blur = of_view(options.blur, view);
  spec_.solarise = of_view(options.solarise, view);
  spec_.height = sample[0];
  spec_.width = sample[1];
  spec_.channels = sample.rank() == 3 ? sample[2] : 1;
  spec_.out_height = options.size > 0 ? options.size : spec_.height;
  spec_.out_width = options.size > 0 ? options.size : spec_.width;
  spec_.blur_radius =
      spec_.blur > 0 ? radius_of(options.blur_kernel, std::min(spec_.out_height, spec_.out_width))
                     : 0;
  spec_.normalisation = normalisation;
  if (random) check_options(spec_);
  const size_t channels = static_cast<size_t>(spec_.channels);
  LACUNA_CHECK(normalisation.mean.size() == channels && normalisation.std.size() == channels,
               normalisation.mean.size(), " means for ", channels, " channels");
  for (int64_t x = 0; x < spec_.out_width; ++x)
    for (size_t c = 0; c < channels; ++c) {
      row_mean_.push_back(normalisation.mean[c]);
      row_inverse_std_.push_back(1.f / normalisation.std[c]);
    }
}

size_t ViewMaker::scratch_floats() const {
  const int64_t pixels = spec_.out_width * spec_.channels * WorkImage::stride_of(spec_.out_height);
  return static_cast<size_t>(pixels) + std::max(resample_scratch(spec_), blur_scratch(spec_));
}

ViewAttributes ViewMaker::attributes(double low, double high) const {
  ViewAttributes attributes{.blur_radius = random_ ? spec_.blur_radius : 0,
                            .solarise_threshold = spec_.options.solarise_threshold,
                            .low = low,
                            .high = high};
  const auto channels = static_cast<size_t>(spec_.channels);
  std::copy_n(row_mean_.begin(), channels, attributes.mean);
  std::copy_n(row_inverse_std_.begin(), channels, attributes.inverse_std);
  return attributes;
}

ViewDraws ViewMaker::draw(const SampleKey& key, uint64_t turns) const {
  check_epoch(key);
  ViewDraws drawn;
  drawn.box = centred_box(spec_);
  if (random_) {
    for (const Transform& transform : transforms()) {
      const TransformDraws draws(key, spec_.view, transform.id);
      if (transform.place) {
        transform.place(spec_, draws, drawn.box);
      } else {
        transform.draw(spec_, draws, drawn);
      }
    }
  }
  turn(drawn.box, turns);
  return drawn;
}

void ViewMaker::make(const float* sample, const ViewDraws& drawn, float* scratch, float* to) const {
  WorkImage view{spec_.out_width, spec_.out_height, spec_.channels, scratch};
  float* const rest = scratch + view.size();
  resample(spec_, sample, drawn.box, view, rest);
  for (const Transform& transform : transforms())
    if (transform.change) transform.change(spec_, drawn, view, rest);
  write_view(view, drawn.box.transposed, row_mean_.data(), row_inverse_std_.data(), to);
}

}  // namespace lacuna
