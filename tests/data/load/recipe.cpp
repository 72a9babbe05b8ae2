// What reaches a recipe, and what the batch holds then.
#include "data/load/recipe.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "data/load/loader.h"
#include "data/options.h"
#include "io/write_hdf5.h"
#include "modalities/array.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using Catch::Contains;

namespace {

// Writes its input and its key.
class Echo : public Augmentation {
 public:
  explicit Echo(const Shape& input)
      : input_(input), outputs_{{"view", input, DType::f32}, {"key", {3}, DType::i64}} {}
  const Shape& input() const override { return input_; }
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void apply(const float* sample, const SampleKey& key, std::span<void* const> to,
             Scratch&) const override {
    LACUNA_CHECK(to.size() == 2);
    std::copy_n(sample, input_.count(), static_cast<float*>(to[0]));
    auto* numbers = static_cast<int64_t*>(to[1]);
    numbers[0] = static_cast<int64_t>(key.seed);
    numbers[1] = static_cast<int64_t>(key.epoch);
    numbers[2] = static_cast<int64_t>(key.sample);
  }

 private:
  Shape input_;
  std::vector<OutputField> outputs_;
};

// Writes nothing.
class Nothing : public Recipe {
 public:
  const std::vector<OutputField>& outputs() const override { return outputs_; }
  void make(std::span<const Extent>, const SampleKey&, std::span<void* const>,
            Scratch&) const override {}

 private:
  std::vector<OutputField> outputs_;
};

}  // namespace

TEST_CASE("recipes get interpreted floats and the key of the sample") {
  const TemporaryFolder folder;
  std::vector<int32_t> values, labels;  // [11, 3, 2, 2]: channels first
  for (int s = 0; s < 11; ++s) {
    for (int k = 0; k < 3; ++k) {
      for (int p = 0; p < 4; ++p) values.push_back(s * 12 + k * 4 + p);
    }
    labels.push_back(-s);
  }
  {
    written::DataFile file(folder / "a.h5");
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_INT, {11, 3, 2, 2}, values.data(),
             {.chunk = {4, 3, 2, 2}});
    file.add("y", H5T_STD_I16BE, H5T_NATIVE_INT, {11, 1}, labels.data());
  }
  const auto alone = self_communicator();
  DataOptions options;
  options.files = {folder / "a.h5"};
  options.dataset = "x";
  options.label = "y";
  const Dataset dataset = open_dataset(options, *alone);
  const Interpretation interpretation(dataset.fields()[0], Channels::first, 0, 255);
  CHECK(interpretation.shape() == Shape{2, 2, 3});
  const RecipePointer recipe = with_label(
      dataset, array_recipe(interpretation, std::make_shared<Echo>(interpretation.shape())));
  LoaderOptions loading;
  loading.batch = 4;
  loading.end = 22;
  loading.seed = 9;
  Loader loader(dataset,
                std::make_unique<Order>(order_spec(dataset, chosen_lanes(dataset, options, 4), 9)),
                recipe, loading);
  int64_t seen = 0;
  while (const std::optional<Batch> batch = loader.next()) {
    CHECK(batch->names() == std::vector<std::string>{"view", "key", "label"});
    CHECK(batch->field("view").shape() == Shape{batch->local_count(), 2, 2, 3});
    CHECK(batch->field("label").shape() == Shape{batch->local_count()});
    for (size_t i = 0; i < batch->samples.size(); ++i, ++seen) {
      const int64_t sample = batch->samples[i];
      const auto key = batch->field("key").as<int64_t>();
      CHECK(key[3 * i] == 9);
      CHECK(key[3 * i + 1] == seen / 11);
      CHECK(key[3 * i + 2] == sample);
      CHECK(batch->field("label").as<int64_t>()[i] == -sample);
      const auto view = batch->field("view").as<float>();
      for (int p = 0; p < 4; ++p) {
        for (int k = 0; k < 3; ++k) {
          const auto stored = static_cast<double>(sample * 12 + k * 4 + p);
          CHECK(view[i * 12 + static_cast<size_t>(p * 3 + k)] == Approx(stored / 255));
        }
      }
    }
  }
  CHECK(seen == 22);
}

TEST_CASE("labels that are no whole numbers are refused, and others are classes of any type") {
  const TemporaryFolder folder;
  const std::vector<double> labels = {0, 2, -1, 0.5, 1e300, std::nan(""), INFINITY, 3};
  {
    written::DataFile file(folder / "a.h5");
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_UINT8, {8, 2, 2}, nullptr);
    file.add("y", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, {8}, labels.data());
  }
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{"sample", "x"}, {"label", "y"}}, *alone);
  const RecipePointer classes = with_label(dataset, std::make_shared<Nothing>());
  Scratch scratch;
  const auto read = [&](size_t i) {
    const auto label = static_cast<float>(labels[i]);
    const uint8_t sample = 0;
    const std::vector<Extent> stored = {{&sample}, {&label}};
    int64_t to = 77;
    const std::vector<void*> places = {&to};
    classes->make(stored, {.sample = i}, places, scratch);
    return to;
  };
  CHECK(read(0) == 0);
  CHECK(read(1) == 2);
  CHECK(read(2) == -1);
  CHECK(read(7) == 3);
  CHECK_THROWS_WITH(read(3), Catch::Contains("the label of sample 3 in") &&
                                 Catch::Contains("y is 0.5, and classes are whole numbers"));
  for (const size_t bad : {4, 5, 6}) CHECK_THROWS_AS(read(bad), Error);
}

TEST_CASE("labels of more than one number are refused") {
  const TemporaryFolder folder;
  const std::vector<int32_t> values(40, 1);
  {
    written::DataFile file(folder / "a.h5");
    file.add("x", H5T_STD_U8LE, H5T_NATIVE_INT, {10, 4}, values.data());
    file.add("y", H5T_STD_U8LE, H5T_NATIVE_INT, {10, 2}, values.data());
  }
  const auto alone = self_communicator();
  const Dataset dataset({folder / "a.h5"}, {{"sample", "x"}, {"label", "y"}}, *alone);
  CHECK_THROWS_WITH(with_label(dataset, std::make_shared<Nothing>()),
                    Contains("/y have the shape [2]") && Contains("data.label"));
}
