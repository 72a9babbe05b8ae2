#include "support/views.h"

#include <cmath>

#include "augment/image/drawn_views.h"
#include "augment/image/image.h"
#include "base/random.h"
#include "comm/communicator.h"
#include "graph/executor.h"
#include "ops/elementwise.h"

namespace lacuna::testing {

namespace {

constexpr int64_t samples = 8;

struct Stored {
  DType dtype;
  double low, high;
};

// Random stored numbers, some of them beyond the range, and what recipes on the host are given.
struct Samples {
  Samples(const Shape& shape, const Stored& stored)
      : numbers(stored.dtype, shape.behind(samples)),
        values(static_cast<size_t>(shape.count() * samples)) {
    const Draws draws(7, Purpose::test, static_cast<uint64_t>(shape.count()));
    const double margin = 0.05 * (stored.high - stored.low);
    for (size_t i = 0; i < values.size(); ++i) {
      const double x = std::round(
          draws.uniform(static_cast<uint32_t>(i), stored.low - margin, stored.high + margin));
      const double kept = write(i, x);
      values[i] = static_cast<float>(
          std::clamp((kept - stored.low) / (stored.high - stored.low), 0.0, 1.0));
    }
  }
  // What of x the type can hold.
  double write(size_t i, double x) {
    switch (numbers.dtype()) {
      case DType::u8:
        return numbers.as<uint8_t>()[i] = static_cast<uint8_t>(std::clamp(x, 0.0, 255.0));
      case DType::u16:
        return numbers.as<uint16_t>()[i] = static_cast<uint16_t>(std::clamp(x, 0.0, 65535.0));
      default:
        return numbers.as<int16_t>()[i] = static_cast<int16_t>(std::clamp(x, -32768.0, 32767.0));
    }
  }
  HostTensor numbers;
  std::vector<float> values;
};

SampleKey key_of(int64_t sample) {
  return {.seed = 5, .epoch = 2, .sample = static_cast<uint64_t>(sample)};
}

// The recipe's fields of all samples, made by `make(sample, to)`.
std::map<std::string, HostTensor> batch_of(
    std::span<const OutputField> fields,
    const std::function<void(int64_t, std::span<void* const>)>& make) {
  std::map<std::string, HostTensor> batch;
  for (const OutputField& field : fields)
    batch[field.name] = HostTensor(field.dtype, field.shape.behind(samples));
  for (int64_t sample = 0; sample < samples; ++sample) {
    std::vector<void*> to;
    for (const OutputField& field : fields) {
      const auto bytes = static_cast<size_t>(field.shape.count()) * size_of(field.dtype);
      to.push_back(static_cast<std::byte*>(batch[field.name].data()) +
                   static_cast<size_t>(sample) * bytes);
    }
    make(sample, to);
  }
  return batch;
}

double difference(const Augmentation& recipe, const Stored& stored, Device& device, DType compute,
                  uint64_t shift) {
  const Samples all(recipe.input(), stored);
  Scratch scratch;
  const auto size = static_cast<size_t>(recipe.input().count());
  const auto expected = batch_of(recipe.outputs(), [&](int64_t sample, std::span<void* const> to) {
    recipe.apply(all.values.data() + static_cast<size_t>(sample) * size, key_of(sample), to,
                 scratch);
  });
  std::vector<OutputField> inputs = recipe.drawn()->inputs(stored.dtype);
  inputs.erase(inputs.begin());
  const auto drawn = batch_of(inputs, [&](int64_t sample, std::span<void* const> to) {
    recipe.drawn()->draw(key_of(sample + static_cast<int64_t>(shift)), to);
  });
  Fields fields;
  fields.add(DrawnViews::sample_field, host_leaf("sample", all.numbers));
  for (const auto& [name, tensor] : drawn) fields.add(name, host_leaf(name, tensor));
  const auto views = recipe.drawn()->views(stored.low, stored.high);
  const Fields made = with_views(fields, views, compute);
  std::vector<Tensor> outputs;
  for (const DrawnViews::View& view : views)
    outputs.push_back(cast(made[view.name], device.parameter_dtype()));
  Executor executor(device);
  executor.run(outputs);
  double largest = 0;
  for (size_t v = 0; v < views.size(); ++v) {
    const HostTensor actual = executor.output(v);
    const auto host = expected.at(views[v].name).as<float>();
    for (size_t i = 0; i < host.size(); ++i) {
      const double value = actual.dtype() == DType::f64
                               ? actual.as<double>()[i]
                               : static_cast<double>(actual.as<float>()[i]);
      const double d = std::abs(value - static_cast<double>(host[i]));
      if (!(d <= largest)) largest = d;
    }
  }
  return largest;
}

AugmentOptions everything(int64_t size, int64_t channels) {
  AugmentOptions options;
  options.size = size;
  options.crop = {0.1, 1};
  options.jitter = {0.4, 0.4, 0.4, channels == 3 ? 0.2 : 0};
  options.jitter_probability = 0.9;
  options.greyscale = 0.3;
  options.blur = {0.5, 0};
  options.blur_kernel = 5;
  options.blur_sigma = {0.3, 2};
  options.solarise = {0.3};
  options.noise = 0.5;
  options.channel_drop = channels > 1 ? 0.3 : 0;
  return options;
}

}  // namespace

double views_against_host(Device& device, DType compute, uint64_t shift) {
  double largest = 0;
  for (int64_t channels = 1; channels <= max_view_channels; ++channels) {
    const auto n = static_cast<size_t>(channels);
    const Normalisation normalisation{std::vector<float>(n, 0.4f), std::vector<float>(n, 0.5f)};
    for (const Stored& stored : {Stored{DType::u8, 0, 255}, Stored{DType::u16, 100, 4000},
                                 Stored{DType::i16, -1000, 1000}}) {
      const Shape sample{21, 33, channels};
      AugmentOptions options = everything(13, channels);
      const auto add = [&](const std::unique_ptr<Augmentation>& recipe) {
        const double d = difference(*recipe, stored, device, compute, shift);
        if (!(d <= largest)) largest = d;
      };
      add(rotated_view(sample, options, normalisation));
      add(masked_view(sample, options, normalisation));
      options.vertical_flip = options.turns = 0.5;
      add(image_views(sample, 2, options, normalisation));
      options.turns = 0;
      options.size = 0;  // not square, and larger than most boxes
      add(image_views(sample, 1, options, normalisation));
      add(plain_view(sample, 40, normalisation));
    }
  }
  return largest;
}

}  // namespace lacuna::testing
