#include "stages/finetune/finetuned_model.h"

#include <algorithm>

#include "comm/agree.h"
#include "io/durable_file.h"
#include "stages/keys/parts.h"
#include "stages/setup/part.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr const char* width_name =
    "task.outputs";  // how many numbers the task computes of a sample

// The names of the classes, each with a 0 behind it.
constexpr const char* class_names_name = "task.class_names";

HostTensor tensor_of_names(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all.append(name.c_str(), name.size() + 1);
  HostTensor tensor(DType::u8, {static_cast<int64_t>(all.size())});
  std::copy(all.begin(), all.end(), tensor.as<uint8_t>().begin());
  return tensor;
}

fs::path model_folder(const fs::path& run) { return run / "model"; }

CheckpointInfo info_of(const FinetuneJob& job) {
  CheckpointInfo info;
  info.step = job.checkpoint.info.step;
  info.seed = job.configuration.integer("seed");
  info.finished = true;
  info.configuration = job.pretraining.resolved();
  info.environment = job.compute.environment;
  info.data = {job.data.train.identity()};
  for (const DataIdentity& data : job.checkpoint.info.data)
    if (data.name != info.data[0].name) info.data.push_back(data);  // further parts of the samples
  return info;
}

}  // namespace

void keep_model(const FinetuneJob& job, const Task& task, const std::vector<const State*>& state,
                const FittedProbe* probe) {
  agreed(job.context.communicator, [&] {
    if (job.context.communicator.rank() != 0) return;
    NamedTensors whole;
    StateStore facts(*job.compute.device);
    job.data.train.keep_facts(facts);
    std::vector<const State*> all = state;
    for (const State& fact : facts.all()) all.push_back(&fact);
    std::map<std::string, std::string> axes;
    for (const State* each : all) {
      HostTensor& copy = whole[each->name()] = HostTensor(each->dtype(), each->shape());
      each->read(copy.data());
      axes[each->name()] = each->axes();
    }
    for (const std::string& part : parts_of(job.pretraining)) {
      const std::string prefix = fact_prefix(part);
      for (auto& [name, tensor] : kept_tensors(job.checkpoint, prefix))
        whole[prefix + name] = std::move(tensor);
    }
    for (auto& [name, tensor] : task.tensors()) whole["task." + name] = std::move(tensor);
    if (probe != nullptr) {
      for (auto& [name, tensor] : probe->tensors()) whole["probe." + name] = std::move(tensor);
    }
    if (!job.data.targets.class_names.empty())
      whole[class_names_name] = tensor_of_names(job.data.targets.class_names);
    HostTensor& width = whole[width_name] = HostTensor(DType::i64, {1});
    width.as<int64_t>()[0] = task.outputs();
    std::vector<NamedTensor> tensors;
    for (const auto& [name, tensor] : whole)
      tensors.push_back({.name = name,
                         .dtype = tensor.dtype(),
                         .shape = tensor.shape(),
                         .data = tensor.data(),
                         .axes = axes[name]});
    const fs::path folder = model_folder(job.run);
    fs::remove_all(folder);  // of a process that was killed here
    make_folders(folder);
    const CheckpointInfo info = info_of(job);
    const StoredPart part = write_part(folder, 0, info, tensors);
    write_manifest(folder, info, {&part, 1});
  });
}

Checkpoint kept_model(const fs::path& run, StageContext& context) {
  return agreed(context.communicator, [&] {
    const fs::path folder = model_folder(run);
    if (!fs::exists(folder / "checkpoint.h5"))
      bad_input(run.string(),
                " keeps no model: name the folder of a run that finetune of this "
                "version has finished");
    Checkpoint model = read_checkpoint(folder);
    if (context.communicator.rank() == 0) verify_checkpoint(model);
    return model;
  });
}

std::vector<std::string> kept_class_names(const Checkpoint& model) {
  const NamedTensors kept = kept_tensors(model, class_names_name);
  std::vector<std::string> names;
  if (kept.empty()) return names;
  std::string name;
  for (const uint8_t byte : kept.begin()->second.as<uint8_t>()) {
    if (byte != 0) {
      name += static_cast<char>(byte);
    } else {
      names.push_back(std::move(name));
      name.clear();
    }
  }
  return names;
}

NamedTensors kept_tensors(const Checkpoint& model, const std::string& prefix) {
  NamedTensors all;
  std::vector<TensorTarget> targets;
  for (const StoredTensor& stored : model.tensors()) {
    if (!stored.name.starts_with(prefix)) continue;
    HostTensor& tensor = all[stored.name.substr(prefix.size())] =
        HostTensor(stored.dtype, stored.shape);
    targets.push_back({stored.name, stored.dtype, stored.shape, tensor.data()});
  }
  load_tensors(model, targets, Match::subset);
  return all;
}

}  // namespace lacuna
