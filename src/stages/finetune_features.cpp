// The tasks on fixed features: linear probe and nearest neighbours.
#include <numeric>

#include "base/log.h"
#include "stages/embedding.h"
#include "stages/finetune.h"
#include "tasks/knn.h"
#include "tasks/logistic_regression.h"
#include "train/loop.h"

namespace lacuna {

namespace {

struct TrainAndTest {
  Features train, test;
};

Features features_of(const Source& source, Representation representation, const FinetuneJob& job) {
  Embedder embedder(std::move(representation), job.compute, job.context.communicator);
  return embed_features(embedder, source);
}

TrainAndTest compute_features(const FinetuneJob& job) {
  const bool raw = job.configuration.is("task.features", "pixels");
  if (raw) {
    const Shape sample = job.train.views().sample;
    return {features_of(job.train, pixels(sample), job),
            features_of(job.test, pixels(sample), job)};
  }
  const ViewOptions& views = job.train.views();
  Model model(job.pretraining, views, *job.compute.device);
  load_state(job.checkpoint, tensor_targets(model.store()), Match::subset,
             job.context.communicator);
  const Weights weights =
      job.configuration.is("task.weights", "teacher") ? Weights::teacher : Weights::student;
  const Objective::Network network = model.objective().network(weights);
  return {features_of(job.train, representation(network, Layer::encoder), job),
          features_of(job.test, representation(network, Layer::encoder), job)};
}

std::vector<Key> feature_keys() {
  return {
      key::one_of(
          "task.features", {"encoder", "pixels"}, "encoder",
          "What is classified: representations, or the samples' own values as the baseline."),
      key::one_of("task.weights", {"student", "teacher"}, "student", "Which of the run's weights."),
  };
}

// Runs `probe` on each draw of labels.
template <typename Probe>
std::vector<DrawResult> for_each_draw(const FinetuneJob& job, const Probe& probe) {
  const TrainAndTest features = compute_features(job);
  const auto seed = static_cast<uint64_t>(job.configuration.integer("seed"));
  std::vector<DrawResult> results;
  for (int64_t draw = 0; draw < job.configuration.integer("task.draws"); ++draw) {
    const std::vector<int64_t> rows =
        label_subset(features.train.labels, job.configuration.number("task.labels"), seed,
                     static_cast<uint64_t>(draw));
    results.push_back(probe(select_rows(features.train, rows), features.test, seed));
    job.context.log.line("draw ", draw + 1, ": ", rows.size(), " labels, accuracy ",
                         results.back().test_accuracy);
  }
  return results;
}

}  // namespace

std::vector<Key> linear_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::numbers("task.l2", "[1e-5, 1e-4, 1e-3, 1e-2]",
                              "Weights of the squared norm to choose from on held-out labels.")
                     .min(0));
  return keys;
}

std::vector<Key> knn_keys() {
  std::vector<Key> keys = feature_keys();
  keys.push_back(key::integers("task.k", "[5, 10, 20, 50, 100, 200]",
                               "Numbers of neighbours to choose from on held-out labels.")
                     .min(1));
  return keys;
}

std::vector<DrawResult> linear_task(const FinetuneJob& job) {
  return for_each_draw(job, [&](const Features& train, const Features& test, uint64_t seed) {
    const LinearResult r = linear_probe(train, test, job.configuration.numbers("task.l2"), seed,
                                        *job.compute.device, job.context.communicator);
    return DrawResult{r.test_accuracy, r.held_out_accuracy, r.l2};
  });
}

std::vector<DrawResult> knn_task(const FinetuneJob& job) {
  return for_each_draw(job, [&](const Features& train, const Features& test, uint64_t seed) {
    const KnnResult r = knn(train, test, job.configuration.integers("task.k"), seed,
                            *job.compute.device, job.context.communicator);
    return DrawResult{r.test_accuracy, r.held_out_accuracy, static_cast<double>(r.k)};
  });
}

}  // namespace lacuna
