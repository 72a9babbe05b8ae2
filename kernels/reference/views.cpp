#include "kernels/views.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "kernels/kernel.h"

namespace lacuna::reference {

namespace {

struct Image {
  int64_t height, width, channels;
  std::vector<double> values = std::vector<double>(static_cast<size_t>(height * width * channels));
  double& at(int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

double clamped(double x) { return std::clamp(x, 0.0, 1.0); }

Image sample_of(const View& samples, int64_t row, const ViewAttributes& a) {
  Image image{samples.shape[1], samples.shape[2], samples.shape[3]};
  const size_t size = image.values.size();
  for (size_t i = 0; i < size; ++i) {
    const size_t at = static_cast<size_t>(row) * size + i;
    const double stored = samples.dtype == DType::u8    ? samples.as<uint8_t>()[at]
                          : samples.dtype == DType::u16 ? samples.as<uint16_t>()[at]
                                                        : samples.as<int16_t>()[at];
    image.values[i] = clamped((stored - a.low) / (a.high - a.low));
  }
  return image;
}

// The triangle filter that makes element `to` of `out` from `in`: (position, weight), weights of
// sum 1.
std::vector<std::pair<int64_t, double>> taps(int64_t to, int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  const double centre = scale * (static_cast<double>(to) + 0.5) - 0.5;
  std::vector<std::pair<int64_t, double>> all;
  double sum = 0;
  for (int64_t i = 0; i < in; ++i) {
    const double weight = support - std::abs(static_cast<double>(i) - centre);
    if (weight <= 0) continue;
    all.push_back({i, weight});
    sum += weight;
  }
  for (auto& [i, weight] : all) weight /= sum;
  return all;
}

Image resampled(Image& from, const CropPlacement& box, int64_t height, int64_t width) {
  Image to{height, width, from.channels};
  for (int64_t y = 0; y < height; ++y) {
    const auto rows = taps(box.flip_y ? height - 1 - y : y, box.height, height);
    for (int64_t x = 0; x < width; ++x) {
      const auto columns = taps(box.flip_x ? width - 1 - x : x, box.width, width);
      for (int64_t c = 0; c < from.channels; ++c)
        for (const auto& [i, by_row] : rows)
          for (const auto& [j, by_column] : columns)
            to.at(y, x, c) += by_row * by_column * from.at(box.top + i, box.left + j, c);
    }
  }
  return to;
}

double grey(const double* pixel, int64_t channels) {
  if (channels == 3) return 0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) sum += pixel[c];
  return sum / static_cast<double>(channels);
}

// By way of hue, saturation and value (Smith 1978).
void turn_hue(double* pixel, double turn) {
  const double value = std::max({pixel[0], pixel[1], pixel[2]});
  const double chroma = value - std::min({pixel[0], pixel[1], pixel[2]});
  double hue = 0;  // in sextants
  if (chroma > 0) {
    hue = value == pixel[0]   ? (pixel[1] - pixel[2]) / chroma
          : value == pixel[1] ? (pixel[2] - pixel[0]) / chroma + 2
                              : (pixel[0] - pixel[1]) / chroma + 4;
  }
  hue += 6 * turn;
  constexpr std::array<double, 3> offsets = {5, 3, 1};
  for (size_t c = 0; c < 3; ++c) {
    const double shifted = offsets[c] + hue;
    const double k = shifted - 6 * std::floor(shifted / 6);
    pixel[c] = value - chroma * clamped(std::min(k, 4 - k));
  }
}

void jitter(Image& image, ViewDraws::Jitter which, double factor) {
  const int64_t channels = image.channels;
  const int64_t pixels = image.height * image.width;
  double mean = 0;
  for (int64_t p = 0; p < pixels; ++p)
    mean += grey(&image.values[static_cast<size_t>(p * channels)], channels) /
            static_cast<double>(pixels);
  for (int64_t p = 0; p < pixels; ++p) {
    double* pixel = &image.values[static_cast<size_t>(p * channels)];
    if (which == ViewDraws::hue) {
      turn_hue(pixel, factor);
      continue;
    }
    const double base = which == ViewDraws::contrast     ? mean
                        : which == ViewDraws::saturation ? grey(pixel, channels)
                                                         : 0;
    for (int64_t c = 0; c < channels; ++c) pixel[c] = clamped(base + (pixel[c] - base) * factor);
  }
}

void make_grey(Image& image) {
  for (size_t at = 0; at < image.values.size(); at += static_cast<size_t>(image.channels)) {
    const double g = grey(&image.values[at], image.channels);
    std::fill_n(&image.values[at], image.channels, g);
  }
}

int64_t reflected(int64_t at, int64_t n) {
  at = std::abs(at);
  return at < n ? at : 2 * n - 2 - at;
}

Image blurred(Image& from, int64_t radius, double sigma) {
  std::vector<double> weights;
  double sum = 0;
  for (int64_t d = -radius; d <= radius; ++d) {
    const double distance = static_cast<double>(d) / sigma;
    weights.push_back(std::exp(-0.5 * distance * distance));
    sum += weights.back();
  }
  Image rows{from.height, from.width, from.channels};
  Image to = rows;
  for (const bool along_height : {true, false}) {
    for (int64_t y = 0; y < from.height; ++y)
      for (int64_t x = 0; x < from.width; ++x)
        for (int64_t c = 0; c < from.channels; ++c)
          for (int64_t d = -radius; d <= radius; ++d) {
            const double w = weights[static_cast<size_t>(d + radius)] / sum;
            if (along_height) {
              rows.at(y, x, c) += w * from.at(reflected(y + d, from.height), x, c);
            } else {
              to.at(y, x, c) += w * rows.at(y, reflected(x + d, from.width), c);
            }
          }
  }
  return to;
}

// Box and Muller's normal draws, in the places that src/augment/image/blur_noise.cpp gives them:
// columns of the view behind each other, channel by channel, each filled up to a multiple of 16
// values.
double normal_of(const ViewDraws& drawn, const Image& image, int64_t y, int64_t x, int64_t c) {
  const int64_t stride = (image.height + 15) / 16 * 16;
  const int64_t place = (x * image.channels + c) * stride + y;
  auto counter = std::to_array(drawn.noise_counter);
  counter[0] += static_cast<uint32_t>(place / 64 * 16 + place % 16);
  const auto words = philox(counter, std::to_array(drawn.noise_key));
  const int64_t number = place % 64 / 16;
  const uint32_t a = words[number < 2 ? 0 : 2];
  const uint32_t b = words[number < 2 ? 1 : 3];
  const double u = static_cast<double>(a >> 9) * 0x1p-23 + 0x1p-24;
  const double angle = 2 * std::numbers::pi * static_cast<double>(b >> 8) * 0x1p-24;
  return std::sqrt(-2 * std::log(u)) * (number % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

void change(Image& image, const ViewDraws& drawn, const ViewAttributes& a) {
  for (int i = 0; i < 4; ++i)
    if (drawn.jitter[i] != ViewDraws::none)
      jitter(image, drawn.jitter[i], static_cast<double>(drawn.factors[i]));
  if (drawn.grey) make_grey(image);
  if (drawn.blur > 0) image = blurred(image, a.blur_radius, drawn.blur);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < image.channels; ++c) {
        double& v = image.at(y, x, c);
        if (drawn.solarise && v >= static_cast<double>(static_cast<float>(a.solarise_threshold)))
          v = 1 - v;
        if (drawn.noise)
          v = clamped(v +
                      static_cast<double>(drawn.noise_sigma) * normal_of(drawn, image, y, x, c));
        if (drawn.dropped == c) v = static_cast<double>(a.mean[c]);
      }
}

void make_views(const Call& call) {
  const auto a = call.attributes.as<ViewAttributes>();
  const View& views = call.out[0];
  double* to = views.as<double>();
  for (int64_t row = 0; row < views.shape[0]; ++row) {
    ViewDraws drawn;
    std::memcpy(&drawn, call.in[1].as<uint8_t>() + row * call.in[1].shape[1], sizeof drawn);
    Image sample = sample_of(call.in[0], row, a);
    Image image = resampled(sample, drawn.box, views.shape[1], views.shape[2]);
    change(image, drawn, a);
    for (int64_t y = 0; y < views.shape[1]; ++y)
      for (int64_t x = 0; x < views.shape[2]; ++x)
        for (int64_t c = 0; c < image.channels; ++c)
          *to++ = ((drawn.box.transposed ? image.at(x, y, c) : image.at(y, x, c)) -
                   static_cast<double>(a.mean[c])) *
                  static_cast<double>(a.inverse_std[c]);
  }
}

using enum DType;

constexpr std::array table = {
    KernelEntry{"make_views", {u8, u16, i16}, make_views},
};

}  // namespace

std::span<const KernelEntry> views_kernels() { return table; }

}  // namespace lacuna::reference
