// predict: writes what a fine-tuned run says of a data set.
#include <filesystem>

#include "base/log.h"
#include "comm/agree.h"
#include "run/run.h"
#include "stages/embed/output_file.h"
#include "stages/keys/schema.h"
#include "stages/predict/predictor.h"
#include "stages/predict/stage.h"
#include "stages/setup/common_options.h"
#include "stages/setup/parts_of_run.h"
#include "stages/setup/stopping.h"

namespace lacuna {

namespace {

Syntax predict_syntax() {
  return {.stage = "predict",
          .argument = "RUN",
          .argument_doc = "Folder of a run that finetune has finished.",
          .summary = "Writes what a fine-tuned run says of a data set.",
          .options = {
              {.name = "data",
               .argument = "FILE.h5",
               .doc = "The data set, without labels; a pattern or several are allowed.",
               .required = true,
               .repeated = true},
              {.name = "out", .argument = "FILE.h5", .doc = "The file to write.", .required = true},
              settings_option(),
              max_hours_option(),
              force_option("an output")}};
}

// Collective. That of a finished run of finetune, with overrides, for samples without labels.
Configuration finetuned_configuration(const std::filesystem::path& run,
                                      const std::vector<std::string>& overrides,
                                      Communicator& communicator) {
  return agreed(communicator, [&] {
    const std::string text = stored_configuration(run);
    if (text.find("\n[task]\n") == std::string::npos && !text.starts_with("[task]\n"))
      bad_input(run.string(), " is no run of finetune: name the folder of one, or write the ",
                "representations of this run with lacuna embed");
    if (!std::filesystem::exists(run / "result.json"))
      bad_input(run.string(), " is not finished: start finetune again to finish it");
    for (const std::string& each : overrides) {
      const std::string key = each.substr(0, each.find('='));
      if (key.starts_with("task.") || key == "data.kind" || key == "data.label" ||
          key == "data.label_files" || key == "data.unlabelled" || key.starts_with("test."))
        bad_input("--set ", each, ": ", key,
                  " is of the model, which was fine-tuned with it, or of its training: leave it "
                  "out");
    }
    std::vector<std::string> all = overrides;
    all.emplace_back("data.label=\"\"");
    return Configuration::from_text(text, schema_of("finetune"), (run / "config.toml").string(),
                                    all);
  });
}

// Collective. That of the run that was fine-tuned.
Configuration pretraining_of(const Checkpoint& kept, Communicator& communicator) {
  return agreed(communicator, [&] {
    return Configuration::from_text(kept.info.configuration, schema_of("pretrain"),
                                    kept.folder.string());
  });
}

ExitStatus predict(const Arguments& arguments, StageContext& context) {
  Communicator& communicator = context.communicator;
  const std::filesystem::path run = arguments.argument();
  const Configuration configuration =
      finetuned_configuration(run, arguments.values("set"), communicator);
  const Checkpoint kept = kept_model(run, context);
  const TrainOptions options = train_options(configuration);
  context.log.set_interval(options.log_interval);
  const EarlyStop early_stop = early_stop_of(arguments, options, context);
  const Source source(configuration, communicator, context.log,
                      {.files = arguments.values("data"), .like = &kept});
  Compute compute = make_compute(options, context, kept.info.environment.precision);
  const PartsOfRun parts(pretraining_of(kept, communicator), source, kept, communicator);
  const Predictor predictor(configuration, kept, parts.all(), compute, communicator);
  Embedder embedder = predictor.embedder(communicator);
  const EmbeddedWhat what{
      .run = run.string(),
      .step = kept.info.step,
      .checkpoint = kept.checksums(),
      .task = configuration.text("task.name"),
      .columns = predictor.columns(),
      .class_names = agreed(communicator, [&] { return kept_class_names(kept); }),
      .configuration =
          finetuned_configuration(run, kept_settings(arguments.values("set")), communicator)
              .resolved()};
  return write_output(
      embedder, source, early_stop, context,
      {.out = arguments.value("out"),
       .what = what,
       .replace = arguments.given("force"),
       .precision = compute.arithmetic,
       .save_minutes = options.checkpoint_minutes},
      concat("predictions of ", source.dataset().samples(), " samples by ", run.string()));
}

}  // namespace

Stage predict_stage() { return {predict_syntax(), true, predict}; }

}  // namespace lacuna
