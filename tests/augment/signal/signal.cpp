#include "augment/signal/signal.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "augment/augmented.h"
#include "base/random.h"

using namespace lacuna;
using lacuna::test::augmented;

namespace {

// Of channel c at position i: a line of its own.
float line(int64_t i, int64_t c) {
  return static_cast<float>(i) * 0.5f + 10 * static_cast<float>(c);
}

std::vector<float> lines(const Shape& shape) {
  std::vector<float> sample;
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t c = 0; c < shape[1]; ++c) sample.push_back(line(i, c));
  return sample;
}

ChannelNormalisation none(int64_t channels) {
  return {std::vector<float>(static_cast<size_t>(channels), 0),
          std::vector<float>(static_cast<size_t>(channels), 1)};
}

// No transform happens.
SignalOptions still() {
  SignalOptions options;
  options.crop = {1, 1};
  options.scale = options.noise = 0;
  return options;
}

}  // namespace

TEST_CASE("signals: a view without transforms is the sample bit for bit") {
  const Shape shape{37, 2};
  const std::vector<float> sample = lines(shape);
  CHECK(augmented(*plain_signal(shape, 0, none(2)), sample)[0] == sample);
  CHECK(augmented(*signal_views(shape, 2, still(), none(2)), sample)[1] == sample);
  const ChannelNormalisation about{{1, 10}, {2, 4}};
  const std::vector<float> view = augmented(*plain_signal(shape, 0, about), sample)[0];
  CHECK(view[8] == (line(4, 0) - 1) / 2);
  CHECK(view[9] == (line(4, 1) - 10) / 4);
}

TEST_CASE("signals: a resampled line is a line, inside its ends") {
  const Shape shape{40, 1};
  for (const int64_t size : {20, 80}) {
    const std::vector<float> view = augmented(*plain_signal(shape, size, none(1)), lines(shape))[0];
    const double step = 40.0 / static_cast<double>(size);
    for (int64_t i = 4; i < size - 4; ++i) {
      const double position = (static_cast<double>(i) + 0.5) * step - 0.5;
      CHECK(view[static_cast<size_t>(i)] == Approx(0.5 * position).margin(1e-5));
    }
  }
}

TEST_CASE("signals: crops lie in the sample, in the asked share, and differ from view to view") {
  const Shape shape{100, 1};
  SignalOptions options = still();
  options.crop = {0.3, 0.6};
  const auto views = signal_views(shape, 2, options, none(1));
  double least = 1, most = 0;
  for (uint64_t sample = 0; sample < 200; ++sample) {
    const auto rows = augmented(*views, lines(shape), {.seed = 1, .epoch = 2, .sample = sample});
    // The slope of the line tells the stretch.
    const double share = (rows[0][60] - rows[0][40]) / 20 / 0.5;
    least = std::min(least, share);
    most = std::max(most, share);
    CHECK(rows[0].front() >= 0);
    CHECK(rows[0].back() <= 0.5f * 99);
    CHECK(rows[0] != rows[1]);
  }
  CHECK(least == Approx(0.3).margin(0.02));
  CHECK(most == Approx(0.6).margin(0.02));
}

TEST_CASE("signals: a shift moves, and repeats the last value beyond the ends") {
  const Shape shape{100, 1};
  SignalOptions options = still();
  options.shift = 0.2;
  double least = 0, most = 0;
  for (uint64_t sample = 0; sample < 200; ++sample) {
    const auto view =
        augmented(*signal_views(shape, 1, options, none(1)), lines(shape), {.sample = sample})[0];
    const double moved = (view[50] - 25) / 0.5;
    least = std::min(least, moved);
    most = std::max(most, moved);
    CHECK(view.back() == Approx(std::min(49.5, 49.5 + 0.5 * moved)).margin(1e-4));
  }
  CHECK(least == Approx(-20).margin(1));
  CHECK(most == Approx(20).margin(1));
}

TEST_CASE("signals: scale, noise, dropped channels and masked time do what they say") {
  const Shape shape{64, 2};
  const std::vector<float> ones(128, 1.f);
  const auto view = [&](const SignalOptions& options, uint64_t sample) {
    return augmented(*signal_views(shape, 1, options, none(2)), ones, {.sample = sample})[0];
  };
  SignalOptions scaled = still();
  scaled.scale = 0.3;
  SignalOptions noisy = still();
  noisy.noise = 1;
  noisy.noise_sigma = {0.5, 0.5};
  SignalOptions dropped = still();
  dropped.channel_drop = 1;
  SignalOptions masked = still();
  masked.time_mask = 0.5;
  double squares = 0;
  int64_t longest = 0;
  for (uint64_t sample = 0; sample < 100; ++sample) {
    const auto scale = view(scaled, sample);
    CHECK(std::abs(scale[0] - 1) <= 0.3f);
    CHECK(scale == std::vector<float>(128, scale[0]));
    for (const float value : view(noisy, sample)) squares += (value - 1) * (value - 1);
    const auto drop = view(dropped, sample);
    CHECK(drop[0] + drop[1] == 1);
    const auto mask = view(masked, sample);
    const auto hidden = std::count(mask.begin(), mask.end(), 0.f) / 2;
    longest = std::max<int64_t>(longest, hidden);
    CHECK(hidden <= 32);
  }
  CHECK(std::sqrt(squares / 12800) == Approx(0.5).epsilon(0.03));
  CHECK(longest >= 29);
  CHECK_THROWS_WITH(signal_views({64, 1}, 1, dropped, none(1)), Catch::Contains("two channels"));
}

TEST_CASE("signals: a mask hides the exact number of positions, and the target is the clean view") {
  const Shape shape{50, 2};
  SignalOptions options;
  options.mask = 0.3;
  const auto recipe = masked_signal(shape, options, none(2));
  REQUIRE(recipe->outputs().size() == 3);
  for (uint64_t sample = 0; sample < 50; ++sample) {
    const auto rows = augmented(*recipe, lines(shape), {.sample = sample});
    CHECK(std::accumulate(rows[2].begin(), rows[2].end(), 0.f) == 15);
    CHECK(rows[1][1] - rows[1][0] == Approx(10).epsilon(1e-5));  // not scaled, no noise
  }
  SignalOptions clean = still();
  CHECK(masked_signal(shape, clean, none(2))->outputs().size() == 2);
}
