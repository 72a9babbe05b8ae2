#include "stages/pretrain/snapshots.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>

#include "base/log.h"
#include "base/random_subset.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "stages/embed/embedded_file.h"

namespace lacuna {
namespace fs = std::filesystem;

namespace {

constexpr int64_t most_buffer = int64_t{64} << 20;  // beside that of the training
constexpr const char* prefix = "epoch-";
constexpr const char* suffix = ".h5";

// The epoch of "epoch-000005.h5".
std::optional<int64_t> epoch_of(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  const size_t begin = std::char_traits<char>::length(prefix);
  const size_t end = name.size() - std::char_traits<char>::length(suffix);
  return as_number<int64_t>(std::string_view(name).substr(begin, end - begin));
}

void remove_behind(const fs::path& folder, const EpochEnds& ends, int64_t steps) {
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    const auto epoch = epoch_of(i->path());
    std::error_code ignored;
    if (epoch && ends.step_of(*epoch) > steps) fs::remove(i->path(), ignored);
  }
}

}  // namespace
std::optional<int64_t> EpochEnds::epoch_at(int64_t steps) const {
  const int64_t last =
      (batches.position(steps + 1) - 1) / samples;  // of those with step_of() <= steps
  const int64_t epoch = last / every * every;
  return step_of(epoch) == steps ? std::optional(epoch) : std::nullopt;
}

std::vector<SampleRange> snapshot_samples(int64_t samples, int64_t count, uint64_t seed) {
  if (count >= samples) return {{0, samples}};
  const Draws draws(seed, Purpose::plot, hash_name("watch"));
  std::vector<SampleRange> ranges;
  for (const int64_t sample : random_subset(draws, samples, count)) {
    if (!ranges.empty() && ranges.back().end == sample) {
      ++ranges.back().end;
    } else {
      ranges.push_back({sample, sample + 1});
    }
  }
  return ranges;
}

Snapshots::Snapshots(const Configuration& configuration, const Source& training,
                     const Objective& objective, Compute& compute, StageContext& context)
    : configuration_(configuration),
      objective_(objective),
      compute_(compute),
      context_(context),
      batch_(configuration.integer("train.batch")) {
  const int64_t every = configuration.integer("watch.every");
  if (every == 0) return;
  ends_ = {.samples = training.dataset().samples(), .batches = {}, .every = every};
  source_ = &training;
  const SourceOptions instead{.files = configuration.paths("watch.files"),
                              .dataset = configuration.text("watch.dataset"),
                              .label = configuration.text("watch.label"),
                              .as = &training};
  if (!instead.files.empty() || !instead.dataset.empty() || !instead.label.empty()) {
    own_ = std::make_unique<Source>(configuration, context.communicator, context.log, instead);
    source_ = own_.get();
    agreed(context.communicator, [&] {
      if (own_->modality().sample() != training.modality().sample()) {
        bad_input("samples of watch.dataset are ", own_->modality().sample(),
                  " and those of training ", training.modality().sample(),
                  ": watch samples of the same shape");
      }
    });
  }
  ranges_ = snapshot_samples(source_->dataset().samples(), configuration.integer("watch.samples"),
                             static_cast<uint64_t>(configuration.integer("seed")));
}

fs::path Snapshots::file_of(int64_t epoch) const {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%s%06lld%s", prefix, static_cast<long long>(epoch),
                suffix);
  return run_ / "representations" / name.data();
}

void Snapshots::begin(const fs::path& run, int64_t steps, const BatchTable& batches) {
  ends_.batches = batches;
  if (source_ == nullptr) return;
  run_ = run;
  agreed(context_.communicator, [&] {
    if (context_.communicator.rank() == 0) remove_behind(run / "representations", ends_, steps);
  });
  after_step(steps);
}

// Whether rank 0 sees the file; where not, its folder is made.
bool Snapshots::is_there(const fs::path& file) {
  return asked_of_rank_0(context_.communicator, [&] {
    make_folders(file.parent_path());
    return fs::exists(file);
  });
}

void Snapshots::after_step(int64_t steps) {
  if (source_ == nullptr) return;
  const std::optional<int64_t> epoch = ends_.epoch_at(steps);
  if (!epoch) return;
  const fs::path file = file_of(*epoch);
  if (is_there(file)) return;
  Embedder embedder(output_of(objective_, "encoder"), source_->modality(), compute_,
                    context_.communicator);
  std::unique_ptr<EmbeddedFile> output;
  agreed(context_.communicator, [&] {
    if (context_.communicator.rank() != 0) return;
    output = std::make_unique<EmbeddedFile>(file, *source_, embedder.shape(),
                                            EmbeddedWhat{.run = run_.string(),
                                                         .step = steps,
                                                         .weights = "student",
                                                         .layer = "encoder",
                                                         .configuration = configuration_.resolved(),
                                                         .ranges = ranges_});
  });
  // Batches no larger than those of the training, whose memory is there already.
  embedder.embed(
      *source_,
      {.ranges = ranges_, .batch = batch_, .buffer = std::min(source_->buffer(), most_buffer)},
      [&](const EmbeddedBatch& batch) {
        if (output) output->write(batch);
      });
  agreed(context_.communicator, [&] {
    if (output) output->finish();
  });
  context_.log.line("epoch ", *epoch, ": wrote ", file.string());
}

}  // namespace lacuna
