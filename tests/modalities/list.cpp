// What modalities find in real files, how they say it, and what they refuse.
#include "modalities/list.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "data/options.h"
#include "io/write_hdf5.h"
#include "modalities/array.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Contains;

namespace {

// Samples of a shape in a file of its own: element i of all is i * 7 mod 480, times `unit`, more
// than `offset`.
class Samples {
 public:
  Samples(const std::vector<hsize_t>& shape, hid_t type, double unit = 1, double offset = 0)
      : in_double_(H5Tequal(type, H5T_IEEE_F64LE) > 0) {
    size_t count = 1;
    for (const hsize_t size : shape) count *= size;
    for (size_t i = 0; i < count; ++i)
      values_.push_back(offset + static_cast<double>(i * 7 % 480) * unit);
    written::DataFile(folder_ / "a.h5").add("x", type, H5T_NATIVE_DOUBLE, shape, values_.data());
  }

  // The modality that lines of [data] and [augment] ask for.
  std::unique_ptr<Modality> read(const std::string& lines, const Facts* known = nullptr,
                                 const Configuration* run = nullptr) {
    Schema schema;
    schema.add(data_keys()).add(modality_keys());
    configuration_.emplace(Configuration::from_text(
        concat("data.files = \"", (folder_ / "a.h5").string(), "\"\ndata.dataset = \"x\"\n", lines),
        schema, "test.toml"));
    dataset_.emplace(open_dataset(data_options(*configuration_), *alone_));
    ModalityParts parts{.dataset = *dataset_,
                        .configuration = *configuration_,
                        .scan = {},
                        .communicator = *alone_};
    parts.run = run;
    if (known != nullptr) {
      parts.known = [known](const std::string& name) {
        for (const Fact& fact : *known)
          if (fact.name == name) return fact.values;
        return std::vector<double>();
      };
    }
    return make_modality(parts);
  }

  // Of what was read last.
  const Configuration& configuration() const { return *configuration_; }

  // "view0" of sample `number` as `recipe` makes it.
  std::vector<float> view(const Recipe& recipe, int64_t number, const SampleKey& key = {}) const {
    const int64_t count = dataset_->fields()[0].shape.count();
    const std::vector<double> sample(values_.begin() + number * count,
                                     values_.begin() + (number + 1) * count);
    std::vector<float> stored(sample.begin(), sample.end());
    std::vector<HostTensor> fields;
    std::vector<void*> to;
    for (const OutputField& field : recipe.outputs())
      to.push_back(fields.emplace_back(field.dtype, field.shape).data());
    Scratch scratch;
    Extent extent{.data = stored.data()};  // the file's type is float32 or float64
    if (in_double_) extent.data = sample.data();
    recipe.make({&extent, 1}, key, to, scratch);
    const auto floats = fields[0].as<float>();
    return {floats.begin(), floats.end()};
  }

 private:
  bool in_double_;
  TemporaryFolder folder_;
  std::vector<double> values_;
  std::unique_ptr<Communicator> alone_ = self_communicator();
  std::optional<Configuration> configuration_;
  std::optional<Dataset> dataset_;
};

std::vector<double> fact(const Modality& modality, const std::string& name) {
  for (const Fact& each : modality.facts())
    if (each.name == name) return each.values;
  FAIL("no fact " << name);
  return {};
}

const std::string signal = "data.kind = \"signal\"\n", table = "data.kind = \"vector\"\n";

}  // namespace

TEST_CASE("modalities: images take the type's range, and say how they read a sample") {
  Samples samples({40, 6, 4, 2}, H5T_STD_U16LE);
  const auto image = samples.read("");
  CHECK(image->description() == "6 x 4 pixels, 2 channels (last), uint16, 0 to 65535 as 0 to 1");
  CHECK(image->sample() == Shape{6, 4, 2});
  CHECK(fact(*image, "range") == std::vector<double>{0, 65535});
  CHECK(fact(*image, "mean")[0] == Approx(239.0 / 65535).epsilon(1e-3));
  CHECK_THROWS_WITH(samples.read("data.range = [4, 4]\n"), Contains("data.range is [4, 4]"));
  CHECK_THROWS_WITH(samples.read("data.range = [0, 200]\ndata.statistics = \"given\"\n"
                                 "data.mean = [0.5]\ndata.std = [0.25]\n"),
                    Contains("data.mean has 1 value, but") && Contains("2 channels"));
  CHECK_THROWS_WITH(samples.read(signal),
                    Contains("/x have the shape [6, 4, 2]") && Contains("data.channels"));
}

TEST_CASE("modalities: what may be a signal or an image is asked for, and its channels too") {
  Samples two({12, 3, 50}, H5T_IEEE_F32LE);
  CHECK_THROWS_WITH(two.read(""), Contains("set data.kind to \"signal\" or to \"image\""));
  CHECK(two.read("data.kind = \"image\"\n")->sample() == Shape{3, 50, 1});
  const auto first = two.read(signal);
  CHECK(first->sample() == Shape{50, 3});
  CHECK(first->description() == "50 positions, 3 channels (first), float32, values as they are");
  Samples three({12, 50, 3}, H5T_IEEE_F32LE);
  CHECK(three.read(signal)->sample() == Shape{50, 3});
  Samples square({12, 20, 30}, H5T_IEEE_F32LE);
  CHECK_THROWS_WITH(square.read(signal), Contains("[20, 30]") && Contains("data.channels"));
  CHECK(square.read(signal + "data.channels = \"last\"\n")->sample() == Shape{20, 30});
  Samples one({12, 50}, H5T_IEEE_F32LE);
  CHECK(one.read(signal)->sample() == Shape{50, 1});
  CHECK_THROWS_WITH(one.read(table + "data.statistics = \"given\"\ndata.mean = [1, 2]\n"
                                     "data.std = [1, 2]\n"),
                    Contains("data.mean has 2 values") && Contains("have 50 features"));
  const auto row = one.read(table);
  CHECK(row->sample() == Shape{50});
  CHECK(row->description() == "50 features, float32, values as they are");
  CHECK(one.read(table + "data.range = [-1, 9]\n")->description() ==
        "50 features, float32, -1 to 9 as 0 to 1");
}

TEST_CASE("modalities: a plain signal is its values in standard deviations") {
  Samples samples({12, 2, 50}, H5T_IEEE_F32LE);
  const auto modality = samples.read(signal);
  const std::vector<double> mean = fact(*modality, "mean"), std = fact(*modality, "std");
  const std::vector<float> view = samples.view(*modality->plain(), 5);
  for (size_t i = 0; i < 50; ++i) {
    for (size_t c = 0; c < 2; ++c) {
      const double stored = static_cast<double>((5 * 100 + c * 50 + i) * 7 % 480);
      CHECK(view[2 * i + c] == Approx((stored - mean[c]) / std[c]).margin(1e-5));
    }
  }
}

TEST_CASE("modalities: what is small beside nothing else keeps its spread") {
  // The same signals in units a thousand million times larger: the same views.
  Samples samples({12, 1, 50}, H5T_IEEE_F32LE), small({12, 1, 50}, H5T_IEEE_F32LE, 1e-9);
  const std::vector<float> as_is = samples.view(*samples.read(signal)->plain(), 3);
  const std::vector<float> scaled = small.view(*small.read(signal)->plain(), 3);
  for (size_t i = 0; i < as_is.size(); ++i) CHECK(scaled[i] == Approx(as_is[i]).margin(1e-4));
  CHECK(std::abs(as_is[0] - as_is[1]) > 0.01);
}

// float32 holds 1e9 in steps of 64: all values of a feature would be one or two.
TEST_CASE("modalities: rows of a table far from zero keep the digits in which they differ") {
  Samples near({60, 8}, H5T_IEEE_F64LE, 1e-3), far({60, 8}, H5T_IEEE_F64LE, 1e-3, 1e9);
  const std::string corrupt = table + "augment.corrupt = [0.6]\n";
  const auto at_zero = near.read(corrupt), away = far.read(corrupt);
  for (size_t i = 0; i < 8; ++i) {
    CHECK(fact(*away, "mean")[i] == Approx(1e9 + fact(*at_zero, "mean")[i]).epsilon(1e-15));
    CHECK(fact(*away, "std")[i] == Approx(fact(*at_zero, "std")[i]).epsilon(1e-5));
  }
  // Views of the sample itself, and with features of others in their place.
  for (const int64_t row : {0, 17, 59}) {
    const SampleKey key{.seed = 3, .sample = static_cast<uint64_t>(row)};
    for (const bool corrupted : {false, true}) {
      const auto recipe_of = [&](const Modality& modality) {
        return corrupted ? modality.views(1) : modality.plain();
      };
      const std::vector<float> expected = near.view(*recipe_of(*at_zero), row, key);
      const std::vector<float> found = far.view(*recipe_of(*away), row, key);
      for (size_t i = 0; i < 8; ++i) CHECK(found[i] == Approx(expected[i]).margin(1e-4));
    }
  }
}

TEST_CASE("modalities: signals far from zero keep the digits in which they differ") {
  for (const char* channels : {"first", "last"}) {
    Samples near({60, 2, 50}, H5T_IEEE_F64LE, 1e-3), far({60, 2, 50}, H5T_IEEE_F64LE, 1e-3, 1e9);
    const std::string lines = concat(signal, "data.channels = \"", channels, "\"\n");
    const auto at_zero = near.read(lines), away = far.read(lines);
    CHECK(fact(*away, "std")[0] == Approx(fact(*at_zero, "std")[0]).epsilon(1e-5));
    for (const bool random : {false, true}) {
      const SampleKey key{.seed = 3, .sample = 17};
      const auto view_of = [&](const Samples& samples, const Modality& modality) {
        return samples.view(random ? *modality.views(1) : *modality.plain(), 17, key);
      };
      const std::vector<float> expected = view_of(near, *at_zero), found = view_of(far, *away);
      for (size_t i = 0; i < expected.size(); ++i)
        CHECK(found[i] == Approx(expected[i]).margin(1e-4));
    }
  }
}

TEST_CASE("modalities: values that float32 cannot hold are refused, unless they are scaled") {
  Samples samples({12, 8}, H5T_IEEE_F64LE, 1e38);
  CHECK_THROWS_WITH(samples.read(table), Contains("values of /x reach ") &&
                                             Contains("the largest that training in float32") &&
                                             Contains("data.range"));
  const auto scaled = samples.read(table + "data.range = [0, 5e40]\n");
  for (const float value : samples.view(*scaled->plain(), 3)) CHECK(std::isfinite(value));
}

TEST_CASE("modalities: values are scaled as in the run that found the facts") {
  Samples samples({12, 1, 50}, H5T_IEEE_F32LE);
  const auto run = samples.read(signal + "data.range = [0, 100]\n");
  const std::vector<float> there = samples.view(*run->plain(), 3);
  const Configuration of_run = samples.configuration();
  const Facts facts = run->facts();
  CHECK(samples.view(*samples.read(signal, &facts, &of_run)->plain(), 3) == there);
  CHECK(samples.view(*samples.read(signal)->plain(), 3) != there);
}

TEST_CASE("modalities: a vector's features have statistics and marginals of their own") {
  Samples samples({300, 6}, H5T_IEEE_F32LE);
  const auto modality = samples.read(table);
  const std::vector<double> marginals = fact(*modality, "marginals");
  REQUIRE(marginals.size() == 256 * 6);
  // Rows of the file: each feature's values are those that it has in some sample.
  for (size_t row = 0; row < 256; ++row) {
    const auto sample = static_cast<int64_t>(marginals[row * 6]);
    for (size_t d = 0; d < 6; ++d)
      CHECK(static_cast<int64_t>(marginals[row * 6 + d]) ==
            (sample + static_cast<int64_t>(7 * d)) % 480);
  }
  const Facts facts = modality->facts();
  const auto again = samples.read(table, &facts);
  CHECK(fact(*again, "marginals") == marginals);
  const SampleKey key{.seed = 3, .epoch = 1, .sample = 17};
  CHECK(samples.view(*again->views(2), 17, key) == samples.view(*modality->views(2), 17, key));
  CHECK_THROWS_WITH(Samples({10, 7}, H5T_IEEE_F32LE).read(table, &facts),
                    Contains("7") && Contains("use data like that of the run"));
}
