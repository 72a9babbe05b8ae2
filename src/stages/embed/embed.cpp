// embed: writes the representations of a data set.
#include <filesystem>
#include <memory>

#include "comm/agree.h"
#include "run/stored_state.h"
#include "stages/embed/output_file.h"
#include "stages/embed/stage.h"
#include "stages/keys/parts.h"
#include "stages/keys/schema.h"
#include "stages/setup/common_options.h"
#include "stages/setup/compute.h"
#include "stages/setup/load_configuration.h"
#include "stages/setup/model.h"
#include "stages/setup/parts_of_run.h"
#include "stages/setup/source.h"
#include "stages/setup/stopping.h"

namespace lacuna {

namespace {

Syntax embed_syntax() {
  return {.stage = "embed",
          .argument = "RUN",
          .argument_doc = "Folder of a run that pretrain made.",
          .summary = "Writes the representations of a data set.",
          .options = {
              {.name = "data",
               .argument = "FILE.h5",
               .doc = "The data set; a pattern or several are allowed.",
               .required = true,
               .repeated = true},
              {.name = "out", .argument = "FILE.h5", .doc = "The file to write.", .required = true},
              settings_option(),
              {.name = "checkpoint",
               .argument = "last|best|STEP",
               .doc = "Which checkpoint of the run.",
               .default_value = "last",
               .choices = {"last", "best"},
               .or_number = true},
              {.name = "output",
               .argument = "NAME",
               .doc = "Which output of the run's networks is written, such as encoder, projector, "
                      "teacher.encoder, or encoder.map before pooling.",
               .default_value = "encoder"},
              max_hours_option(),
              force_option("an output")}};
}

// "512", or of a dense output "4 x 4 x 512".
std::string sizes_text(const Shape& shape) {
  std::vector<std::string> sizes;
  for (const int64_t size : shape.sizes()) sizes.push_back(std::to_string(size));
  return join(sizes, " x ");
}

// "60 x 512"; of what is written of each sample up to its end "60 x up to 128 x 512".
std::string size_text(const Source& source, const Embedder& embedder, int64_t stride) {
  const bool ragged = stride > 0 && source.modality().padded();
  return concat(source.dataset().samples(), ragged ? " x up to " : " x ",
                sizes_text(embedder.shape()));
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
  const std::string& name = arguments.value("output");
  Source source(configuration, communicator, context.log,
                {.files = arguments.values("data"),
                 .like = &checkpoint,
                 .part = part_of_output(configuration, name)});
  Compute compute = make_compute(options, context, checkpoint.info.environment.precision);
  const PartsOfRun parts(configuration, source, checkpoint, communicator);
  const auto made = agreed(communicator, [&] {
    return std::make_unique<Model>(configuration, parts.all(), *compute.device);
  });
  Model& model = *made;
  load_state(checkpoint, tensor_targets(model.store()), Match::subset, communicator);

  const Output output = agreed(communicator, [&] { return output_of(model.objective(), name); });
  Embedder embedder(output, source.modality(), compute, communicator);
  const std::string out = arguments.value("out");
  EmbeddedWhat what = embedded_what(
      checkpoint,
      pretraining_configuration(run, kept_settings(arguments.values("set")), communicator), name);
  what.copied = configuration.texts("embed.copy");
  what.stride = embedder.output().stride;
  const std::string size = concat(size_text(source, embedder, what.stride),
                                  " representations of step ", checkpoint.info.step);
  return write_output(embedder, source, early_stop, context,
                      {.out = out,
                       .what = what,
                       .replace = arguments.given("force"),
                       .precision = compute.arithmetic,
                       .save_minutes = options.checkpoint_minutes},
                      size);
}

}  // namespace

Stage embed_stage() { return {embed_syntax(), true, embed}; }

}  // namespace lacuna
