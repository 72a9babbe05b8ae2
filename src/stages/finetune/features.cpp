// The tasks on fixed features: linear probe and nearest neighbours.
#include <filesystem>
#include <memory>
#include <optional>

#include "base/log.h"
#include "comm/agree.h"
#include "io/durable_file.h"
#include "run/representations.h"
#include "run/stored_state.h"
#include "stages/embed/embedding.h"
#include "stages/embed/resumable_embedding.h"
#include "stages/finetune/finetune.h"
#include "stages/setup/training.h"
#include "tasks/knn.h"
#include "tasks/logistic_regression.h"
#include "train/loop.h"

namespace lacuna {

namespace {

namespace fs = std::filesystem;

constexpr const char *train_file = "train.h5", *test_file = "test.h5";

// The run's output that is classified.
std::string output_name(const FinetuneJob& job) {
  return job.configuration.is("task.weights", "teacher") ? "teacher.encoder" : "encoder";
}

fs::path features_folder(const fs::path& run) { return run / "features"; }

struct TrainAndTest {
  Features train, test;
};

// What is classified, and the run's model where that is its output.
class FeaturesMaker {
 public:
  FeaturesMaker(const FinetuneJob& job, std::unique_ptr<Model> model, Output output)
      : job_(job), model_(std::move(model)), output_(std::move(output)) {}

  // Kept in the run's folder as they are made, unless they cost no more than the reading of
  // samples.
  TrainAndTest make(const fs::path& run) const {
    if (!model_) return {in_memory(job_.train), in_memory(job_.test)};
    const fs::path folder = features_folder(run);
    return {by_file(job_.train, folder / train_file), by_file(job_.test, folder / test_file)};
  }

 private:
  Embedder embedder() const {
    return {output_, job_.train.modality(), job_.compute, job_.context.communicator};
  }
  Features in_memory(const Source& source) const {
    Embedder by = embedder();
    return embed_features(by, source, job_.early_stop);
  }
  Features by_file(const Source& source, const fs::path& file) const;

  const FinetuneJob& job_;
  std::unique_ptr<Model> model_;  // null: the samples' own values
  Output output_;
};

// What rank 0 reads of a file of so many samples and features, on all ranks.
Features read_on_all_ranks(const fs::path& file, int64_t samples, int64_t width,
                           Communicator& communicator) {
  const Shape shape{samples, width};
  Features features;
  agreed(communicator, [&] {
    if (communicator.rank() != 0) {
      features = {HostTensor(DType::f32, shape),
                  std::vector<int64_t>(static_cast<size_t>(samples))};
      return;
    }
    Representations read = read_representations(file);
    if (read.z.shape() != shape || !read.label)
      bad_input(file.string(), " is not what this run has left there: remove it, then the same ",
                "command makes it anew");
    features = {std::move(read.z), *std::move(read.label)};
  });
  communicator.broadcast(features.values.data(), features.values.bytes(), 0).wait();
  communicator
      .broadcast(features.labels.data(), features.labels.size() * sizeof features.labels[0], 0)
      .wait();
  return features;
}

Features FeaturesMaker::by_file(const Source& source, const fs::path& file) const {
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
                        .precision = job_.compute.environment.precision,
                        .save_minutes = options.checkpoint_minutes})
        .run();
  }
  return read_on_all_ranks(file, source.dataset().samples(), by.features(), communicator);
}

std::shared_ptr<FeaturesMaker> features_maker(const FinetuneJob& job) {
  if (job.configuration.is("task.features", "pixels")) {
    return std::make_shared<FeaturesMaker>(job, nullptr, own_values());
  }
  auto model = std::make_unique<Model>(job.pretraining, job.train.modality(), *job.compute.device);
  load_state(job.checkpoint, tensor_targets(model->store()), Match::subset,
             job.context.communicator);
  Output output = output_of(model->objective(), output_name(job));
  return std::make_shared<FeaturesMaker>(job, std::move(model), std::move(output));
}

// Runs `probe` on each draw of labels that was not probed before.
template <typename Probe>
ReadyTask for_each_draw(const FinetuneJob& job, const Probe& probe) {
  return [&job, probe, maker = features_maker(job)](Trials& trials) {
    const auto seed = static_cast<uint64_t>(job.configuration.integer("seed"));
    std::optional<TrainAndTest> features;  // once they are needed
    const auto run = [&](int64_t draw) {
      if (!features) features = maker->make(trials.folder());
      const std::vector<int64_t> rows =
          label_subset(features->train.labels, job.configuration.number("task.labels"), seed,
                       static_cast<uint64_t>(draw));
      const TrialResult result = probe(select_rows(features->train, rows), features->test, seed);
      job.context.log.line(draw_name(draw), ": ", rows.size(), " labels, accuracy ",
                           result.test_accuracy);
      return result;
    };
    std::vector<TrialResult> results;
    for (int64_t draw = 0; draw < job.configuration.integer("task.draws"); ++draw) {
      results.push_back(trials.once(draw_name(draw), [&](const auto&) { return run(draw); }));
    }
    return results;
  };
}

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

ReadyTask linear_task(const FinetuneJob& job) {
  return for_each_draw(job, [&job](const Features& train, const Features& test, uint64_t seed) {
    const LinearResult r = linear_probe(train, test, job.configuration.numbers("task.l2"), seed,
                                        *job.compute.device, job.context.communicator);
    return TrialResult{r.test_accuracy, r.held_out_accuracy, r.l2};
  });
}

ReadyTask knn_task(const FinetuneJob& job) {
  return for_each_draw(job, [&job](const Features& train, const Features& test, uint64_t seed) {
    const KnnResult r = knn(train, test, job.configuration.integers("task.k"), seed,
                            *job.compute.device, job.context.communicator);
    return TrialResult{r.test_accuracy, r.held_out_accuracy, static_cast<double>(r.k)};
  });
}

}  // namespace lacuna
