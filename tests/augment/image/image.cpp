#include "augment/image/image.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "augment/image/support.h"
#include "base/error.h"

using namespace lacuna;
using namespace lacuna::test;

namespace {

// Every transform happens, or may.
AugmentOptions busy_options(int64_t size, int64_t channels) {
  AugmentOptions options;
  options.size = size;
  options.vertical_flip = options.turns = options.jitter_probability = options.greyscale = 0.5;
  options.noise = 0.5;
  options.blur = {0.5};
  options.solarise = {0, 0.5};
  options.jitter[3] = channels == 3 ? 0.1 : 0;
  options.channel_drop = channels > 1 ? 0.3 : 0;
  return options;
}

Normalisation some_normalisation(int64_t channels) {
  Normalisation normalisation;
  for (int64_t c = 0; c < channels; ++c) {
    normalisation.mean.push_back(0.4f + 0.01f * static_cast<float>(c));
    normalisation.std.push_back(0.2f + 0.03f * static_cast<float>(c));
  }
  return normalisation;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::bad_input);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a plain view is the sample normalised by channel") {
  const auto sample = byte_sample({6, 9, 3});
  const Normalisation normalisation{{0.5f, 0.25f, 0.f}, {0.25f, 0.5f, 2.f}};
  const auto recipe = plain_view({6, 9, 3}, 0, normalisation);
  REQUIRE(recipe->outputs().size() == 1);
  CHECK(recipe->outputs()[0].name == "view0");
  CHECK(recipe->outputs()[0].shape == Shape{6, 9, 3});
  CHECK(recipe->outputs()[0].dtype == DType::f32);
  std::vector<double> expected;
  for (size_t i = 0; i < sample.size(); ++i)
    expected.push_back(
        (static_cast<double>(sample[i]) - static_cast<double>(normalisation.mean[i % 3])) /
        static_cast<double>(normalisation.std[i % 3]));
  CHECK(largest_difference(apply(*recipe, sample, {1, 2, 3})[0], expected) < 1e-6);
}

TEST_CASE("a plain view of another size is the resized centre and the same for every key") {
  // Columns 0 1 2 3 4 5 of two rows; the centre is columns 2 and 3.
  const std::vector<float> sample = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
  const auto recipe = plain_view({2, 6}, 1, no_normalisation(1));
  CHECK(recipe->outputs()[0].shape == Shape{1, 1, 1});
  CHECK(apply(*recipe, sample, {1, 2, 3})[0][0] == Approx(2.5));
  CHECK(apply(*recipe, sample, {4, 5, 6})[0][0] == Approx(2.5));
}

TEST_CASE("views without any transform are the plain view") {
  for (const int64_t channels : {1, 3, 5}) {
    const Shape shape{20, 20, channels};
    const auto sample = byte_sample(shape);
    const auto rows =
        apply(*image_views(shape, 2, still_options(), some_normalisation(channels)), sample, {});
    const auto plain = apply(*plain_view(shape, 0, some_normalisation(channels)), sample, {});
    CHECK(rows[0] == plain[0]);
    CHECK(rows[1] == plain[0]);
  }
}

TEST_CASE("views depend on seed epoch sample and view and on nothing else") {
  for (const int64_t channels : {1, 2, 3, 5}) {
    const Shape shape{28, 24, channels};
    const auto sample = byte_sample(shape);
    const auto recipe =
        image_views(shape, 2, busy_options(21, channels), some_normalisation(channels));
    const auto rows = apply(*recipe, sample, {1, 2, 3});
    CHECK(apply(*recipe, sample, {1, 2, 3}) == rows);
    CHECK(rows[0] != rows[1]);
    CHECK(apply(*recipe, sample, {2, 2, 3})[0] != rows[0]);
    CHECK(apply(*recipe, sample, {1, 3, 3})[0] != rows[0]);
    CHECK(apply(*recipe, sample, {1, 2, 4})[0] != rows[0]);
    // Which other views a recipe makes changes nothing.
    const auto three =
        image_views(shape, 3, busy_options(21, channels), some_normalisation(channels));
    CHECK(apply(*three, sample, {1, 2, 3})[1] == rows[1]);
  }
}

TEST_CASE("views are bit equal for any order of calls and number of threads") {
  const Shape shape{32, 32, 3};
  const auto recipe = image_views(shape, 2, busy_options(32, 3), some_normalisation(3));
  constexpr size_t count = 96;
  std::vector<std::vector<float>> samples;
  for (size_t i = 0; i < count; ++i) samples.push_back(byte_sample(shape, i));
  const auto all_rows = [&](size_t threads, bool backwards) {
    std::vector<float> rows(count * 2 * 3072);
    std::atomic<size_t> next = 0;
    std::vector<std::thread> workers;
    for (size_t t = 0; t < threads; ++t)
      workers.emplace_back([&] {
        Scratch scratch;
        for (size_t n = next++; n < count; n = next++) {
          const size_t i = backwards ? count - 1 - n : n;
          void* const to[] = {&rows[2 * i * 3072], &rows[(2 * i + 1) * 3072]};
          recipe->apply(samples[i].data(), {5, 1, i}, to, scratch);
        }
      });
    for (std::thread& worker : workers) worker.join();
    return rows;
  };
  const auto rows = all_rows(1, false);
  CHECK(all_rows(1, true) == rows);
  CHECK(all_rows(3, false) == rows);
}

TEST_CASE("each transform of the table changes a view of its own accord and by its own draws") {
  std::set<uint32_t> ids;
  for (const Transform& transform : transforms()) {
    INFO(transform.name);
    CHECK(ids.insert(transform.id).second);
    CHECK(transform.id <= max_draw_transform);
    CHECK((transform.place == nullptr) == (transform.draw != nullptr));
    CHECK((transform.change == nullptr) == (transform.draw == nullptr));
    CHECK(!transform.keys.empty());
    AugmentOptions options = still_options();
    const std::string name(transform.name);
    if (name == "crop") options.crop = {0.2, 0.5};
    if (name == "flip") options.flip = 1;
    if (name == "vertical_flip") options.vertical_flip = 1;
    if (name == "turns") options.turns = 1;
    if (name == "jitter") options.jitter_probability = 1;
    if (name == "greyscale") options.greyscale = 1;
    if (name == "blur") options.blur = {1};
    if (name == "blur") options.blur_sigma = {1, 2};
    if (name == "solarise") options.solarise = {1};
    if (name == "noise") options.noise = 1;
    if (name == "channel_drop") options.channel_drop = 1;
    const Shape shape{16, 16, 3};
    const auto sample = byte_sample(shape);
    const auto recipe = image_views(shape, 1, options, some_normalisation(3));
    const auto plain = apply(*plain_view(shape, 0, some_normalisation(3)), sample, {});
    int changes = 0;
    for (uint64_t i = 0; i < 20; ++i) changes += apply(*recipe, sample, {1, 0, i}) != plain;
    CHECK(changes >= (name == "turns" ? 8 : 20));
  }
  CHECK(ids.count(rotation_label_id) == 0);
  CHECK(ids.count(mask_id) == 0);
}

TEST_CASE("a view may have its own probabilities of blur and solarising") {
  AugmentOptions options = still_options();
  options.blur = {1, 0};
  options.blur_sigma = {1, 1};
  options.solarise = {0, 1, 0};
  const Shape shape{16, 16, 1};
  const auto sample = byte_sample(shape);
  const auto rows = apply(*image_views(shape, 4, options, no_normalisation(1)), sample, {});
  const auto plain = apply(*plain_view(shape, 0, no_normalisation(1)), sample, {})[0];
  CHECK(rows[0] != plain);
  CHECK(rows[1] != plain);
  CHECK(rows[2] == plain);
  CHECK(rows[3] == plain);
  for (size_t i = 0; i < plain.size(); ++i)
    CHECK(rows[1][i] == Approx(std::min(plain[i], 1 - plain[i])).margin(1e-6));
}

TEST_CASE("a rotated view is turned by its label and labels are even") {
  const Shape shape{9, 9, 3};
  const auto sample = byte_sample(shape);
  const auto recipe = rotated_view(shape, still_options(), no_normalisation(3));
  REQUIRE(recipe->outputs().size() == 2);
  CHECK(recipe->outputs()[1].name == "rotation");
  CHECK(recipe->outputs()[1].shape == Shape());
  CHECK(recipe->outputs()[1].dtype == DType::i64);
  std::array<int, 4> labels{};
  for (uint64_t i = 0; i < 1000; ++i) {
    const auto rows = apply(*recipe, sample, {1, 0, i});
    const size_t label = static_cast<size_t>(rows[1][0]);
    REQUIRE(label < 4);
    ++labels[label];
    if (i >= 20) continue;
    for (size_t y = 0; y < 9; ++y)
      for (size_t x = 0; x < 9; ++x) {
        // numpy.rot90: one turn moves the last column to the first row.
        const size_t from_y = std::array{y, x, 8 - y, 8 - x}[label];
        const size_t from_x = std::array{x, 8 - y, 8 - x, y}[label];
        for (size_t c = 0; c < 3; ++c)
          REQUIRE(rows[0][(y * 9 + x) * 3 + c] ==
                  static_cast<double>(sample[(from_y * 9 + from_x) * 3 + c]));
      }
  }
  for (const int count : labels) CHECK(count == Approx(250).margin(60));
}

TEST_CASE("a mask hides exactly the asked share in rectangles and leaves the view whole") {
  AugmentOptions options = still_options();
  options.mask = 0.3;
  const Shape shape{28, 20, 1};
  const auto sample = byte_sample(shape);
  const auto recipe = masked_view(shape, options, no_normalisation(1));
  REQUIRE(recipe->outputs().size() == 2);
  CHECK(recipe->outputs()[1].name == "mask");
  CHECK(recipe->outputs()[1].shape == Shape{28, 20, 1});
  CHECK(recipe->outputs()[1].dtype == DType::f32);
  std::vector<double> frequency(28 * 20, 0);
  std::set<std::vector<double>> masks;
  double runs = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const auto rows = apply(*recipe, sample, {1, 0, i});
    CHECK(largest_difference(rows[0], sample) == 0);
    masks.insert(rows[1]);
    double hidden = 0;
    for (size_t p = 0; p < rows[1].size(); ++p) {
      CHECK((rows[1][p] == 0 || rows[1][p] == 1));
      hidden += rows[1][p];
      frequency[p] += rows[1][p] / 500;
      runs += p % 20 > 0 && rows[1][p] != rows[1][p - 1];
    }
    CHECK(hidden == 168);
  }
  CHECK(masks.size() == 500);
  // Every pixel is hidden now and then; and far less often broken up than single pixels would be.
  for (const double f : frequency) CHECK((f > 0.01 && f < 0.8));
  CHECK(runs / 500 < 0.5 * 2 * 0.3 * 0.7 * 28 * 19);
}

TEST_CASE("a masked view's target is the view before colour, blur and noise") {
  AugmentOptions still = still_options();
  still.crop = {0.3, 0.6};
  still.flip = 0.5;
  const Shape shape{28, 20, 3};
  const auto sample = byte_sample(shape);
  const auto plain = masked_view(shape, still, no_normalisation(3));
  const std::vector<std::function<void(AugmentOptions&)>> changes = {
      [](AugmentOptions& o) { o.jitter_probability = 1; },
      [](AugmentOptions& o) { o.greyscale = 1; },
      [](AugmentOptions& o) { o.blur = {1}; },
      [](AugmentOptions& o) { o.solarise = {1}; },
      [](AugmentOptions& o) { o.noise = 1; },
      [](AugmentOptions& o) { o.channel_drop = 1; },
  };
  for (const auto& change : changes) {
    AugmentOptions options = still;
    options.jitter = {0.4, 0.4, 0.4, 0};
    change(options);
    const auto recipe = masked_view(shape, options, no_normalisation(3));
    REQUIRE(recipe->outputs().size() == 3);
    CHECK(recipe->outputs()[1].name == "target");
    const auto changed = apply(*recipe, sample, {1, 2, 3});
    const auto unchanged = apply(*plain, sample, {1, 2, 3});
    CHECK(changed[1] == unchanged[0]);
    CHECK(changed[0] != changed[1]);
    CHECK(changed[2] == unchanged[1]);  // the mask
  }
  AugmentOptions idle = still;  // asks for changes that change nothing
  idle.jitter = {0, 0, 0, 0};
  idle.jitter_probability = 1;
  idle.blur = {0, 1};
  CHECK(masked_view(shape, idle, no_normalisation(3))->outputs().size() == 2);
}

TEST_CASE("options that do not fit the sample are refused in one sentence that says what to do") {
  const auto views = [](const Shape& shape, const AugmentOptions& options) {
    const int64_t channels = shape.rank() == 3 ? shape[2] : 1;
    return message_of([&] { image_views(shape, 2, options, no_normalisation(channels)); });
  };
  AugmentOptions hue = still_options();
  hue.jitter = {0.4, 0.4, 0.4, 0.1};
  hue.jitter_probability = 0.8;
  CHECK(views({8, 8, 3}, hue) == "no error");
  CHECK(views({8, 8, 5}, hue).find("samples have 5 channels") != std::string::npos);
  AugmentOptions turns = still_options();
  turns.turns = 1;
  CHECK(views({8, 9, 3}, turns).find("8 x 9 pixels; set augment.size") != std::string::npos);
  AugmentOptions drop = still_options();
  drop.channel_drop = 0.1;
  CHECK(views({8, 8}, drop).find("one channel") != std::string::npos);
  AugmentOptions blur = still_options();
  blur.blur = {0, 0.5};
  blur.blur_kernel = 17;
  CHECK(views({8, 8}, blur).find("17 pixels is too wide for views of 8 x 8") != std::string::npos);
  CHECK(views({100}, still_options()).find("[100] are no images") != std::string::npos);
  CHECK(views({4, 4, 4, 1}, still_options()).find("no images") != std::string::npos);
  CHECK(message_of([] {
          rotated_view({8, 9, 1}, still_options(), no_normalisation(1));
        }).find("8 x 9 pixels") != std::string::npos);
  CHECK(message_of([&] {
          rotated_view({8, 8, 1}, turns, no_normalisation(1));
        }).find("contradict") != std::string::npos);
}

TEST_CASE("an epoch beyond the bits of the draws is refused") {
  const Shape shape{8, 8, 1};
  const auto recipe = image_views(shape, 1, still_options(), no_normalisation(1));
  const auto sample = byte_sample(shape);
  CHECK(message_of([&] {
          apply(*recipe, sample, {0, 1u << 20, 0});
        }).find("epoch 1048576") != std::string::npos);
  apply(*recipe, sample, {0, (1u << 20) - 1, 0});
}
