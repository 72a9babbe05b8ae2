// embed: writes the representations of a data set.
#include <filesystem>

#include "comm/agree.h"
#include "stages/compute.h"
#include "stages/embedded_file.h"
#include "stages/load_configuration.h"
#include "stages/model.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "train/loop.h"

namespace lacuna {

std::vector<Key> embed_keys() {
  return {
      key::texts("embed.copy", "[]",
                 "Columns of the data files, one row for each sample, that embed copies beside the "
                 "representations, such as identifiers.")
          .execution()};
}

ExitStatus embed(const Arguments& arguments, StageContext& context) {
  Communicator& communicator = context.communicator;
  const std::filesystem::path run = arguments.argument();
  const Configuration configuration =
      pretraining_configuration(run, arguments.values("set"), communicator);
  const Checkpoint checkpoint =
      checkpoint_on_all_ranks(run, arguments.value("checkpoint"), context);
  const TrainOptions options = train_options(configuration);

  // The run's own range and statistics: an encoder is used on what it was trained on.
  Source source(configuration, communicator, context.log,
                {.files = arguments.values("data"), .like = &checkpoint});
  Compute compute = make_compute(options, context, checkpoint.info.environment.precision);
  Model model(configuration, source.views(), *compute.device);
  load_state(checkpoint, tensor_targets(model.store()), Match::subset, communicator);

  const Weights weights =
      arguments.value("weights") == "teacher" ? Weights::teacher : Weights::student;
  const Layer layer = arguments.value("layer") == "projector" ? Layer::projector : Layer::encoder;
  Embedder embedder(representation(model.objective().network(weights), layer), compute,
                    communicator);
  std::unique_ptr<EmbeddedFile> output;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    output = std::make_unique<EmbeddedFile>(
        arguments.value("out"), source, embedder.features(),
        EmbeddedWhat{.run = checkpoint.folder.parent_path().parent_path().string(),
                     .step = checkpoint.info.step,
                     .weights = arguments.value("weights"),
                     .layer = arguments.value("layer"),
                     .configuration = configuration.resolved(),
                     .copied = configuration.texts("embed.copy")},
        arguments.given("force"));
  });
  embedder.embed(source, {}, [&](const EmbeddedBatch& batch) {
    if (output) output->write(batch);
    if (context.log.progress_due()) {
      context.log.progress(
          concat("embedded ", batch.next_position, " of ", source.dataset().samples(), " samples"));
    }
  });
  agreed(communicator, [&] {
    if (output) output->finish();
  });
  context.log.line("wrote ", arguments.value("out"), ": ", source.dataset().samples(), " x ",
                   embedder.features(), " representations of step ", checkpoint.info.step);
  return ExitStatus::finished;
}

}  // namespace lacuna
