// embed: writes the representations of a data set.
#include <chrono>
#include <filesystem>

#include "comm/agree.h"
#include "stages/compute.h"
#include "stages/embed_progress.h"
#include "stages/embedded_file.h"
#include "stages/hold.h"
#include "stages/load_configuration.h"
#include "stages/model.h"
#include "stages/schema.h"
#include "stages/source.h"
#include "stages/stopping.h"
#include "train/durable_file.h"
#include "train/loop.h"
#include "train/stored_state.h"

namespace lacuna {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What the values follow from, beside what the file says itself.
std::string identity_of(const Checkpoint& checkpoint, const Source& source,
                        const Compute& compute) {
  std::string text = compute.environment.precision;
  for (const StoredPart& part : checkpoint.parts) text += concat(" ", part.crc32);
  for (const DataFile& file : source.dataset().files()) {
    std::error_code ignored;  // of a file that is gone: reading it will say so
    const auto time = std::filesystem::last_write_time(file.path, ignored);
    text += concat(" ", time.time_since_epoch().count());
  }
  return std::to_string(crc32_of(text.data(), text.size()));
}

struct Begun {
  EmbedPass pass;
  int64_t written = 0;  // samples
  int ranks = 0;        // that wrote them
};

Begun begun(const EmbedProgress& progress, const Dataset& dataset, int ranks) {
  Begun before{.pass = {.ranges = progress.ranges, .position = progress.position},
               .ranks = progress.ranks};
  const Sequential pass(dataset.block_samples(), progress.ranges);
  const std::vector<SampleRange> rest = pass.rest(progress.position, progress.ranks);
  before.written = dataset.samples();
  for (const SampleRange& range : rest) before.written -= range.end - range.first;
  // The same ranks go on in the same batches, and so to the same bits.
  if (before.ranks != ranks && !rest.empty()) before.pass = {.ranges = rest};
  return before;
}

// Rank 0's pass for all ranks.
void broadcast(Begun& from, Communicator& communicator) {
  std::vector<SampleRange>& ranges = from.pass.ranges;
  int64_t numbers[3] = {from.pass.position, from.written, static_cast<int64_t>(ranges.size())};
  communicator.broadcast(numbers, sizeof numbers, 0).wait();
  from.pass.position = numbers[0];
  from.written = numbers[1];
  ranges.resize(static_cast<size_t>(numbers[2]));
  if (ranges.empty()) return;
  communicator.broadcast(ranges.data(), ranges.size() * sizeof(SampleRange), 0).wait();
}

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

// Where rank 0's file goes on.
Begun begin(RepresentationsWriter& writer, const Source& source, const std::string& out,
            StageContext& context) {
  const RepresentationsWriter::Leftover& left = writer.leftover();
  if (left.discarded) {
    context.log.line(
        out, ".partial is of another checkpoint, other data or other settings: ", "starting anew");
  }
  if (!left.progress) return {};
  const int ranks = context.communicator.size();
  const Dataset& dataset = source.dataset();
  const Begun before = begun(read_progress(*left.progress, dataset.samples(), out), dataset, ranks);
  writer.count_written(before.written);
  context.log.line("continuing ", out, " after ", before.written, " of ", dataset.samples(),
                   " samples");
  if (before.ranks != ranks) {
    context.log.line("they were written by ", before.ranks, " ranks and the rest is by ", ranks,
                     ": equal within rounding to what either would write alone");
  }
  return before;
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
  Hold hold(out, Hold::Kind::output, context);
  std::unique_ptr<EmbeddedFile> output;
  Begun before;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    output = std::make_unique<EmbeddedFile>(
        out, source, embedder.features(),
        EmbeddedWhat{.run = checkpoint.folder.parent_path().parent_path().string(),
                     .step = checkpoint.info.step,
                     .weights = arguments.value("weights"),
                     .layer = arguments.value("layer"),
                     .configuration = configuration.resolved(),
                     .copied = configuration.texts("embed.copy")},
        arguments.given("force"), identity_of(checkpoint, source, compute));
    before = begin(output->writer(), source, out, context);
  });
  broadcast(before, communicator);
  const EmbedPass& pass = before.pass;
  const int64_t samples = source.dataset().samples();
  int64_t kept = before.written;
  double saved = now();
  const auto save = [&](int64_t done, int64_t position) {
    if (!output) return;
    output->writer().save_progress(text_of(
        EmbedProgress{.ranks = communicator.size(), .position = position, .ranges = pass.ranges}));
    kept = done;
    saved = now();
  };
  const auto take = [&](const EmbeddedBatch& batch) {
    if (output) output->write(batch);
    const int64_t done = before.written + batch.next_position - pass.position;
    if (now() - saved > 60 * options.checkpoint_minutes) save(done, batch.next_position);
    if (const auto why = done < samples ? early_stop.decide() : std::nullopt) {
      agreed(communicator, [&] { save(done, batch.next_position); });
      EarlyStop::end(*why, concat("after ", done, " of ", samples, " samples"));
    }
    if (context.log.progress_due())
      context.log.progress(concat("embedded ", done, " of ", samples, " samples"));
  };
  const std::filesystem::path record = out + ".attempts";
  const RecordOfPartial goes{output != nullptr, out, record};
  hold.attempt(
      record, [&] { return concat(kept, " samples"); },
      [&] {
        embedder.embed(source, pass, take);
        agreed(communicator, [&] {
          if (output) output->finish();
        });
        return ExitStatus::finished;
      });
  context.log.line("wrote ", out, ": ", samples, " x ", embedder.features(),
                   " representations of step ", checkpoint.info.step);
  return ExitStatus::finished;
}

}  // namespace lacuna
