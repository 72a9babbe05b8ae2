#include "augment/image/geometry.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "augment/image/support.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Resizing one axis, from its definition, in double: output i is the mean of the inputs under a
// triangle of half-width max(scale, 1) around its centre.
std::vector<double> resized_axis(const std::vector<double>& in, size_t out_size) {
  std::vector<double> out;
  const double scale = static_cast<double>(in.size()) / static_cast<double>(out_size);
  for (size_t i = 0; i < out_size; ++i) {
    double sum = 0, weights = 0;
    for (size_t j = 0; j < in.size(); ++j) {
      const double distance =
          (static_cast<double>(i) + 0.5) * scale - (static_cast<double>(j) + 0.5);
      const double weight = triangle(distance / std::max(scale, 1.0));
      sum += weight * in[j];
      weights += weight;
    }
    out.push_back(sum / weights);
  }
  return out;
}

// The view that a placement asks for, value by value.
std::vector<double> expected_view(const ViewSpec& spec, const std::vector<float>& sample,
                                  const CropPlacement& box) {
  const int64_t h = spec.out_height, w = spec.out_width, channels = spec.channels;
  std::vector<double> view(static_cast<size_t>(h * w * channels));
  for (int64_t c = 0; c < channels; ++c) {
    std::vector<std::vector<double>> rows;  // of the box, resized along the width
    for (int64_t y = box.top; y < box.top + box.height; ++y) {
      std::vector<double> row;
      for (int64_t x = box.left; x < box.left + box.width; ++x)
        row.push_back(
            static_cast<double>(sample[static_cast<size_t>((y * spec.width + x) * channels + c)]));
      rows.push_back(resized_axis(row, static_cast<size_t>(w)));
    }
    for (int64_t x = 0; x < w; ++x) {
      std::vector<double> column;
      for (const auto& row : rows) column.push_back(row[static_cast<size_t>(x)]);
      column = resized_axis(column, static_cast<size_t>(h));
      for (int64_t y = 0; y < h; ++y) {
        const int64_t mirrored_x = box.flip_x ? w - 1 - x : x;
        const int64_t mirrored_y = box.flip_y ? h - 1 - y : y;
        const int64_t to =
            box.transposed ? mirrored_x * w + mirrored_y : mirrored_y * w + mirrored_x;
        view[static_cast<size_t>(to * channels + c)] = column[static_cast<size_t>(y)];
      }
    }
  }
  return view;
}

ViewSpec spec_of(int64_t height, int64_t width, int64_t channels, int64_t out_height,
                 int64_t out_width) {
  ViewSpec spec;
  spec.height = height;
  spec.width = width;
  spec.channels = channels;
  spec.out_height = out_height;
  spec.out_width = out_width;
  return spec;
}

// resample() and write_view() as ViewMaker::make() joins them.
std::vector<float> made_view(const ViewSpec& spec, const std::vector<float>& sample,
                             const CropPlacement& box) {
  Scratch scratch;
  const int64_t pixels = spec.out_width * spec.channels * WorkImage::stride_of(spec.out_height);
  float* memory = scratch.floats(static_cast<size_t>(pixels) + resample_scratch(spec));
  WorkImage view{spec.out_width, spec.out_height, spec.channels, memory};
  resample(spec, sample.data(), box, view, memory + pixels);
  const size_t row = static_cast<size_t>(spec.out_width * spec.channels);
  const std::vector<float> zero(row, 0.f), one(row, 1.f);
  std::vector<float> to(row * static_cast<size_t>(spec.out_height));
  write_view(view, box.transposed, zero.data(), one.data(), to.data());
  return to;
}

}  // namespace

TEST_CASE("resampling agrees with the triangle filter in double for odd sizes") {
  struct Case {
    int64_t height, width, out_height, out_width;
    CropPlacement box;
  };
  const Case cases[] = {
      {7, 5, 3, 9, {0, 0, 7, 5}},
      {28, 28, 28, 28, {3, 5, 17, 22}},
      {37, 41, 13, 17, {2, 3, 31, 35}},
      {33, 19, 32, 32, {0, 0, 33, 19}},
      {64, 64, 5, 3, {1, 0, 63, 64}},
      {5, 4, 21, 21, {4, 3, 1, 1}},
      {40, 30, 20, 20, {0, 0, 40, 30, true}},
      {40, 30, 20, 20, {0, 5, 40, 20, false, true, true}},
      {9, 9, 9, 9, {0, 0, 9, 9, true, true, true}},
      {3, 50, 1, 1, {0, 0, 3, 50}},
  };
  for (const int64_t channels : {1, 2, 3, 4, 5, 17})
    for (const Case& c : cases) {
      const ViewSpec spec = spec_of(c.height, c.width, channels, c.out_height, c.out_width);
      const auto sample = byte_sample({c.height, c.width, channels});
      INFO(c.height << " x " << c.width << " to " << c.out_height << " x " << c.out_width << ", "
                    << channels << " channels");
      CHECK(largest_difference(made_view(spec, sample, c.box), expected_view(spec, sample, c.box)) <
            2e-6);
    }
}

TEST_CASE("resampling two pixels to four interpolates at the known places") {
  const ViewSpec spec = spec_of(1, 2, 1, 1, 4);
  CHECK(largest_difference(made_view(spec, {0.f, 1.f}, {0, 0, 1, 2}),
                           std::vector<double>{0, 0.25, 0.75, 1}) < 1e-7);
}

TEST_CASE("resampling four pixels to two weighs with a widened triangle") {
  const ViewSpec spec = spec_of(1, 4, 1, 1, 2);
  // Centres 1 and 3; weights 0.75 0.75 0.25 of the pixels 0 1 2, and mirrored.
  CHECK(largest_difference(made_view(spec, {1.f, 0.f, 0.f, 0.f}, {0, 0, 1, 4}),
                           std::vector<double>{0.75 / 1.75, 0}) < 1e-7);
}

TEST_CASE("a view of the sample's own size is the sample") {
  for (const int64_t channels : {1, 3, 5}) {
    const ViewSpec spec = spec_of(19, 23, channels, 19, 23);
    const auto sample = byte_sample({19, 23, channels});
    CHECK(made_view(spec, sample, {0, 0, 19, 23}) == sample);
  }
}

TEST_CASE("a turn is counter-clockwise and four turns are none") {
  const ViewSpec spec = spec_of(2, 2, 1, 2, 2);
  const std::vector<float> sample = {1, 2, 3, 4};
  const std::vector<float> turned[] = {{1, 2, 3, 4}, {2, 4, 1, 3}, {4, 3, 2, 1}, {3, 1, 4, 2}};
  for (uint64_t quarters = 0; quarters < 4; ++quarters) {
    CropPlacement box{0, 0, 2, 2};
    turn(box, quarters);
    CHECK(made_view(spec, sample, box) == turned[quarters]);
    turn(box, 4 - quarters);
    CHECK(made_view(spec, sample, box) == sample);
  }
  CropPlacement mirrored{0, 0, 2, 2, true};  // 2 1 / 4 3, turned: 1 3 / 2 4
  turn(mirrored, 1);
  CHECK(made_view(spec, sample, mirrored) == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("the centred box has the proportions of the view") {
  const CropPlacement wide = centred_box(spec_of(30, 50, 1, 10, 10));
  CHECK(wide.left == 10);
  CHECK(wide.top == 0);
  CHECK(wide.width == 30);
  CHECK(wide.height == 30);
  const CropPlacement high = centred_box(spec_of(50, 30, 1, 10, 20));
  CHECK(high.left == 0);
  CHECK(high.top == 17);
  CHECK(high.width == 30);
  CHECK(high.height == 15);
}

TEST_CASE("random crops have the areas proportions and places that were asked for") {
  ViewSpec spec = spec_of(200, 200, 3, 32, 32);
  spec.options.crop = {0.2, 0.8};
  double area = 0, log_ratio = 0, log_square = 0, centre = 0;
  constexpr int n = 4000;
  for (uint64_t sample = 0; sample < n; ++sample) {
    CropPlacement box{0, 0, 200, 200};
    random_crop(spec, TransformDraws({1, 0, sample}, 0, 1), box);
    REQUIRE((box.top >= 0 && box.left >= 0));
    REQUIRE((box.top + box.height <= 200 && box.left + box.width <= 200));
    const double ratio = static_cast<double>(box.width) / static_cast<double>(box.height);
    CHECK((ratio > 0.73 && ratio < 1.36));
    const double share = static_cast<double>(box.width * box.height) / 40000;
    CHECK((share > 0.195 && share < 0.805));
    area += share;
    log_ratio += std::log(ratio);
    log_square += std::log(ratio) * std::log(ratio);
    centre += static_cast<double>(2 * box.left + box.width) / 400;
  }
  // Large areas with extreme ratios do not fit and are drawn again: a little below 0.5.
  CHECK(area / n == Approx(0.495).margin(0.012));
  CHECK(log_ratio / n == Approx(0).margin(0.012));
  CHECK(log_square / n == Approx(std::pow(std::log(4.0 / 3), 2) / 3).epsilon(0.08));
  CHECK(centre / n == Approx(0.5).margin(0.01));
}

TEST_CASE("a random crop that cannot fit falls back to a centred one with an allowed ratio") {
  ViewSpec spec = spec_of(100, 10, 1, 32, 32);
  spec.options.crop = {0.9, 0.95};
  CropPlacement box{0, 0, 100, 10};
  random_crop(spec, TransformDraws({1, 0, 0}, 0, 1), box);
  CHECK(box.width == 10);
  CHECK(box.height == 13);
  CHECK(box.top == 43);
  CHECK(box.left == 0);
}

TEST_CASE("flips and turns happen as often as asked for") {
  ViewSpec spec = spec_of(8, 8, 1, 8, 8);
  spec.options.flip = 0.3;
  spec.options.vertical_flip = 0.6;
  spec.options.turns = 0.8;
  int flips = 0, vertical = 0, transposed = 0;
  for (uint64_t sample = 0; sample < 4000; ++sample) {
    CropPlacement a, b, c;
    random_flip(spec, TransformDraws({1, 0, sample}, 0, 2), a);
    random_vertical_flip(spec, TransformDraws({1, 0, sample}, 0, 3), b);
    random_turn(spec, TransformDraws({1, 0, sample}, 0, 4), c);
    flips += a.flip_x;
    vertical += b.flip_y;
    transposed += c.transposed;
    CHECK((!a.flip_y && !b.flip_x));
  }
  CHECK(flips == Approx(1200).margin(120));
  CHECK(vertical == Approx(2400).margin(120));
  CHECK(transposed == Approx(1600).margin(120));
}
