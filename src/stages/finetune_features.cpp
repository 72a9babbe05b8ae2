// The tasks on fixed features: linear probe and nearest neighbours.
#include <memory>
#include <optional>

#include "base/log.h"
#include "stages/embedding.h"
#include "stages/finetune.h"
#include "tasks/knn.h"
#include "tasks/logistic_regression.h"
#include "train/loop.h"
#include "train/stored_state.h"

namespace lacuna {

namespace {

struct TrainAndTest {
  Features train, test;
};

Features features_of(const Source& source, Representation representation, const FinetuneJob& job) {
  Embedder embedder(std::move(representation), job.compute, job.context.communicator);
  return embed_features(embedder, source, job.early_stop);
}

// What is classified, and the run's model where that is its output.
struct FeaturesMaker {
  const FinetuneJob& job;
  std::unique_ptr<Model> model;  // null: the samples' own values
  Representation representation;

  TrainAndTest compute() const {
    return {features_of(job.train, representation, job),
            features_of(job.test, representation, job)};
  }
};

std::shared_ptr<FeaturesMaker> features_maker(const FinetuneJob& job) {
  const ViewOptions& views = job.train.views();
  if (job.configuration.is("task.features", "pixels")) {
    return std::make_shared<FeaturesMaker>(FeaturesMaker{job, nullptr, pixels(views.sample)});
  }
  auto model = std::make_unique<Model>(job.pretraining, views, *job.compute.device);
  load_state(job.checkpoint, tensor_targets(model->store()), Match::subset,
             job.context.communicator);
  const Weights weights =
      job.configuration.is("task.weights", "teacher") ? Weights::teacher : Weights::student;
  const Representation encoder =
      representation(model->objective().network(weights), Layer::encoder);
  return std::make_shared<FeaturesMaker>(FeaturesMaker{job, std::move(model), encoder});
}

std::vector<Key> feature_keys() {
  return {
      key::one_of(
          "task.features", {"encoder", "pixels"}, "encoder",
          "What is classified: representations, or the samples' own values as the baseline."),
      key::one_of("task.weights", {"student", "teacher"}, "student", "Which of the run's weights."),
  };
}

// Runs `probe` on each draw of labels that was not probed before.
template <typename Probe>
ReadyTask for_each_draw(const FinetuneJob& job, const Probe& probe) {
  return [&job, probe, maker = features_maker(job)](Trials& trials) {
    const auto seed = static_cast<uint64_t>(job.configuration.integer("seed"));
    std::optional<TrainAndTest> features;  // once they are needed
    const auto run = [&](int64_t draw) {
      if (!features) features = maker->compute();
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

std::vector<Key> linear_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::numbers("task.l2", "[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]",
                              "Weights of the squared norm to choose from on held-out labels.")
                     .min(0));
  return keys;
}

std::vector<Key> knn_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::integers("task.k", "[1, 3, 5, 10, 20, 50, 100, 200]",
                               "Numbers of neighbours to choose from on held-out labels.")
                     .min(1));
  return keys;
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
