// What a checkpoint says of the axes of its tensors: what their layers say, or nothing.
#include "run/stored_state.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "backend/list.h"
#include "support/experiment.h"

using namespace lacuna;
using namespace lacuna::testing;

namespace {

std::map<std::string, std::string> axes_in(const StateStore& store) {
  const auto self = self_communicator();
  const StoredState stored(store, *self, true);
  std::map<std::string, std::string> all;
  for (const NamedTensor& tensor : stored.tensors()) all[tensor.name] = tensor.axes;
  return all;
}

std::string axes_after_a_step(const std::string& encoder, const std::string& name) {
  const auto self = self_communicator();
  SmallExperiment experiment("byol", "cpu", 1, *self, {.encoder = encoder});
  const SmallBatch batch = experiment.batch(0, 2);
  experiment.trainer().prepare(batch.fields(), {2});
  const auto all = axes_in(experiment.store());
  REQUIRE(all.contains(name));
  // Every layer of ours names its axes, and momenta and teachers have those of their tensor.
  for (const auto& [tensor, axes] : all) {
    CAPTURE(tensor);
    CHECK_FALSE(axes.empty());
    const std::string momentum = "optimizer.momentum.", teacher = "teacher.";
    if (tensor.starts_with(momentum)) CHECK(axes == all.at(tensor.substr(momentum.size())));
    if (tensor.starts_with(teacher)) CHECK(axes == all.at(tensor.substr(teacher.size())));
  }
  return all.at(name);
}

}  // namespace

TEST_CASE("checkpoint: a tensor has the axes that its layer names") {
  const std::string convolution = "out_channel, in_channel, row, column";
  CHECK(axes_after_a_step("width = 1\n", "encoder.conv1.weight") == convolution);
  CHECK(axes_after_a_step(small_vit, "encoder.patch_embed.proj.weight") == convolution);
  CHECK(axes_after_a_step(small_vit, "encoder.cls_token") == "one, token, feature");
  CHECK(axes_after_a_step(small_vit + "positions = \"sine\"\n", "teacher.encoder.pos_embed") ==
        "one, token, feature");
  CHECK(axes_after_a_step(small_vit, "encoder.blocks.0.mlp.fc1.weight") ==
        "out_feature, in_feature");
}

TEST_CASE("checkpoint: a tensor has no axes that nobody has named") {
  const std::unique_ptr<Device> device = make_device("cpu", 1);
  StateStore store(*device);
  store.create("lstm.weight", DType::f32, {4, 3, 2}, Role::parameter);
  store.create("queue", DType::f32, {4, 3}, Role::buffer);
  store.create("centre", DType::f32, {4}, Role::buffer).name_axes("feature");
  const auto all = axes_in(store);
  CHECK(all.at("lstm.weight").empty());
  CHECK(all.at("queue").empty());
  CHECK(all.at("centre") == "feature");
}
