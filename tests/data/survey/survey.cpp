// Planted defects are found, and clean data have none.
#include "data/survey/survey.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "data/options.h"
#include "io/write_hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Matchers::Contains;

namespace {

constexpr int64_t side = 12, pixels = side * side;

// Images of their own in [0, 1]: smooth shapes and some noise.
std::vector<float> images(int64_t samples) {
  std::vector<float> values(static_cast<size_t>(samples * pixels));
  for (int64_t s = 0; s < samples; ++s) {
    const Draws draws(1, Purpose::test, static_cast<uint64_t>(s));
    for (int64_t p = 0; p < pixels; ++p) {
      double value = 0.5 + 0.02 * draws.normal(static_cast<uint32_t>(p) + 100);
      for (uint32_t k = 0; k < 4; ++k) {
        const double y = static_cast<double>(p / side) * draws.uniform(3 * k, 0.2, 1.0);
        const double x = static_cast<double>(p % side) * draws.uniform(3 * k + 1, 0.2, 1.0);
        value += 0.1 * std::sin(x + y + 6.3 * draws.uniform(3 * k + 2));
      }
      values[static_cast<size_t>(s * pixels + p)] = static_cast<float>(value);
    }
  }
  return values;
}

class Images {
 public:
  explicit Images(int64_t samples) : samples_(samples), values(images(samples)) {
    for (int64_t s = 0; s < samples; ++s) labels.push_back(static_cast<uint8_t>(s % 5));
  }
  float* sample(int64_t s) { return values.data() + s * pixels; }
  void copy(int64_t from, int64_t to) { std::copy_n(sample(from), pixels, sample(to)); }

  Survey survey(const SurveyOptions& options = {}, hsize_t chunk = 16) {
    const std::string path = folder_ / "a.h5";
    written::DataFile(path).add("x", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT,
                                {static_cast<hsize_t>(samples_), side, side}, values.data(),
                                {.chunk = {chunk, side, side}});
    { written::DataFile other(folder_ / "b.h5"); }
    add_labels(path);
    const auto alone = self_communicator();
    const Dataset dataset({path}, {{sample_field, "x"}, {label_field, "y"}}, *alone);
    return survey_samples(dataset, Channels::none, options);
  }

 private:
  void add_labels(const std::string& path) {
    hdf5::File file = hdf5::File::open_writable(path);
    file.create_dataset("y", DType::u8, {samples_}).write(labels.data(), DType::u8);
    file.close();
  }
  TemporaryFolder folder_;
  int64_t samples_;

 public:
  std::vector<float> values;
  std::vector<uint8_t> labels;
};

}  // namespace

TEST_CASE("a survey of clean data finds nothing") {
  Images images(500);
  const Survey survey = images.survey();
  CHECK(survey.all);
  CHECK(survey.samples == 500);
  CHECK(survey.not_finite == 0);
  CHECK(survey.where.empty());
  CHECK(survey.constant == 0);
  CHECK(survey.equal.found == 0);
  CHECK(survey.equal.most == 0);
  CHECK(survey.contradictions == 0);
  CHECK(survey.alike.looked_at == 500);
  CHECK(survey.alike.found == 0);
  CHECK(survey.directions > 5);
  const auto [low, high] = std::minmax_element(images.values.begin(), images.values.end());
  CHECK(survey.low == static_cast<double>(*low));
  CHECK(survey.high == static_cast<double>(*high));
  CHECK(survey.read_seconds > 0);
}

TEST_CASE("a survey finds values that are no numbers, and where the first is") {
  Images images(100);
  images.sample(77)[5] = std::numeric_limits<float>::quiet_NaN();
  images.sample(42)[0] = -std::numeric_limits<float>::infinity();
  images.sample(42)[1] = std::numeric_limits<float>::quiet_NaN();
  const Survey survey = images.survey();
  CHECK(survey.not_finite == 2);
  CHECK_THAT(survey.where, Contains("row 42 of /x in ") && Contains("a.h5"));
  CHECK(std::isfinite(survey.low));
}

TEST_CASE("a survey tells equal samples, constant ones and ones that look alike apart") {
  Images images(400);
  for (int64_t s = 0; s < 7; ++s) std::fill_n(images.sample(50 * s), pixels, 0.25f);
  images.copy(1, 301);
  images.copy(1, 302);
  images.labels[1] = images.labels[301] = images.labels[302] = 3;
  images.copy(20, 21);
  images.labels[20] = 1;
  images.labels[21] = 2;
  images.copy(60, 160);  // darker, and noisy
  for (int64_t p = 0; p < pixels; ++p) {
    images.sample(160)[p] =
        0.1f + 0.6f * images.sample(160)[p] +
        0.004f * static_cast<float>(Draws(2, Purpose::test, 0).normal(static_cast<uint32_t>(p)));
  }
  const Survey survey = images.survey();
  CHECK(survey.constant == 7);
  CHECK(survey.equal.looked_at == 393);
  CHECK(survey.equal.found == 5);
  CHECK(survey.equal.example == std::pair<int64_t, int64_t>(1, 301));
  CHECK(survey.contradictions == 2);
  CHECK(survey.alike.looked_at == 393);
  CHECK(survey.alike.found == 7);  // the equal ones too
  CHECK(survey.alike.most == Approx(7.0 / 393));
}

TEST_CASE("what a part of the data shows of twins encloses what all of them have") {
  // A tenth of 4000 samples have a twin, anywhere; 800 are looked at, by different draws.
  Images images(4000);
  for (int64_t s = 0; s < 200; ++s) images.copy(20 * s + 3, (20 * s + 2017) % 4000);
  int enclosed = 0, tries = 0;
  double expected = 0;
  for (uint64_t seed = 0; seed < 20; ++seed, ++tries) {
    SurveyOptions options;
    options.seed = seed;
    options.most_bytes = 800 * pixels * 4;
    options.most_compared = 800;
    const Survey survey = images.survey(options, 8);
    REQUIRE_FALSE(survey.all);
    CHECK(survey.samples == Approx(800).margin(8));
    for (const Twins& twins : {survey.equal, survey.alike}) {
      CHECK(twins.least <= twins.expected);
      CHECK(twins.expected <= twins.most);
      expected += twins.expected / 40;
    }
    enclosed += survey.equal.least <= 0.1 && 0.1 <= survey.equal.most ? 1 : 0;
  }
  CHECK(enclosed >= 18);
  CHECK(expected == Approx(0.1).epsilon(0.25));
}

TEST_CASE("twins that are neighbours are seen whatever part is looked at") {
  Images images(2000);
  for (int64_t s = 0; s < 2000; s += 2) images.copy(s, s + 1);
  SurveyOptions options;
  options.most_bytes = 200 * pixels * 4;
  options.most_compared = 100;
  const Survey survey = images.survey(options);
  CHECK(survey.equal.found == survey.equal.looked_at);
  CHECK(survey.equal.expected == 1);
  CHECK(survey.alike.expected > 0.6);
}

TEST_CASE("values outside a range are counted, and the same draws give the same survey") {
  Images images(300);
  SurveyOptions options;
  options.range = Range{0.5, 1.5};
  options.most_bytes = 100 * pixels * 4;
  const Survey survey = images.survey(options);
  CHECK(survey.outside == Approx(0.5).margin(0.1));
  options.threads = 2;
  const Survey again = images.survey(options);
  CHECK(again.outside == survey.outside);
  CHECK(again.low == survey.low);
  CHECK(again.alike.looked_at == survey.alike.looked_at);
}

TEST_CASE("thumbnails are of any axes, and the same for channels first and last") {
  const TemporaryFolder folder;
  std::vector<uint8_t> last(64 * 8 * 8 * 3), first(last.size()), line(last.size());
  for (size_t s = 0; s < 64; ++s) {
    const Draws draws(3, Purpose::test, s / 2);  // in pairs
    for (uint32_t p = 0; p < 64; ++p) {
      for (uint32_t c = 0; c < 3; ++c) {
        const auto value = static_cast<uint8_t>(draws.below(3 * p + c, 256));
        last[s * 192 + p * 3 + c] = value;
        first[s * 192 + c * 64 + p] = value;
        line[s * 192 + p * 3 + c] = value;
      }
    }
  }
  {
    written::DataFile file(folder / "a.h5");
    file.add("last", H5T_STD_U8LE, H5T_NATIVE_UINT8, {64, 8, 8, 3}, last.data());
    file.add("first", H5T_STD_U8LE, H5T_NATIVE_UINT8, {64, 3, 8, 8}, first.data());
    file.add("line", H5T_STD_U8LE, H5T_NATIVE_UINT8, {64, 192}, line.data());
    file.add("volume", H5T_STD_U8LE, H5T_NATIVE_UINT8, {64, 4, 4, 4, 3}, line.data());
    file.add("few", H5T_STD_U8LE, H5T_NATIVE_UINT8, {4096, 3}, line.data());
  }
  const auto alone = self_communicator();
  std::vector<double> directions;
  for (const auto& [path, channels] :
       {std::pair{"last", Channels::last}, std::pair{"first", Channels::first},
        std::pair{"line", Channels::none}, std::pair{"volume", Channels::last}}) {
    INFO(path);
    const Dataset dataset({folder / "a.h5"}, {{sample_field, path}}, *alone);
    const Survey survey = survey_samples(dataset, channels, {});
    CHECK(survey.alike.found == 64);
    CHECK(survey.equal.found == 64);
    directions.push_back(survey.directions);
  }
  CHECK(directions[0] == directions[1]);
  // Three values tell nothing of likeness.
  const Dataset few({folder / "a.h5"}, {{sample_field, "few"}}, *alone);
  CHECK(survey_samples(few, Channels::none, {}).directions == 0);
}
