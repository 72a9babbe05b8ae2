// embed: writes the representations of a data set.
#include <filesystem>

#include "comm/agree.h"
#include "stages/compute.h"
#include "stages/hold.h"
#include "stages/load_configuration.h"
#include "stages/model.h"
#include "stages/resumable_embedding.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "stages/stopping.h"
#include "train/stored_state.h"

namespace lacuna {

namespace {

// The record of attempts stays as long as there is something to go on with.
struct RecordOfPartial {
  bool mine;
  std::filesystem::path out, record;
  ~RecordOfPartial() {
    std::error_code ignored;
    if (mine && !std::filesystem::exists(out.string() + ".progress", ignored))
      std::filesystem::remove(record, ignored);
  }
};

// --force would move them aside.
void refuse_data(const std::filesystem::path& out, const Dataset& dataset) {
  std::error_code ignored;
  for (const DataFile& file : dataset.files())
    if (std::filesystem::equivalent(out, file.path, ignored))
      bad_input("--out ", out.string(), " is a file of the data: give another name");
}

}  // namespace

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
  context.log.set_interval(options.log_interval);
  const EarlyStop early_stop = early_stop_of(arguments, options, context);

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
  const std::string out = arguments.value("out");
  agreed(communicator, [&] { refuse_data(out, source.dataset()); });
  Hold hold(out, Hold::Kind::output, context);
  EmbeddedWhat what = embedded_what(checkpoint, configuration, weights, layer);
  what.copied = configuration.texts("embed.copy");
  ResumableEmbedding embedding(embedder, source, early_stop, context,
                               {.out = out,
                                .what = what,
                                .replace = arguments.given("force"),
                                .precision = compute.environment.precision,
                                .save_minutes = options.checkpoint_minutes});
  const std::string size = concat(source.dataset().samples(), " x ", embedder.features(),
                                  " representations of step ", checkpoint.info.step);
  if (embedding.whole()) {
    context.log.line(out, " is finished: ", size);
    return ExitStatus::finished;
  }
  const std::filesystem::path record = out + ".attempts";
  const RecordOfPartial goes{communicator.rank() == 0, out, record};
  hold.attempt(
      record, [&] { return concat(embedding.kept(), " samples"); },
      [&] {
        embedding.run();
        return ExitStatus::finished;
      });
  context.log.line("wrote ", out, ": ", size);
  return ExitStatus::finished;
}

}  // namespace lacuna
