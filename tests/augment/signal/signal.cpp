#include "augment/signal/signal.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <set>

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
  CHECK_THROWS_WITH(signal_views(Shape{64, 1}, 1, dropped, none(1)),
                    Catch::Contains("two channels"));
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

TEST_CASE("signals: of several lengths, a view is a piece in its own scale of time, and zeros") {
  const int64_t size = 50, channels = 2;
  const SignalShape shape({size, channels}, true);
  const ChannelNormalisation about{{1, 10}, {2, 4}};
  SignalOptions options = still();
  options.crop = {0.5, 1};
  options.shift = 0.1;
  const auto views = signal_views(shape, 2, options, about);
  const auto plain = plain_signal(shape, 0, about);
  std::set<int64_t> counts;
  for (const int64_t length : {0, 1, 2, 30, 50, 51, 200}) {
    const std::vector<float> sample = lines({length, channels});
    for (uint64_t key = 0; key < 40; ++key) {
      for (const bool random : {false, true}) {
        std::vector<std::vector<float>> rows;
        std::vector<void*> to;
        const SignalAugmentation& made = random ? *views : *plain;
        for (const OutputField& field : made.outputs())
          rows.emplace_back(static_cast<size_t>(field.shape.count()), 99.f);
        for (auto& row : rows) to.push_back(row.data());
        made.apply(sample.data(), length, {.seed = 3, .sample = key}, to);
        const auto count =
            static_cast<int64_t>(std::accumulate(rows[1].begin(), rows[1].end(), 0.f));
        if (random) {
          if (length == 30) counts.insert(count);
          CHECK(count <= std::min(length, size));
          CHECK(count >= std::min<int64_t>(size, length / 2));
        } else {
          CHECK(count == std::min(length, size));
        }
        for (int64_t i = 0; i < size; ++i) {
          const auto at = static_cast<size_t>(i);
          CHECK(rows[1][at] == (i < count ? 1.f : 0.f));
          if (i >= count) {
            CHECK(rows[0][2 * at] == 0.f);
            CHECK(rows[0][2 * at + 1] == 0.f);
            continue;
          }
          // A step of one position is one of the line, but beyond the ends.
          const float first = rows[0][2 * at] * 2 + 1;
          if (!random) CHECK(first == Approx(line(i, 0)));
          CHECK(rows[0][2 * at + 1] * 4 + 10 == Approx(first + 10));
          if (i > 0 && first > 0.f && first < line(length - 1, 0)) {
            const float step = first - (rows[0][2 * at - 2] * 2 + 1);
            CHECK((step == Approx(0.5f) || first == 0.5f));
          }
        }
      }
    }
  }
  CHECK(counts.size() > 8);
  options.size = 20;
  CHECK_THROWS_WITH(signal_views(shape, 1, options, about), Catch::Contains("augment.size = 20"));
}

TEST_CASE("signals: of several lengths, the share that is hidden is one of each length") {
  const SignalShape shape({40, 1}, true);
  SignalOptions options;
  options.mask = 0.3;
  const ChannelNormalisation about{{0}, {1}};
  const auto recipe = masked_signal(shape, options, about);
  for (const int64_t length : {1, 2, 10, 40, 90}) {
    std::vector<std::vector<float>> rows;
    std::vector<void*> to;
    for (const OutputField& field : recipe->outputs())
      rows.emplace_back(static_cast<size_t>(field.shape.count()), 99.f);
    for (auto& row : rows) to.push_back(row.data());
    recipe->apply(lines({length, 1}).data(), length, {.seed = 3, .sample = 5}, to);
    const float count = std::accumulate(rows[1].begin(), rows[1].end(), 0.f);
    const float hidden = std::accumulate(rows.back().begin(), rows.back().end(), 0.f);
    if (count < 2)
      CHECK(hidden == 0);
    else
      CHECK(hidden == std::clamp(std::round(0.3f * count), 1.f, count - 1));
    for (size_t i = 0; i < 40; ++i) CHECK((rows[1][i] == 1 || rows.back()[i] == 0));
  }
}
