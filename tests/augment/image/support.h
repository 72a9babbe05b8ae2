// What the tests of augmentation share: samples, views taken apart, and the size of a difference.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "augment/image/image.h"
#include "augment/image/view.h"
#include "base/random.h"

namespace lacuna::test {

// Values k / 255, as uint8 data gives them.
inline std::vector<float> byte_sample(const Shape& shape, uint64_t which = 0) {
  std::vector<float> sample(static_cast<size_t>(shape.count()));
  const Draws draws(12345, Purpose::test, which);
  for (size_t i = 0; i < sample.size(); ++i)
    sample[i] = static_cast<float>(draws.below(static_cast<uint32_t>(i), 256)) / 255.f;
  return sample;
}

inline Normalisation no_normalisation(int64_t channels) {
  const size_t n = static_cast<size_t>(channels);
  return {std::vector<float>(n, 0.f), std::vector<float>(n, 1.f)};
}

// No transform happens.
inline AugmentOptions still_options(int64_t size = 0) {
  AugmentOptions options;
  options.size = size;
  options.crop = {1, 1};
  options.flip = options.greyscale = options.jitter_probability = 0;
  return options;
}

// The sample's values, column by column, as a view of its own size.
struct OwnedView {
  OwnedView(const std::vector<float>& sample, int64_t height, int64_t width, int64_t channels)
      : memory(DType::f32, {width * channels * WorkImage::stride_of(height)}),
        image{width, height, channels, memory.as<float>().data()} {
    for (float& value : memory.as<float>()) value = 0;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c)
          image.column(x)[c * image.stride() + y] =
              sample[static_cast<size_t>((y * width + x) * channels + c)];
  }
  std::vector<float> channels_last() const {
    std::vector<float> values;
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width; ++x)
        for (int64_t c = 0; c < image.channels; ++c) values.push_back(image.at(y, x, c));
    return values;
  }
  HostTensor memory;
  WorkImage image;
};

// The rows that a recipe makes of one sample; every field as doubles.
inline std::vector<std::vector<double>> apply(const Augmentation& recipe,
                                              const std::vector<float>& sample,
                                              const SampleKey& key) {
  std::vector<HostTensor> fields;
  std::vector<void*> to;
  for (const OutputField& field : recipe.outputs()) {
    fields.emplace_back(field.dtype, field.shape);
    to.push_back(fields.back().data());
  }
  Scratch scratch;
  recipe.apply(sample.data(), key, to, scratch);
  std::vector<std::vector<double>> rows;
  for (const HostTensor& field : fields) {
    std::vector<double> row;
    if (field.dtype() == DType::i64)
      for (const int64_t value : field.as<int64_t>()) row.push_back(static_cast<double>(value));
    else
      for (const float value : field.as<float>()) row.push_back(static_cast<double>(value));
    rows.push_back(row);
  }
  return rows;
}

template <typename A, typename B>
double largest_difference(const std::vector<A>& a, const std::vector<B>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

}  // namespace lacuna::test
