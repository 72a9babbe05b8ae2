// Networks and objectives beside PyTorch: loss, features, gradients, and all State after one step.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <optional>
#include <set>

#include "encoders/resnet.h"
#include "encoders/vit.h"
#include "golden/golden.h"
#include "ops/matrix_product.h"
#include "ops/shape.h"
#include "support/experiment.h"

namespace lacuna::golden {

namespace {

// [H, W, C] of images, [L, C] of signals, which have no height.
Shape sample_of(const Case& c) {
  const Shape signal{c.integer("length"), c.integer("channels")};
  return c.has("height") ? signal.behind(c.integer("height")) : signal;
}

// make.py's draw_fields(): a batch with every field that an objective may ask for.
class Inputs {
 public:
  Inputs(const Case& c, DType compute) : compute_(compute) {
    const auto seed = static_cast<uint64_t>(c.integer("seed"));
    const int64_t batch = c.integer("batch");
    const Shape views = sample_of(c).behind(batch);
    Shape positions = views;
    positions.set(-1, 1);
    for (const char* view : {"view0", "view1"}) add(view, views, normal(view, views, seed));
    add("paired.view0", views, normal("view1", views, seed));
    const Shape features{batch, c.integer("features")};
    add("functional", features, normal("functional", features, seed));
    const Draws mask(seed, Purpose::test, hash_name("mask"));
    add("mask", positions,
        [&](uint32_t i) { return mask.uniform(i) < c.number("mask") ? 1.f : 0.f; });
    const Draws rotation(seed, Purpose::test, hash_name("rotation"));
    rotation_ = HostTensor(DType::i64, {batch});
    for (uint32_t i = 0; i < batch; ++i) {
      rotation_.as<int64_t>()[i] = static_cast<int64_t>(4 * rotation.uniform(i));
    }
    fields_.add("rotation", host_leaf("rotation", rotation_));
  }
  const Fields& fields() const { return fields_; }

 private:
  static std::function<float(uint32_t)> normal(const std::string& name, const Shape& shape,
                                               uint64_t seed) {
    return [values = rounded_normal(name, shape.count(), seed)](uint32_t i) {
      return static_cast<float>(values[i]);
    };
  }
  void add(const std::string& name, const Shape& shape,
           const std::function<float(uint32_t)>& value) {
    HostTensor& host = memory_[name] = HostTensor(DType::f32, shape);
    for (uint32_t i = 0; i < shape.count(); ++i) host.as<float>()[i] = value(i);
    fields_.add(name, cast(host_leaf(name, host), compute_));
  }

  DType compute_;
  std::map<std::string, HostTensor> memory_;
  HostTensor rotation_;
  Fields fields_;
};

bool is_of(const Case& c, std::string_view family) { return c.text("encoder").starts_with(family); }

std::string encoder_options(const Case& c) {
  const std::string name = concat("name = \"", c.text("encoder"), "\"\n");
  if (is_of(c, "vit")) {
    return concat(name, "patch = ", c.integer("patch"), "\ndepth = ", c.integer("depth"),
                  "\npool = \"", c.text("pool"), "\"\npositions = \"", c.text("positions"), "\"\n");
  }
  const std::string width = concat(name, "width = ", c.integer("width"), "\n");
  if (!is_of(c, "resnet")) return width;
  return concat(width, "stem = \"", c.text("stem"), "\"\nstem_stride = ", c.integer("stem_stride"),
                "\n");
}

// An encoder for cases without an objective: of any size, or as its keys have it.
std::unique_ptr<Encoder> make_encoder(const Case& c, Scope scope) {
  const Shape sample = sample_of(c);
  if (is_of(c, "vit")) {
    return make_vit({.features = c.integer("features"),
                     .depth = c.integer("depth"),
                     .heads = c.integer("heads"),
                     .patch = c.integer("patch"),
                     .class_token = c.text("pool") == "class",
                     .sine_positions = c.text("positions") == "sine"},
                    sample, scope);
  }
  if (!is_of(c, "resnet")) {
    Schema schema;
    schema.add(encoder_keys());
    const std::string text = concat("[encoder]\n", encoder_options(c));
    return encoder_factory(Configuration::from_text(text, schema, "case.toml"), sample)(scope);
  }
  ResNetOptions options = resnet_blocks(c.text("encoder"));
  options.width = c.integer("width");
  options.imagenet_stem = c.text("stem") == "imagenet";
  options.stem_stride = c.integer("stem_stride");
  return make_resnet(options, sample.rank() - 1, sample[-1], scope);
}

// The linear functional of the features whose gradient the cases without an objective have.
Tensor functional(const Tensor& features, const Tensor& by) {
  const Shape row{1, features.shape().count()};
  return reshape(linear(reshape(features, row), reshape(by, row)), Shape{});
}

// One case's network on one device.
class Network {
 public:
  Network(const Case& c, const Setting& setting)
      : case_(c),
        device_(setting.make()),
        store_(*device_),
        inputs_(c, device_->parameter_dtype()),
        plan_{.eager = setting.eager} {
    make();
    draw_the_rest();
  }

  Results results() {
    Trainer trainer(
        *device_, *self_, store_,
        [this](const Fields& fields, ForwardContext& forward) { return loss(fields, forward); },
        make_optimizer(testing::small_configuration("rotation", {})),  // SGD by its defaults
        {.compute = device_->parameter_dtype(), .plan = plan_});
    const std::vector<int64_t> rows = {case_.integer("batch")};
    trainer.prepare(inputs_.fields(), rows);
    Results results;
    results["features"] = features(true);
    for (const auto& [name, gradient] : trainer.gradients(inputs_.fields(), rows)) {
      results["gradient/" + name] = as_double(gradient);
    }
    results["loss"] = {trainer.step(inputs_.fields(), rows, 0, case_.number("rate"), 0).loss};
    for (const State& state : store_.all()) {
      if (state.role() != Role::optimizer) results["state/" + state.name()] = state.values();
    }
    results["evaluation"] = features(false);
    return results;
  }

 private:
  void make() {
    const std::string name = case_.text("objective");
    if (name == "features") {
      own_encoder_ = make_encoder(case_, Scope(store_, 1) / "encoder");
      encode_ = [this](const Fields& fields, ForwardContext& forward) {
        return (*own_encoder_)(fields.view(0), forward);
      };
      return;
    }
    AugmentOptions augment;
    augment.mask = case_.number("mask");
    modality_ = std::make_unique<ImageModality>(testing::images(
        {case_.integer("height"), case_.integer("length"), case_.integer("channels")}, augment));
    const std::string decode = concat("decode = \"", case_.text("decode"), "\"\n");
    configuration_ = testing::small_configuration(
        name, {.encoder = encoder_options(case_), .objective = name == "inpaint" ? decode : ""});
    // Further parts are as the first.
    const EncoderFactory encoder = encoder_factory(*configuration_, modality_->sample());
    std::map<std::string, FurtherPart> further;
    for (const std::string& part : parts_of(*configuration_))
      further.insert({part, {*modality_, encoder}});
    objective_ = make_objective(
        {*configuration_, Scope(store_, 1), encoder, *modality_, std::move(further)});
    encode_ = output_of(*objective_, "encoder").of;
  }

  // make.py's draw_weights(), where they are not those that the layers have drawn.
  void draw_the_rest() {
    for (State& state : store_.all()) {
      if (state.shape().rank() > 1) continue;
      const Draws draws(1, Purpose::test, hash_name(state.name()));
      const bool variance = state.name().ends_with("running_var");
      const bool weight = state.name().ends_with("weight");
      state.fill([&](int64_t i) {
        const double value = draws.normal(static_cast<uint32_t>(i));
        return variance ? 3 * std::exp(0.2 * value) : weight ? 1 + 0.2 * value : 0.1 * value;
      });
    }
  }

  Tensor loss(const Fields& fields, ForwardContext& forward) const {
    if (objective_) return objective_->loss(fields, forward);
    return functional(encode_(fields, forward), fields["functional"]);
  }

  std::vector<double> features(bool training) {
    ForwardContext forward{.communicator = *self_,
                           .training = training,
                           .compute = device_->parameter_dtype(),
                           .parameters = device_->parameter_dtype(),
                           .rows = {case_.integer("batch")}};
    Executor executor(*device_, plan_);
    executor.run({encode_(inputs_.fields(), forward)});
    return as_double(executor.output(0));
  }

  static std::vector<double> as_double(const HostTensor& x) {
    if (x.dtype() == DType::f64) return {x.as<double>().begin(), x.as<double>().end()};
    return {x.as<float>().begin(), x.as<float>().end()};
  }

  const Case& case_;
  std::unique_ptr<Communicator> self_ = self_communicator();
  std::unique_ptr<Device> device_;
  StateStore store_;
  Inputs inputs_;
  PlanOptions plan_;
  std::unique_ptr<Modality> modality_;
  std::optional<Configuration> configuration_;
  std::unique_ptr<Encoder> own_encoder_;
  std::unique_ptr<Objective> objective_;
  std::function<Tensor(const Fields&, ForwardContext&)> encode_;
};

// All cases of one objective, and of encoders whose names begin so, on every device; how many there
// are.
int check_networks(std::string_view objective, std::string_view encoder = "") {
  int cases = 0;
  for_each_case("network", [&](const std::string& name, const Case& c) {
    if (c.text("objective") != objective || !c.text("encoder").starts_with(encoder)) return;
    for (const Setting& setting : settings()) {
      check(c, Network(c, setting).results(), setting.limits, concat(name, setting));
    }
    ++cases;
  });
  return cases;
}

}  // namespace

// Each checks what the training step computes: features and loss, the gradient of every parameter;
// then, after one step of SGD, every weight, running statistic and teacher; and evaluation with
// them.

TEST_CASE("ResNets with every stem agree with torchvision forward and backward", "[golden]") {
  CHECK(check_networks("features", "resnet") == 5);
}

TEST_CASE("vision transformers agree with PyTorch forward and backward", "[golden]") {
  CHECK(check_networks("features", "vit") == 3);
}

TEST_CASE("FCN agrees with PyTorch forward and backward", "[golden]") {
  CHECK(check_networks("features", "fcn") == 1);
}

TEST_CASE("SimCLR agrees with PyTorch", "[golden]") { CHECK(check_networks("simclr") == 3); }

TEST_CASE("BYOL agrees with PyTorch and its teacher too", "[golden]") {
  CHECK(check_networks("byol") == 1);
}

TEST_CASE("SimSiam agrees with PyTorch", "[golden]") { CHECK(check_networks("simsiam") == 1); }

TEST_CASE("CLIP agrees with PyTorch", "[golden]") { CHECK(check_networks("clip") == 1); }

TEST_CASE("rotation prediction agrees with PyTorch", "[golden]") {
  CHECK(check_networks("rotation") == 1);
}

TEST_CASE("inpainting agrees with PyTorch", "[golden]") { CHECK(check_networks("inpaint") == 3); }

TEST_CASE("every objective has golden values and all golden values are of an objective") {
  std::set<std::string> golden;
  for_each_case("network", [&](const std::string&, const Case& c) {
    if (c.text("objective") != "features") golden.insert(c.text("objective"));
  });
  std::set<std::string> known;
  for (const ObjectiveEntry& entry : objectives()) known.emplace(entry.name);
  CHECK(golden == known);
}

TEST_CASE("a golden value that is wrong by a millionth fails the comparison") {
  const Setting reference = settings().front();
  int cases = 0;
  for_each_case("network", [&](const std::string& name, Case c) {
    if (name != "small_stem") return;
    ++cases;
    const Results ours = Network(c, reference).results();
    REQUIRE(beyond(differences(c, ours), reference.limits).empty());
    for (auto& [tensor, golden] : c.tensors) {
      // The largest value: one that hardly counts in its tensor is within the tensor's limit.
      const auto largest =
          std::max_element(golden.values.begin(), golden.values.end(),
                           [](double a, double b) { return std::abs(a) < std::abs(b); });
      const double right = *largest;
      *largest *= 1 + 1e-6;
      const std::vector<Difference> found = beyond(differences(c, ours), reference.limits);
      CAPTURE(tensor, right);
      REQUIRE(found.size() == 1);
      CHECK(found[0].name == tensor);
      *largest = right;
    }
  });
  CHECK(cases == 1);
}

TEST_CASE("a wrong element or an absent tensor or NaN fails the comparison with golden values") {
  const Setting reference = settings().front();
  for_each_case("network", [&](const std::string& name, const Case& c) {
    if (name != "small_stem") return;
    const Results right = Network(c, reference).results();
    const auto fails = [&](const std::string& tensor, const std::function<void(Results&)>& fault) {
      Results wrong = right;
      fault(wrong);
      const std::vector<Difference> found = beyond(differences(c, wrong), reference.limits);
      return found.size() == 1 && found[0].name == tensor;
    };
    // A large tensor, known by projections: one element, two that changed places, the axes.
    const std::string kernel = "gradient/encoder.layer4.1.conv2.weight";
    REQUIRE(right.at(kernel).size() > 1000);
    CHECK(fails(kernel, [&](Results& r) { r[kernel][777] *= 1 + 1e-3; }));
    CHECK(fails(kernel, [&](Results& r) { std::swap(r[kernel][5], r[kernel][6]); }));
    CHECK(fails(kernel, [&](Results& r) { std::reverse(r[kernel].begin(), r[kernel].end()); }));
    CHECK(fails(kernel, [&](Results& r) { r[kernel].back() = std::nan(""); }));
    CHECK(fails(kernel, [&](Results& r) { r[kernel].pop_back(); }));
    CHECK(fails(kernel, [&](Results& r) { r.erase(kernel); }));
    CHECK(fails("state/unknown", [&](Results& r) { r["state/unknown"] = {1}; }));
    CHECK(fails("loss", [&](Results& r) { r["loss"] = {std::nan("")}; }));
  });
}

}  // namespace lacuna::golden
