#include "stages/setup/model.h"

#include "base/log.h"
#include "comm/agree.h"
#include "encoders/list.h"
#include "run/run.h"
#include "stages/keys/parts.h"
#include "stages/keys/schema.h"

namespace lacuna {

Model::Model(const Configuration& configuration, const PartModalities& parts, Device& device)
    : store_(device) {
  const auto seed = static_cast<uint64_t>(configuration.integer("seed"));
  const Modality& first = *parts.at("");
  std::map<std::string, FurtherPart> further;
  for (const std::string& part : parts_of(configuration)) {
    const Modality& modality = *parts.at(part);
    further.insert(
        {part, {modality, encoder_factory(configuration_of_part(configuration, part), modality)}});
  }
  objective_ = make_objective({configuration, Scope(store_, seed),
                               encoder_factory(configuration, first), first, std::move(further)});
}

std::optional<Checkpoint> find_on_all_ranks(const std::filesystem::path& run,
                                            std::string_view which, StageContext& context) {
  Communicator& communicator = context.communicator;
  int64_t length = -1;
  std::string folder;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    const auto found = find_checkpoint(
        run, which, [&](const std::string& sentence) { context.log.warning(sentence); });
    if (!found) return;
    folder = found->folder.string();
    length = static_cast<int64_t>(folder.size());
  });
  communicator.broadcast(&length, sizeof length, 0).wait();
  if (length < 0) return std::nullopt;
  folder.resize(static_cast<size_t>(length));
  communicator.broadcast(folder.data(), folder.size(), 0).wait();
  return agreed(communicator, [&] { return read_checkpoint(folder); });
}

Checkpoint checkpoint_on_all_ranks(const std::filesystem::path& run, std::string_view which,
                                   StageContext& context) {
  auto checkpoint = find_on_all_ranks(run, which, context);
  if (!checkpoint) {
    const Error error(
        ExitStatus::bad_input,
        concat(run.string(),
               " has no usable checkpoint: name the folder of a run in which pretrain "
               "has written at least one"));
    agree(context.communicator, &error);
  }
  return *std::move(checkpoint);
}

Configuration pretraining_configuration(const std::filesystem::path& run,
                                        const std::vector<std::string>& overrides,
                                        Communicator& communicator) {
  return agreed(communicator, [&] {
    return Configuration::from_text(stored_configuration(run), schema_of("pretrain"),
                                    (run / "config.toml").string(), overrides);
  });
}

void load_state(const Checkpoint& checkpoint, std::span<const TensorTarget> targets, Match match,
                Communicator& communicator) {
  agreed(communicator, [&] { load_tensors(checkpoint, targets, match); });
}

}  // namespace lacuna
