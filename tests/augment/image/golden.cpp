// Transforms with given parameters beside torchvision v2's results (tests/golden/augment.py).
#include <catch2/catch.hpp>
#include <map>

#include "augment/image/blur_noise.h"
#include "augment/image/colour.h"
#include "augment/image/support.h"
#include "io/hdf5.h"
#include "support/source_folder.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

using Parameters = std::vector<double>;

struct Picture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<float> values;  // channels-last, in [0, 1]
};

Picture picture(const hdf5::Dataset& dataset) {
  Picture p{dataset.shape()[0], dataset.shape()[1], dataset.shape()[2], {}};
  p.values.resize(static_cast<size_t>(dataset.shape().count()));
  dataset.read(p.values.data(), DType::f32);
  for (float& value : p.values) value /= 255.f;
  return p;
}

template <class Change>
std::vector<float> changed(const Picture& in, Change change) {
  OwnedView view(in.values, in.height, in.width, in.channels);
  change(view.image);
  return view.channels_last();
}

Picture placed(const Picture& in, const CropPlacement& box, int64_t height, int64_t width) {
  ViewSpec spec;
  spec.height = in.height;
  spec.width = in.width;
  spec.channels = in.channels;
  spec.out_height = height;
  spec.out_width = width;
  OwnedView view(std::vector<float>(static_cast<size_t>(height * width * in.channels)), height,
                 width, in.channels);
  Scratch scratch;
  resample(spec, in.values.data(), box, view.image, scratch.floats(resample_scratch(spec)));
  return {height, width, in.channels, view.channels_last()};
}

void blur(WorkImage& view, int64_t radius, double sigma) {
  ViewSpec spec;
  spec.out_height = view.height;
  spec.out_width = view.width;
  spec.channels = view.channels;
  spec.blur_radius = radius;
  Scratch scratch;
  gaussian_blur(view, radius, sigma, scratch.floats(blur_scratch(spec)));
}

int64_t integer(double value) { return static_cast<int64_t>(value); }

// The script's pipeline(): the same steps and numbers.
std::vector<float> pipeline(const Picture& in, const Parameters& p) {
  const CropPlacement box{integer(p[0]), integer(p[1]), integer(p[2]), integer(p[3]), true};
  std::vector<float> to =
      changed(placed(in, box, integer(p[4]), integer(p[4])), [&](WorkImage& view) {
        adjust_saturation(view, 1.5f);
        adjust_brightness(view, 1.3f);
        adjust_hue(view, -0.12f);
        adjust_contrast(view, 0.6f);
        blur(view, 2, p[5]);
        solarise(view, 0.5f);
      });
  const float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
  for (size_t i = 0; i < to.size(); ++i) to[i] = (to[i] - mean[i % 3]) / std[i % 3];
  return to;
}

std::vector<float> ours(const std::string& operation, const Picture& in, const Parameters& p) {
  const auto factor = [&] { return static_cast<float>(p[0]); };
  if (operation == "crop") {
    const CropPlacement box{integer(p[0]), integer(p[1]), integer(p[2]), integer(p[3])};
    return placed(in, box, integer(p[4]), integer(p[5])).values;
  }
  if (operation == "flips")
    return placed(in, {0, 0, in.height, in.width, true, true}, in.height, in.width).values;
  if (operation == "pipeline") return pipeline(in, p);
  return changed(in, [&](WorkImage& view) {
    if (operation == "brightness") return adjust_brightness(view, factor());
    if (operation == "contrast") return adjust_contrast(view, factor());
    if (operation == "saturation") return adjust_saturation(view, factor());
    if (operation == "hue") return adjust_hue(view, factor());
    if (operation == "grey") return to_grey(view);
    if (operation == "solarise") return solarise(view, factor());
    if (operation == "blur") return blur(view, integer(p[0]), p[1]);
    FAIL("unknown operation " << operation);
  });
}

}  // namespace

TEST_CASE("transforms with given parameters agree with torchvision") {
  const hdf5::File file =
      hdf5::File::open((testing::source_folder() / "tests/golden/augment.h5").string());
  std::map<std::string, int> seen;
  for (const hdf5::Entry& entry : file.entries()) {
    if (entry.kind != hdf5::Entry::Kind::group) continue;
    const hdf5::Group group = file.group(entry.name);
    const std::string operation = group.text("operation");
    Parameters parameters;
    if (group.has_attribute("parameters")) parameters = group.numbers("parameters");
    const hdf5::Dataset output = group.dataset("output");
    std::vector<float> expected(static_cast<size_t>(output.shape().count()));
    output.read(expected.data(), DType::f32);
    INFO(entry.name << ": " << operation << " of " << group.text("input"));
    const double difference = largest_difference(
        ours(operation, picture(file.dataset(group.text("input"))), parameters), expected);
    // The promise is 1/255; float's rounding is what is seen.
    CHECK(difference < 2e-5);
    ++seen[operation];
  }
  CHECK(seen.size() == 10);
}
