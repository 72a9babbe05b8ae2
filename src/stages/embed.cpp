// embed: writes the representations of a data set.
#include <filesystem>

#include "base/build_info.h"
#include "comm/agree.h"
#include "data/hdf5.h"
#include "stages/compute.h"
#include "stages/embedding.h"
#include "stages/load_configuration.h"
#include "stages/model.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "train/loop.h"
#include "train/representations.h"
#include "train/run.h"

namespace lacuna {

namespace {

// Rank 0's writer of the output file.
class Output {
 public:
  Output(const Arguments& arguments, const Source& source, int64_t features,
         const Checkpoint& checkpoint, const Configuration& configuration)
      : source_(source) {
    RepresentationsLayout layout;
    layout.samples = source.dataset().samples();
    layout.features = features;
    for (const DataFile& file : source.dataset().files()) layout.files.push_back(file.path);
    if (source.labelled())
      layout.columns.push_back({.name = "label", .dtype = DType::i64, .row = Shape{}});
    const std::vector<std::string>& copied = configuration.texts("embed.copy");
    if (!copied.empty()) {
      layout.add_texts = [this, copied](hdf5::Group& root) {
        for (const std::string& column : copied) copy_column(root, column);
      };
    }
    const BuildInfo build = build_info();
    const DataIdentity identity = source.identity();
    writer_ = std::make_unique<RepresentationsWriter>(
        arguments.value("out"), layout,
        RepresentationsOrigin{.run = checkpoint.folder.parent_path().parent_path().string(),
                              .step = checkpoint.info.step,
                              .weights = arguments.value("weights"),
                              .layer = arguments.value("layer"),
                              .dataset = identity.dataset,
                              .data_hash = identity.hash,
                              .code_version = concat(build.version, " ", build.commit),
                              .configuration = configuration.resolved()},
        arguments.given("force"));
  }

  void write(const EmbeddedRows& rows) {
    writer_->write("z", rows.first, rows.count, rows.z);
    if (rows.labels != nullptr) writer_->write("label", rows.first, rows.count, rows.labels);
    std::vector<int32_t> file;
    std::vector<int64_t> row;
    for (int64_t sample = rows.first; sample < rows.first + rows.count; ++sample) {
      const DataFile& in = source_.dataset().file_of(sample);
      file.push_back(static_cast<int32_t>(&in - source_.dataset().files().data()));
      row.push_back(sample - in.first);
    }
    writer_->write("file", rows.first, rows.count, file.data());
    writer_->write("row", rows.first, rows.count, row.data());
  }
  void finish() { writer_->finish(); }

 private:
  // A column of the user's own, of any type, row by row beside the representations.
  void copy_column(hdf5::Group& root, const std::string& column) const {
    hdf5::Dataset copy;
    for (const DataFile& file : source_.dataset().files()) {
      const hdf5::File from = hdf5::File::open(file.path);
      const hdf5::Dataset values = from.dataset(column);
      if (values.rows() != file.rows) {
        bad_input(file.path, ": ", column, " has ", values.rows(), " rows, but there are ",
                  file.rows,
                  " samples: name in embed.copy only columns with a row for each sample");
      }
      if (file.first == 0) {
        copy = root.create_like("copied/" + column, values, source_.dataset().samples());
      }
      copy.copy_rows(values, 0, file.rows, file.first);
    }
  }

  const Source& source_;
  std::unique_ptr<RepresentationsWriter> writer_;
};

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
  std::unique_ptr<Output> output;
  agreed(communicator, [&] {
    if (communicator.rank() == 0) {
      output = std::make_unique<Output>(arguments, source, embedder.features(), checkpoint,
                                        configuration);
    }
  });
  constexpr int64_t batch = 512;
  int64_t done = 0;
  embedder.embed(source.dataset(), source.plain_rows(), batch, source.buffer(), source.workers(),
                 [&](const EmbeddedRows& rows) {
                   if (output) output->write(rows);
                   done += rows.count;
                   if (context.log.progress_due()) {
                     context.log.progress(
                         concat("embedded ", done, " of ", source.dataset().samples(), " samples"));
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
