// Tasks on fixed representations of the samples, or on their own values.
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "base/log.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "run/representations.h"
#include "run/stored_state.h"
#include "stages/embed/embedding.h"
#include "stages/embed/resumable_embedding.h"
#include "stages/finetune/finetune.h"
#include "stages/finetune/finetuned_model.h"
#include "stages/setup/parts_of_run.h"
#include "stages/setup/training.h"
#include "train/loop.h"

namespace lacuna {

namespace {

namespace fs = std::filesystem;

constexpr const char *train_file = "train.h5", *test_file = "test.h5";

// The run's output that the task is done on.
std::string output_name(const FinetuneJob& job) {
  return job.configuration.is("task.weights", "teacher") ? "teacher.encoder" : "encoder";
}

fs::path features_folder(const fs::path& run) { return run / "features"; }

struct TrainAndTest {
  Features train;
  HostTensor test;
};

// What the task is done on, and the run's model where that is its output.
class FeaturesMaker {
 public:
  FeaturesMaker(const FinetuneJob& job, std::unique_ptr<PartsOfRun> parts,
                std::unique_ptr<Model> model, Output output)
      : job_(job), parts_(std::move(parts)), model_(std::move(model)), output_(std::move(output)) {}

  // Kept in the run's folder as they are made, unless they cost no more than the reading of
  // samples.
  TrainAndTest make(const fs::path& run) const {
    TrainAndTest made;
    made.train.targets = job_.data.targets.train;
    if (!model_) {
      made.train.values = in_memory(job_.data.train);
      made.test = in_memory(job_.data.test);
      return made;
    }
    const fs::path folder = features_folder(run);
    made.train.values = by_file(job_.data.train, folder / train_file);
    made.test = by_file(job_.data.test, folder / test_file);
    return made;
  }
  // Of the run's model; none where it is not used.
  std::vector<const State*> state() const {
    std::vector<const State*> all;
    if (!model_) return all;
    for (const State& each : model_->store().all()) all.push_back(&each);
    return all;
  }

 private:
  Embedder embedder() const {
    return {output_, job_.data.train.modality(), job_.compute, job_.context.communicator};
  }
  HostTensor in_memory(const Source& source) const {
    Embedder by = embedder();
    return embed_in_memory(by, source, job_.early_stop);
  }
  HostTensor by_file(const Source& source, const fs::path& file) const;

  const FinetuneJob& job_;
  // Null: the samples' own values.
  std::unique_ptr<PartsOfRun> parts_;
  std::unique_ptr<Model> model_;
  Output output_;
};

// What rank 0 reads of a file of so many samples and features, on all ranks.
HostTensor read_on_all_ranks(const fs::path& file, int64_t samples, int64_t width,
                             Communicator& communicator) {
  const Shape shape{samples, width};
  HostTensor features;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) {
      features = HostTensor(DType::f32, shape);
      return;
    }
    features = std::move(read_representations(file).z);
    if (features.shape() != shape)
      bad_input(file.string(), " is not what this run has left there: remove it, then the same ",
                "command makes it anew");
  });
  communicator.broadcast(features.data(), features.bytes(), 0).wait();
  return features;
}

HostTensor FeaturesMaker::by_file(const Source& source, const fs::path& file) const {
  Communicator& communicator = job_.context.communicator;
  Embedder by = embedder();
  const bool is_there = asked_of_rank_0(communicator, [&] {
    make_folders(file.parent_path());
    return fs::exists(file);
  });
  if (!is_there) {
    const TrainOptions options = train_options(job_.configuration);
    const EmbeddedWhat what = embedded_what(job_.checkpoint, job_.pretraining, output_name(job_));
    ResumableEmbedding(by, source, job_.early_stop, job_.context,
                       {.out = file,
                        .what = what,
                        .precision = job_.compute.arithmetic,
                        .save_minutes = options.checkpoint_minutes})
        .run();
  }
  return read_on_all_ranks(file, source.dataset().samples(), by.features(), communicator);
}

std::shared_ptr<FeaturesMaker> features_maker(const FinetuneJob& job) {
  if (job.configuration.is("task.features", "pixels")) {
    return std::make_shared<FeaturesMaker>(job, nullptr, nullptr, own_values());
  }
  auto parts = std::make_unique<PartsOfRun>(job.pretraining, job.data.train, job.checkpoint,
                                            job.context.communicator);
  auto model = agreed(job.context.communicator, [&] {
    return std::make_unique<Model>(job.pretraining, parts->all(), *job.compute.device);
  });
  load_state(job.checkpoint, tensor_targets(model->store()), Match::subset,
             job.context.communicator);
  Output output = agreed(job.context.communicator,
                         [&] { return output_of(model->objective(), output_name(job)); });
  return std::make_shared<FeaturesMaker>(job, std::move(parts), std::move(model),
                                         std::move(output));
}

std::vector<int64_t> counting(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Draws of labels, to each of which the task is fitted.
class ProbeDraws {
 public:
  ProbeDraws(const FinetuneJob& job, const ProbeTask& task, const FeaturesMaker& maker)
      : job_(job), task_(task), maker_(maker) {}

  TrialResult run(int64_t draw) {
    if (!features_) features_ = maker_.make(job_.run);
    const auto seed = static_cast<uint64_t>(job_.configuration.integer("seed"));
    const std::vector<int64_t> rows =
        labelled_samples(job_.configuration, job_.data.targets.train, draw);
    const Features labelled = select_rows(features_->train, rows);
    TrialResult result = chosen_on_held_out(draw, labelled, rows, seed);
    const std::unique_ptr<FittedProbe> fitted =
        task_.fit(labelled, counting(labelled.count()), {&result.chosen, 1}, *job_.compute.device,
                  job_.context.communicator);
    std::vector<std::unique_ptr<Scorer>> scorer;
    scorer.push_back(task_.scorer());
    scorer[0]->bootstrap(seed + static_cast<uint64_t>(draw));
    result.test = scores(*fitted, features_->test, job_.data.targets.test, std::move(scorer))[0];
    if (draw == 0) keep_model(job_, task_, maker_.state(), fitted.get());
    tell_of_draw(job_.context.log, draw, rows.size(), result);
    return result;
  }

 private:
  TrialResult chosen_on_held_out(int64_t draw, const Features& labelled,
                                 const std::vector<int64_t>& rows, uint64_t seed) const {
    const std::vector<double> candidates = task_.candidates();
    const Split split = agreed(job_.context.communicator, [&] {
      return hold_out_fifth(counting(labelled.count()), strata(labelled.targets),
                            select_rows(job_.data.targets.hold_out, rows), seed);
    });
    if (split.held_out.empty()) {
      tell_that_none_is_held_out(job_.context.log, draw, candidates[0]);
      return {.test = {}, .held_out = task_.scorer()->scores(), .chosen = candidates[0]};
    }
    const std::unique_ptr<FittedProbe> fitted = task_.fit(
        labelled, split.train, candidates, *job_.compute.device, job_.context.communicator);
    const Features held_out = select_rows(labelled, split.held_out);
    std::vector<std::unique_ptr<Scorer>> scorers;
    for (size_t i = 0; i < candidates.size(); ++i) scorers.push_back(task_.scorer());
    const std::vector<std::vector<Score>> found =
        scores(*fitted, held_out.values, held_out.targets, std::move(scorers));
    TrialResult result{.test = {}, .held_out = found[0], .chosen = candidates[0]};
    for (size_t i = 1; i < candidates.size(); ++i) {
      if (!is_better(found[i][0], result.held_out[0])) continue;
      result.held_out = found[i];
      result.chosen = candidates[i];
    }
    tell_of_ties(job_.context.log, draw, found, result.chosen);
    return result;
  }

  // Of what is said of these representations for each value of the hyper-parameter. The ranks take
  // blocks of them in turn.
  std::vector<std::vector<Score>> scores(FittedProbe& fitted, const HostTensor& x,
                                         const Targets& targets,
                                         std::vector<std::unique_ptr<Scorer>> scorers) const {
    constexpr int64_t block_rows = 256;  // bounds what is computed of them at a time
    Communicator& communicator = job_.context.communicator;
    const int64_t count = x.shape()[0];
    for (int64_t first = communicator.rank() * block_rows; first < count;
         first += communicator.size() * block_rows) {
      std::vector<int64_t> rows = counting(std::min(block_rows, count - first));
      for (int64_t& row : rows) row += first;
      const std::vector<HostTensor> outputs = fitted.outputs(select_rows(x, rows));
      for (size_t i = 0; i < outputs.size(); ++i)
        scorers[i]->add(task_.predicted(outputs[i]), targets, rows);
    }
    std::vector<std::vector<Score>> all;
    for (const auto& scorer : scorers) {
      scorer->reduce(communicator);
      all.push_back(scorer->scores());
    }
    return all;
  }

  const FinetuneJob& job_;
  const ProbeTask& task_;
  const FeaturesMaker& maker_;
  std::optional<TrainAndTest> features_;  // once they are needed
};

}  // namespace

std::string features_text(const fs::path& run) {
  std::string text;
  for (const char* name : {train_file, test_file}) {
    const std::string made = how_far_embedded(features_folder(run) / name);
    if (!made.empty()) text += concat(", ", name, ": ", made);
  }
  return text;
}

void remove_features(const fs::path& run) {
  std::error_code ignored;  // what stays is not read again
  fs::remove_all(features_folder(run), ignored);
}

ReadyTask ready_probe(const FinetuneJob& job, const TaskEntry& entry) {
  const std::shared_ptr<const ProbeTask> task = entry.make_probe(parts_of(job));
  return [&job, task, maker = features_maker(job)](Trials& trials) {
    ProbeDraws draws(job, *task, *maker);
    std::vector<TrialResult> results;
    for (int64_t draw = 0; draw < job.configuration.integer("task.draws"); ++draw)
      results.push_back(trials.once(draw_name(draw), [&](const auto&) { return draws.run(draw); }));
    return results;
  };
}

}  // namespace lacuna
