#include "stages/setup/parts_of_run.h"

#include "comm/agree.h"
#include "data/options.h"
#include "stages/keys/parts.h"
#include "stages/setup/part.h"
#include "stages/setup/source.h"

namespace lacuna {

namespace {

// The part of a data set that is not at hand, as a checkpoint describes it.
std::unique_ptr<Dataset> described(const Configuration& configuration, const std::string& part,
                                   const Checkpoint& checkpoint) {
  const std::string name = part.empty() ? "train" : part;
  for (const DataIdentity& data : checkpoint.info.data) {
    if (data.name != name || !data.sample) continue;
    return std::make_unique<Dataset>(Field{.name = sample_field,
                                           .path = data.dataset,
                                           .dtype = data.sample->dtype,
                                           .shape = data.sample->shape},
                                     data_options(configuration).layout);
  }
  bad_input(checkpoint.folder.string(), " does not tell what samples of the part \"", name,
            "\" are: use another checkpoint");
}

}  // namespace

PartsOfRun::PartsOfRun(const Configuration& run, const Source& source, const Checkpoint& checkpoint,
                       Communicator& communicator)
    : all_(source.parts()) {
  std::vector<std::string> parts = parts_of(run);
  parts.insert(parts.begin(), "");
  for (const std::string& part : parts) {
    if (all_.contains(part)) continue;
    described_.push_back(agreed(communicator, [&] { return described(run, part, checkpoint); }));
    own_.push_back(
        make_part(run, *described_.back(),
                  {.part = part, .like = &checkpoint, .run = &run, .missing = missing_numbers(run)},
                  communicator));
    all_[part] = own_.back().get();
  }
}

}  // namespace lacuna
