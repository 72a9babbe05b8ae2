#include "augment/image/colour.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "augment/augmented.h"
#include "augment/image/support.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

double clamped(double x) { return std::clamp(x, 0.0, 1.0); }

// The view after `change`, whose values the sample gives.
template <class Change>
std::vector<float> changed(const std::vector<float>& sample, int64_t height, int64_t width,
                           int64_t channels, Change change) {
  OwnedView view(sample, height, width, channels);
  change(view.image);
  return view.channels_last();
}

double grey_of(const float* pixel, int64_t channels) {
  if (channels == 3)
    return 0.2989 * static_cast<double>(pixel[0]) + 0.587 * static_cast<double>(pixel[1]) +
           0.114 * static_cast<double>(pixel[2]);
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) sum += static_cast<double>(pixel[c]);
  return sum / static_cast<double>(channels);
}

}  // namespace

TEST_CASE("channels that are no colours are not mixed") {
  AugmentOptions options;
  options.jitter = {0.4, 0.4, 0.4, 0.3};
  options.jitter_probability = options.greyscale = 1;
  const Shape shape{17, 12, 3};
  const std::vector<float> one = byte_sample(shape);
  std::vector<float> other = one;
  for (size_t i = 1; i < other.size(); i += 3) other[i] = 1 - other[i] / 2;
  for (const bool colours : {true, false}) {
    options.colours = colours;
    const auto views = image_views(shape, 1, options, no_normalisation(3));
    bool same = true, grey = true;
    for (uint64_t number = 0; number < 20; ++number) {
      const std::vector<float> a = augmented(*views, one, {1, 0, number})[0];
      const std::vector<float> b = augmented(*views, other, {1, 0, number})[0];
      for (size_t i = 0; i < a.size(); i += 3) {
        same &= a[i] == b[i] && a[i + 2] == b[i + 2];
        grey &= a[i] == a[i + 1];
      }
    }
    CHECK(same == !colours);
    CHECK(grey == colours);
  }
}

TEST_CASE("contrast of each channel is about its own mean") {
  const int64_t height = 13, width = 6, channels = 4;
  const auto sample = byte_sample({height, width, channels});
  std::vector<double> mean(channels, 0), wanted;
  for (size_t i = 0; i < sample.size(); ++i)
    mean[i % channels] += static_cast<double>(sample[i]) / (height * width);
  for (size_t i = 0; i < sample.size(); ++i)
    wanted.push_back(
        clamped(mean[i % channels] + (static_cast<double>(sample[i]) - mean[i % channels]) * 1.7));
  const auto got = changed(sample, height, width, channels,
                           [](WorkImage& view) { adjust_contrast_of_channels(view, 1.7f); });
  CHECK(largest_difference(got, wanted) < 1e-6);
}

TEST_CASE("brightness contrast saturation greyscale and solarising agree with their formulas") {
  const int64_t height = 21, width = 7;
  for (const int64_t channels : {1, 2, 3, 5}) {
    const auto sample = byte_sample({height, width, channels});
    std::vector<double> brighter, contrast, saturated, grey, solarised;
    double mean = 0;
    for (int64_t p = 0; p < height * width; ++p) mean += grey_of(&sample[p * channels], channels);
    mean /= static_cast<double>(height * width);
    for (int64_t i = 0; i < height * width * channels; ++i) {
      const double x = static_cast<double>(sample[i]);
      const double g = grey_of(&sample[i / channels * channels], channels);
      brighter.push_back(clamped(x * 1.3));
      contrast.push_back(clamped(mean + (x - mean) * 1.7));
      saturated.push_back(clamped(g + (x - g) * 1.6));
      grey.push_back(g);
      solarised.push_back(x >= 0.4 ? 1 - x : x);
    }
    const auto change = [&](auto f) { return changed(sample, height, width, channels, f); };
    CHECK(largest_difference(change([](WorkImage& v) { adjust_brightness(v, 1.3f); }), brighter) <
          1e-6);
    CHECK(largest_difference(change([](WorkImage& v) { adjust_contrast(v, 1.7f); }), contrast) <
          1e-6);
    CHECK(largest_difference(change([](WorkImage& v) { adjust_saturation(v, 1.6f); }), saturated) <
          1e-6);
    CHECK(largest_difference(change([](WorkImage& v) { to_grey(v); }), grey) < 1e-6);
    CHECK(largest_difference(change([](WorkImage& v) { solarise(v, 0.4f); }), solarised) < 1e-6);
  }
}

TEST_CASE("a third of a hue turn leads from red to green to blue") {
  const std::vector<float> red = {1, 0.2f, 0.2f}, green = {0.2f, 1, 0.2f}, blue = {0.2f, 0.2f, 1};
  const auto turned = [](const std::vector<float>& pixel, float turn) {
    return changed(pixel, 1, 1, 3, [&](WorkImage& v) { adjust_hue(v, turn); });
  };
  CHECK(largest_difference(turned(red, 1.f / 3), green) < 1e-6);
  CHECK(largest_difference(turned(green, 1.f / 3), blue) < 1e-6);
  CHECK(largest_difference(turned(blue, 1.f / 3), red) < 1e-6);
  CHECK(largest_difference(turned(red, -1.f / 3), blue) < 1e-6);
  // Orange, hue 30 degrees, turned by 180: azure, hue 210.
  CHECK(largest_difference(turned({1, 0.5f, 0}, 0.5f), std::vector<float>{0, 0.5f, 1}) < 1e-6);
}

TEST_CASE("a hue turn keeps greys and the largest and least channel and can be turned back") {
  const auto sample = byte_sample({13, 11, 3});
  const auto there = changed(sample, 13, 11, 3, [](WorkImage& v) { adjust_hue(v, 0.17f); });
  CHECK(largest_difference(changed(there, 13, 11, 3, [](WorkImage& v) { adjust_hue(v, -0.17f); }),
                           sample) < 3e-6);
  for (size_t p = 0; p < sample.size(); p += 3) {
    const auto before = std::minmax({sample[p], sample[p + 1], sample[p + 2]});
    const auto after = std::minmax({there[p], there[p + 1], there[p + 2]});
    CHECK(std::abs(before.first - after.first) < 1e-6f);
    CHECK(std::abs(before.second - after.second) < 1e-6f);
  }
  CHECK(changed({0.25f, 0.25f, 0.25f, 0, 0, 0}, 1, 2, 3, [](WorkImage& v) {
          adjust_hue(v, 0.3f);
        }) == std::vector<float>{0.25f, 0.25f, 0.25f, 0, 0, 0});
}

TEST_CASE("neutral factors leave a view as it is") {
  const auto sample = byte_sample({18, 9, 3});
  const auto same = [&](auto f) {
    return largest_difference(changed(sample, 18, 9, 3, f), sample);
  };
  CHECK(same([](WorkImage& v) { adjust_brightness(v, 1); }) == 0);
  CHECK(same([](WorkImage& v) { adjust_contrast(v, 1); }) == 0);
  CHECK(same([](WorkImage& v) { adjust_saturation(v, 1); }) == 0);
  CHECK(same([](WorkImage& v) { adjust_hue(v, 0); }) < 2e-6);
  CHECK(same([](WorkImage& v) { adjust_hue(v, 1); }) < 2e-6);
}

TEST_CASE("colour jitter draws its factors and every order of its four operations") {
  ViewSpec spec;
  spec.channels = 3;
  spec.options.jitter = {0.5, 0.5, 0.5, 0.2};
  spec.options.jitter_probability = 0.8;
  const auto sample = byte_sample({1, 2, 3});
  std::set<std::vector<float>> results;
  int unchanged = 0;
  for (uint64_t which = 0; which < 2000; ++which) {
    const auto after = changed(sample, 1, 2, 3, [&](WorkImage& v) {
      ViewDraws drawn;
      draw_jitter(spec, TransformDraws({3, 0, which}, 0, 5), drawn);
      apply_jitter(spec, drawn, v, nullptr);
    });
    unchanged += after == sample;
    results.insert(after);
  }
  CHECK(unchanged == Approx(400).margin(75));
  CHECK(results.size() == 2001 - static_cast<size_t>(unchanged));
}

TEST_CASE("a dropped channel reads as its mean and each channel is dropped alike") {
  ViewSpec spec;
  spec.channels = 5;
  spec.options.channel_drop = 0.5;
  spec.normalisation = {{10, 11, 12, 13, 14}, {1, 1, 1, 1, 1}};
  std::array<int, 5> dropped{};
  for (uint64_t which = 0; which < 2000; ++which) {
    const auto after = changed({0, 1, 2, 3, 4}, 1, 1, 5, [&](WorkImage& v) {
      ViewDraws drawn;
      draw_channel_drop(spec, TransformDraws({3, 0, which}, 0, 10), drawn);
      apply_channel_drop(spec, drawn, v, nullptr);
    });
    int different = 0;
    for (size_t c = 0; c < 5; ++c) {
      if (after[c] == static_cast<float>(c)) continue;
      CHECK(after[c] == static_cast<float>(10 + c));
      ++dropped[c];
      ++different;
    }
    CHECK(different <= 1);
  }
  for (const int count : dropped) CHECK(count == Approx(200).margin(60));
}
