#include "augment/image/blur_noise.h"

#include <catch2/catch.hpp>

#include "augment/image/support.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

int64_t reflected(int64_t p, int64_t n) {
  if (p < 0) p = -p;
  return p < n ? p : 2 * n - 2 - p;
}

// The two-dimensional sum, from its definition.
std::vector<double> blurred(const std::vector<float>& sample, int64_t height, int64_t width,
                            int64_t channels, int64_t radius, double sigma) {
  std::vector<double> to;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0, weights = 0;
        for (int64_t dy = -radius; dy <= radius; ++dy)
          for (int64_t dx = -radius; dx <= radius; ++dx) {
            const double weight =
                std::exp(-static_cast<double>(dx * dx + dy * dy) / (2 * sigma * sigma));
            const int64_t from = reflected(y + dy, height) * width + reflected(x + dx, width);
            sum += weight * static_cast<double>(sample[static_cast<size_t>(from * channels + c)]);
            weights += weight;
          }
        to.push_back(sum / weights);
      }
  return to;
}

ViewSpec spec_of(int64_t height, int64_t width, int64_t channels, int64_t radius) {
  ViewSpec spec;
  spec.out_height = height;
  spec.out_width = width;
  spec.channels = channels;
  spec.blur_radius = radius;
  return spec;
}

void add_noise(WorkImage& view, float sigma, const TransformDraws& draws) {
  gaussian_noise(view, sigma, draws.stream().key(), draws.stream().counter(16));
}

}  // namespace

TEST_CASE("blur agrees with the sum over its kernel for odd sizes and channels") {
  struct Case {
    int64_t height, width, radius;
    double sigma;
  };
  for (const Case& c : {Case{28, 28, 1, 1.3}, Case{17, 33, 11, 2.0}, Case{12, 13, 11, 5.0},
                        Case{40, 2, 1, 0.4}, Case{31, 30, 7, 0.3}, Case{16, 16, 3, 0.1}})
    for (const int64_t channels : {1, 3, 5}) {
      const auto sample = byte_sample({c.height, c.width, channels});
      OwnedView view(sample, c.height, c.width, channels);
      Scratch scratch;
      gaussian_blur(view.image, c.radius, c.sigma,
                    scratch.floats(blur_scratch(spec_of(c.height, c.width, channels, c.radius))));
      INFO(c.height << " x " << c.width << " x " << channels << ", radius " << c.radius);
      CHECK(largest_difference(view.channels_last(), blurred(sample, c.height, c.width, channels,
                                                             c.radius, c.sigma)) < 2e-6);
    }
}

TEST_CASE("blur leaves a constant view and moves no mass of a point") {
  OwnedView constant(std::vector<float>(15 * 15, 0.5f), 15, 15, 1);
  std::vector<float> point(15 * 15, 0.f);
  point[7 * 15 + 7] = 1;
  OwnedView spread(point, 15, 15, 1);
  Scratch scratch;
  float* memory = scratch.floats(blur_scratch(spec_of(15, 15, 1, 5)));
  gaussian_blur(constant.image, 5, 1.5, memory);
  gaussian_blur(spread.image, 5, 1.5, memory);
  double sum = 0;
  for (const float value : constant.channels_last()) CHECK(value == Approx(0.5).margin(1e-6));
  for (const float value : spread.channels_last()) sum += static_cast<double>(value);
  CHECK(sum == Approx(1).margin(1e-6));
  CHECK(spread.image.at(7, 8, 0) / spread.image.at(7, 7, 0) == Approx(std::exp(-0.5 / 2.25)));
}

TEST_CASE("noise has the moments of the normal distribution and clamps") {
  const int64_t height = 50, width = 61, channels = 3;
  const std::vector<float> middle(height * width * channels, 0.5f);
  OwnedView view(middle, height, width, channels);
  add_noise(view.image, 0.1f, TransformDraws({1, 2, 3}, 0, 9));
  double mean = 0, square = 0, cube = 0, fourth = 0, neighbours = 0, previous = 0;
  const auto values = view.channels_last();
  for (const float value : values) {
    const double z = (static_cast<double>(value) - 0.5) / 0.1;
    mean += z;
    square += z * z;
    cube += z * z * z;
    fourth += z * z * z * z;
    neighbours += z * previous;
    previous = z;
  }
  const double n = static_cast<double>(values.size());  // 9150
  CHECK(mean / n == Approx(0).margin(0.04));
  CHECK(square / n == Approx(1).margin(0.06));
  CHECK(cube / n == Approx(0).margin(0.12));
  CHECK(fourth / n == Approx(3).margin(0.4));
  CHECK(neighbours / n == Approx(0).margin(0.04));
  OwnedView edge(std::vector<float>(64, 1.f), 8, 8, 1);
  add_noise(edge.image, 0.5f, TransformDraws({1, 2, 3}, 0, 9));
  int at_one = 0;
  for (const float value : edge.channels_last()) {
    CHECK((value >= 0 && value <= 1));
    at_one += value == 1;
  }
  CHECK((at_one > 16 && at_one < 48));
}

TEST_CASE("noise takes its draws from the documented blocks") {
  // Value 0 of a column takes block 16, words 0 and 1; value 17 block 17, the sine of the same.
  OwnedView view(std::vector<float>(20, 0.5f), 20, 1, 1);
  const TransformDraws draws({7, 1, 9}, 2, 9);
  add_noise(view.image, 0.1f, draws);
  const auto normal = [&](uint32_t block, bool sine) {
    const auto words = draws.stream().block(block);
    const double u = (static_cast<double>(words[0] >> 9) + 0.5) / 8388608;
    const double v = 2 * std::numbers::pi * static_cast<double>(words[1] >> 8) / 16777216;
    return 0.5 + 0.1 * std::sqrt(-2 * std::log(u)) * (sine ? std::sin(v) : std::cos(v));
  };
  CHECK(view.image.at(0, 0, 0) == Approx(normal(16, false)).margin(1e-5));
  CHECK(view.image.at(5, 0, 0) == Approx(normal(21, false)).margin(1e-5));
  CHECK(view.image.at(17, 0, 0) == Approx(normal(17, true)).margin(1e-5));
}
