// Every architecture of the list, by the same tests, and what each family refuses.
#include "encoders/list.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "backend/list.h"
#include "base/error.h"
#include "encoders/vit.h"
#include "graph/differentiate.h"
#include "graph/executor.h"
#include "ops/elementwise.h"
#include "ops/squared_error.h"

using namespace lacuna;

namespace {

Configuration configuration_of(std::string_view name, const std::string& more = "") {
  Schema schema;
  schema.add(encoder_keys());
  return Configuration::from_text(concat("[encoder]\nname = \"", name, "\"\n", more), schema,
                                  "encoder.toml");
}

// Parameters of an encoder for images of 224 x 224 x 3.
int64_t parameters_of(std::string_view name, const std::string& more) {
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  StateStore store(*device);
  encoder_factory(configuration_of(name, more), {224, 224, 3})(Scope(store, 1));
  int64_t count = 0;
  for (const State* state : store.select("", Role::parameter)) count += state->shape().count();
  return count;
}

}  // namespace

TEST_CASE("every encoder has the shapes that it promises and takes no samples") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  const std::array<Shape, 3> samples = {Shape{32}, Shape{32, 2}, Shape{32, 48, 2}};
  for (const EncoderEntry& entry : encoders()) {
    for (int axes = 0; axes < 3; ++axes) {
      CAPTURE(entry.name, axes);
      const Shape& sample = samples[static_cast<size_t>(axes)];
      if (axes < entry.least_axes || axes > entry.most_axes) {
        CHECK_THROWS_WITH(encoder_factory(configuration_of(entry.name), sample),
                          Catch::Contains(concat("encoder ", entry.name, " takes ")) &&
                              Catch::Contains(concat(sample)) &&
                              Catch::Contains("choose another encoder.name"));
        continue;
      }
      StateStore store(*device);
      const auto encoder = encoder_factory(configuration_of(entry.name), sample)(Scope(store, 1));
      ForwardContext forward{.communicator = *self, .rows = {0}};
      const HostTensor none(DType::f32, sample.behind(0));
      const Tensor x = host_leaf("x", none);
      const Tensor features = (*encoder)(x, forward);
      const Tensor map = encoder->map(x, forward).values;
      CHECK(features.shape() == Shape{0, encoder->features()});
      Shape expected = sample.behind(0);
      for (int axis = 1; axis <= axes; ++axis)
        expected.set(axis, sample[axis - 1] / encoder->stride());
      expected.set(-1, encoder->features());
      CHECK(map.shape() == expected);
      Executor executor(*device);
      executor.run({features, map});
      // Layers in depth: none without a parameter, and none that is not there.
      std::set<int64_t> layers;
      for (const State* state : store.select("", Role::parameter))
        layers.insert(encoder->layer_of(state->name()));
      CHECK(*layers.begin() == 0);
      CHECK(*layers.rbegin() <= encoder->layers());
      layers.erase(encoder->layers());
      CHECK(static_cast<int64_t>(layers.size()) == encoder->layers());
    }
  }
}

// torchvision's and timm's models without their classifier: 1000 (features + 1) parameters fewer.
TEST_CASE("encoders have as many parameters as torchvision's and timm's models of their name") {
  const std::string imagenet = "stem = \"imagenet\"\n";
  CHECK(parameters_of("resnet18", imagenet) == 11689512 - 1000 * 513);
  CHECK(parameters_of("resnet34", imagenet) == 21797672 - 1000 * 513);
  CHECK(parameters_of("resnet50", imagenet) == 25557032 - 1000 * 2049);
  CHECK(parameters_of("vit_tiny", "") == 5717416 - 1000 * 193);
  CHECK(parameters_of("vit_small", "") == 22050664 - 1000 * 385);
  CHECK(parameters_of("vit_base", "") == 86567656 - 1000 * 769);
}

TEST_CASE("vision transformers have heads of 64 features") {
  for (const char* name : {"vit_tiny", "vit_small", "vit_base"}) {
    CHECK(vit_size(name).features == 64 * vit_size(name).heads);
  }
}

// Draws of each block, by their size; each has two branches.
TEST_CASE("stochastic depth grows from nothing at the first block to its rate at the last") {
  const auto self = self_communicator();
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  StateStore store(*device);
  const auto encoder =
      make_vit({.features = 8, .depth = 3, .heads = 1, .patch = 8, .drop_path = 0.5}, {8, 8, 1},
               Scope(store, 1));
  constexpr int64_t rows = 200;
  std::vector<SampleKey> keys(rows);
  for (size_t i = 0; i < keys.size(); ++i) keys[i].sample = i;
  ForwardContext forward{.communicator = *self, .rows = {rows}, .keys = keys};
  (*encoder)(host_leaf("x", DType::f32, {rows, 8, 8, 1}, nullptr), forward);
  REQUIRE(forward.drawn.size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    const float kept = i < 2 ? 1 / 0.75f : 2;
    std::set<float> values;
    for (const float value : forward.drawn[i].as<float>()) values.insert(value);
    CHECK(values == std::set<float>{0, kept});
  }
}

TEST_CASE("a vision transformer refuses patches that do not divide the image") {
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  StateStore store(*device);
  const Configuration c = configuration_of("vit_tiny", "patch = 5\n");
  CHECK_THROWS_WITH(encoder_factory(c, {28, 28, 1})(Scope(store, 1)),
                    Catch::Contains("encoder.toml, line 3") &&
                        Catch::Contains("encoder.patch = 5 does not divide images of 28 x 28"));
}

TEST_CASE("embeddings of tokens are not decayed") {
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  StateStore store(*device);
  encoder_factory(configuration_of("vit_tiny", "depth = 1\n"), {32, 32, 1})(Scope(store, 1));
  CHECK_FALSE(store.find("cls_token")->decays());
  CHECK_FALSE(store.find("pos_embed")->decays());
  CHECK_FALSE(store.find("norm.weight")->decays());
  CHECK(store.find("blocks.0.attn.qkv.weight")->decays());
  CHECK(store.find("patch_embed.proj.weight")->decays());
}

TEST_CASE(
    "encoders: what stands in the padding of a sample changes no bit, and its length nothing") {
  const auto self = self_communicator();
  const std::vector<int64_t> lengths = {9, 40, 1, 23, 17};
  const auto rows = static_cast<int64_t>(lengths.size());
  constexpr int64_t channels = 2;
  struct Result {
    HostTensor features, map, weight;
  };
  // Of the samples in views of this size, with this value in the padding.
  const auto result = [&](const EncoderEntry& entry, std::string_view device_name, int64_t size,
                          float padding) {
    const std::unique_ptr<Device> device = make_device(device_name, 2);
    StateStore store(*device);
    const std::string width = entry.name == "resnet50" ? "width = 2\n" : "width = 4\n";
    const auto encoder = encoder_factory(configuration_of(entry.name, width), {size, channels},
                                         true)(Scope(store, 1));
    HostTensor values(DType::f32, {rows, size, channels}), mask(DType::f32, {rows, size});
    for (int64_t b = 0; b < rows; ++b) {
      const Draws draws(3, Purpose::test, static_cast<uint64_t>(b));
      for (int64_t i = 0; i < size; ++i) {
        const bool counts = i < lengths[static_cast<size_t>(b)];
        mask.as<float>()[static_cast<size_t>(b * size + i)] = counts ? 1.f : 0.f;
        for (int64_t c = 0; c < channels; ++c)
          values.as<float>()[static_cast<size_t>((b * size + i) * channels + c)] =
              counts ? static_cast<float>(draws.uniform(static_cast<uint32_t>(i * channels + c)))
                     : padding;
      }
    }
    const DType compute = device->parameter_dtype();
    ForwardContext forward{
        .communicator = *self, .compute = compute, .parameters = compute, .rows = {rows}};
    const Masked x{cast(host_leaf("x", values), compute), cast(host_leaf("mask", mask), compute)};
    const Tensor features = (*encoder)(x, forward);
    const Masked map = encoder->map(x, forward);
    CHECK(map.mask.shape() == map.values.shape().slice(0, 2));
    const State* first = store.select("", Role::parameter).front();
    HostTensor zero(compute, features.shape());
    std::memset(zero.data(), 0, zero.bytes());
    const Tensor loss = squared_error(features, host_leaf("zero", zero), 1);
    HostTensor one(loss.dtype(), Shape{});
    if (loss.dtype() == DType::f64)
      one.as<double>()[0] = 1;
    else
      one.as<float>()[0] = 1;
    const Tensor gradient = differentiate(loss, host_leaf("one", one), {first->tensor()})[0];
    Executor executor(*device);
    executor.run({features, map.values, gradient});
    return Result{executor.output(0), executor.output(1), executor.output(2)};
  };
  const auto same_bits = [](const HostTensor& a, const HostTensor& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
  };
  for (const EncoderEntry& entry : encoders()) {
    if (!entry.masks) {
      if (entry.most_axes == 2)
        CHECK_THROWS_WITH(
            encoder_factory(configuration_of(entry.name), {32, 32, 2}, true),
            Catch::Contains("takes samples of one length") && Catch::Contains("resnet18"));
      continue;
    }
    CAPTURE(entry.name);
    for (const char* device : {"reference", "cpu"}) {
      CAPTURE(device);
      const Result zeros = result(entry, device, 48, 0);
      const Result others = result(entry, device, 48, std::numeric_limits<float>::quiet_NaN());
      CHECK(same_bits(zeros.features, others.features));
      CHECK(same_bits(zeros.map, others.map));
      CHECK(same_bits(zeros.weight, others.weight));
    }
    // Statistics of the batch, too, are of what counts.
    const Result near = result(entry, "reference", 48, 0), far = result(entry, "reference", 77, 0);
    for (size_t i = 0; i < near.features.as<double>().size(); ++i)
      CHECK(near.features.as<double>()[i] == Approx(far.features.as<double>()[i]).epsilon(1e-9));
    for (size_t i = 0; i < near.weight.as<double>().size(); ++i)
      CHECK(near.weight.as<double>()[i] ==
            Approx(far.weight.as<double>()[i]).epsilon(1e-7).margin(1e-12));
  }
}
