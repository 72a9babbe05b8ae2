#include "stages/setup/training.h"

#include <algorithm>
#include <functional>

#include "base/log.h"

namespace lacuna {
int64_t steps_to_do(const TrainOptions& options, int64_t samples, int64_t done,
                    const BatchTable& batches) {
  const int64_t left = options.epochs * samples - batches.position(done);
  const int64_t steps = done + std::max<int64_t>(0, left) / options.batch;
  return options.max_steps > 0 ? std::min(options.max_steps, steps) : steps;
}

void check_sizes(const TrainOptions& options, int64_t steps, int64_t samples, int ranks) {
  if (options.batch < ranks) {
    bad_input("train.batch is ", options.batch, ", less than one sample for each of the ", ranks,
              " ranks: raise it, or start fewer ranks");
  }
  if (steps < 1) {
    bad_input("train.epochs = ", options.epochs, " of ", samples,
              " samples are less than one batch of train.batch = ", options.batch,
              ": lower train.batch, or raise train.epochs");
  }
}

std::optional<std::string> repeated_samples(const TrainOptions& options, int64_t samples,
                                            bool spans_batch, const std::string& name) {
  if (options.batch > samples) {
    const std::string what = concat("train.batch is ", options.batch, ", more than the ", samples,
                                    " samples, so that every batch holds some of them twice");
    if (spans_batch)
      bad_input(what, ", and objective ", name,
                " takes them for different ones: lower train.batch to ", samples, " or less");
    return what + ": lower it to have each in a step once";
  }
  constexpr int64_t many = 20;  // batches an epoch, of which then few hold a sample twice
  if (!spans_batch || samples % options.batch == 0 || samples >= many * options.batch)
    return std::nullopt;
  int64_t divisor = options.batch;
  while (samples % divisor != 0) --divisor;
  return concat("the ", samples,
                " samples are no whole number of batches of train.batch = ", options.batch,
                ", so that a batch over the end of an epoch holds some of them twice, ",
                "which objective ", name, " takes for different ones: set train.batch to a divisor",
                2 * divisor >= options.batch ? concat(", such as ", divisor) : std::string(),
                ", or leave some samples out of the files");
}

void check_micro_batches(const TrainOptions& options, bool spans_batch, const std::string& name) {
  if (options.accumulate == 1) return;
  if (spans_batch) {
    bad_input("objective ", name,
              " compares all samples of a batch with each other, so gradients of parts would be "
              "those of another loss: set train.accumulate to 1 and lower train.batch, or use more "
              "ranks");
  }
  if (options.batch % options.accumulate != 0) {
    bad_input("train.batch is ", options.batch, ", which train.accumulate, ", options.accumulate,
              ", does not divide: change one of them");
  }
}

Trainable trainable(Model& model, const Halves& halves) {
  return {.loss = std::bind_front(&Objective::loss, &model.objective()),
          .store = model.store(),
          .on_device = halves.device};
}

Trainer make_trainer(const Configuration& configuration, DType compute, bool eager,
                     Trainable trainable, Device& device, Communicator& communicator) {
  const TrainOptions options = train_options(configuration);
  return Trainer(device, communicator, trainable.store, std::move(trainable.loss),
                 make_optimizer(configuration),
                 {.compute = compute,
                  .synchronise_statistics = options.synchronise_statistics,
                  .clip = configuration.number("optimizer.clip"),
                  .shard_optimizer = options.shard_optimizer,
                  .bucket_bytes = static_cast<size_t>(options.bucket_bytes),
                  .micro_batches = options.accumulate,
                  .plan = {.eager = eager}},
                 std::move(trainable.on_device));
}

void tell_of_other_draws(const Checkpoint& checkpoint, const Trainer& trainer, Log& log) {
  if (!trainer.layers_draw() || checkpoint.info.draws_by_sample) return;
  log.line(
      "from step ", checkpoint.info.step,
      " on, what layers draw (encoder.drop_path) follows the samples; the version that wrote the "
      "checkpoint drew by their places in the batch");
}

}  // namespace lacuna
