#include "stages/embed/resumable_embedding.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "stages/embed/embed_progress.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What the values follow from, beside what the file says itself.
std::string identity_of(const Source& source, const std::string& precision) {
  std::string text = precision;
  for (const DataFile& file : source.dataset().files()) {
    std::error_code ignored;  // of a file that is gone: reading it will say so
    const auto time = fs::last_write_time(file.path, ignored);
    text += concat(" ", time.time_since_epoch().count());
  }
  return std::to_string(crc32_of(text.data(), text.size()));
}

int64_t samples_in(const std::vector<SampleRange>& ranges) {
  int64_t samples = 0;
  for (const SampleRange& range : ranges) samples += range.end - range.first;
  return samples;
}

}  // namespace

EmbeddedWhat embedded_what(const Checkpoint& checkpoint, const Configuration& pretraining,
                           const std::string& output) {
  const std::string_view teacher = "teacher.";
  const bool of_teacher = output.starts_with(teacher);
  return {.run = checkpoint.folder.parent_path().parent_path().string(),
          .step = checkpoint.info.step,
          .checkpoint = checkpoint.checksums(),
          .weights = of_teacher ? "teacher" : "student",
          .layer = of_teacher ? output.substr(teacher.size()) : output,
          .configuration = pretraining.resolved()};
}

ResumableEmbedding::ResumableEmbedding(Embedder& embedder, const Source& source,
                                       const EarlyStop& early_stop, StageContext& context,
                                       Options options)
    : embedder_(embedder),
      source_(source),
      early_stop_(early_stop),
      context_(context),
      options_(std::move(options)) {
  agreed(context.communicator, [&] {
    if (context.communicator.rank() != 0) return;
    file_ =
        std::make_unique<EmbeddedFile>(options_.out, source, embedder.shape(), options_.what,
                                       options_.replace, identity_of(source, options_.precision));
    begun_ = begin();
  });
  broadcast(begun_);
  kept_ = begun_.written;
}

// Where rank 0's file goes on.
ResumableEmbedding::Begun ResumableEmbedding::begin() {
  const RepresentationsWriter::Leftover& left = file_->writer().leftover();
  if (left.discarded) {
    context_.log.line(options_.out.string(),
                      ".partial is of another checkpoint, other data or other settings: starting "
                      "anew");
  }
  if (left.whole) return {.pass = {}, .written = source_.dataset().samples(), .whole = true};
  return left.progress ? go_on(*left.progress) : Begun{};
}

ResumableEmbedding::Begun ResumableEmbedding::go_on(const std::string& saved) {
  const std::string out = options_.out.string();
  const Dataset& dataset = source_.dataset();
  const int ranks = context_.communicator.size();
  const EmbedProgress progress = read_progress(saved, dataset.samples(), out);
  const Sequential pass(dataset.block_samples(), progress.ranges);
  const std::vector<SampleRange> rest = pass.rest(progress.position, progress.ranks);
  Begun begun{.pass = {.ranges = progress.ranges, .position = progress.position},
              .written = dataset.samples() - samples_in(rest)};
  // The same ranks go on in the same batches, and so to the same bits.
  if (progress.ranks != ranks && !rest.empty()) begun.pass = {.ranges = rest};
  file_->writer().count_written(begun.written);
  context_.log.line("continuing ", out, " after ", begun.written, " of ", dataset.samples(),
                    " samples");
  if (progress.ranks != ranks) {
    context_.log.line("they were written by ", counted(progress.ranks, "rank"),
                      " and the rest is by ", ranks,
                      ": equal within rounding to what either would write alone");
  }
  return begun;
}

// Rank 0's for all ranks.
void ResumableEmbedding::broadcast(Begun& from) {
  Communicator& communicator = context_.communicator;
  std::vector<SampleRange>& ranges = from.pass.ranges;
  int64_t numbers[4] = {from.pass.position, from.written, static_cast<int64_t>(ranges.size()),
                        int64_t{from.whole}};
  communicator.broadcast(numbers, sizeof numbers, 0).wait();
  from.pass.position = numbers[0];
  from.written = numbers[1];
  from.whole = numbers[3] != 0;
  ranges.resize(static_cast<size_t>(numbers[2]));
  if (ranges.empty()) return;
  communicator.broadcast(ranges.data(), ranges.size() * sizeof(SampleRange), 0).wait();
}

void ResumableEmbedding::save(int64_t done, int64_t position) {
  saved_ = now();
  if (!file_) return;
  file_->writer().save_progress(text_of(EmbedProgress{
      .ranks = context_.communicator.size(), .position = position, .ranges = begun_.pass.ranges}));
  kept_ = done;
}

void ResumableEmbedding::run() {
  if (whole()) return;
  Communicator& communicator = context_.communicator;
  const EmbedPass& pass = begun_.pass;
  const int64_t samples = source_.dataset().samples();
  saved_ = now();
  embedder_.embed(source_, pass, [&](const EmbeddedBatch& batch) {
    if (file_) file_->write(batch);
    const int64_t done = begun_.written + batch.next_position - pass.position;
    if (now() - saved_ > 60 * options_.save_minutes) save(done, batch.next_position);
    if (const auto why = done < samples ? early_stop_.decide() : std::nullopt) {
      agreed(communicator, [&] { save(done, batch.next_position); });
      context_.log.line(why->saved_text());
      EarlyStop::end(*why, concat("after ", done, " of ", samples, " samples"));
    }
    if (context_.log.progress_due())
      context_.log.progress(concat("embedded ", done, " of ", samples, " samples"));
  });
  agreed(communicator, [&] {
    if (file_) file_->finish();
  });
  kept_ = samples;
}

std::string how_far_embedded(const fs::path& out) {
  std::error_code ignored;
  if (fs::exists(out, ignored)) return "whole";
  const std::optional<std::string> line = saved_progress(out);
  const std::optional<EmbedProgress> progress = line ? progress_in(*line) : std::nullopt;
  if (!progress) return "";
  if (progress->ranges.empty()) return concat(progress->position, " samples");
  return concat(progress->position, " of the last ", samples_in(progress->ranges), " samples");
}

}  // namespace lacuna
