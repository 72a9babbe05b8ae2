#include "train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <utility>

#include "comm/agree.h"
#include "ops/elementwise.h"
#include "run/stored_state.h"

namespace lacuna {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void add_field(Fields& fields, const std::string& name, const Tensor& leaf, DType compute) {
  fields.add(name, is_float(leaf.dtype()) ? cast(leaf, compute) : leaf);
}

Fields fields_of(const Batch& batch, DType compute) {
  Fields fields;
  for (const std::string& name : batch.names()) {
    add_field(fields, name, host_leaf(name, batch.field(name)), compute);
  }
  fields.set_keys(batch.keys);
  return fields;
}

Fields fields_of(Streams& streams, const std::vector<Batch>& batches, DType compute) {
  Fields fields = fields_of(batches[0], compute);
  for (size_t i = 1; i < batches.size(); ++i) {
    const Batch& batch = batches[i];
    for (const std::string& field : batch.names()) {
      const std::string name = concat(streams.name(i), ".", field);
      add_field(fields, name, host_leaf(name, batch.field(field)), compute);
    }
    fields.add_stream(streams.name(i), {streams.counts(i, batch), batch.keys});
  }
  return fields;
}

Fields empty_fields(const std::vector<OutputField>& outputs, int64_t count, DType compute) {
  Fields fields;
  for (const OutputField& field : outputs) {
    add_field(fields, field.name,
              host_leaf(field.name, field.dtype, field.shape.behind(count), nullptr), compute);
  }
  return fields;
}

NonFiniteLoss::NonFiniteLoss(int64_t step, const std::string& what, const std::string& to_do)
    : AgreedError(ExitStatus::bad_values, concat(what, ": ", to_do), 0), step_(step), what_(what) {}

namespace {

// Every rank has the same result.
void check(int64_t step, const StepResult& result) {
  const bool has_loss = std::isfinite(result.loss);
  if (has_loss && std::isfinite(result.gradient_norm)) return;
  throw NonFiniteLoss(
      step,
      concat(has_loss ? "the gradient's norm" : "the loss", " of step ", step, " is ",
             has_loss ? result.gradient_norm : result.loss),
      "start again with train.on_bad_loss = \"roll_back\" if there is a checkpoint to go "
      "back to, or begin a new run with a lower optimizer.lr or with optimizer.clip");
}

}  // namespace

std::vector<std::string> accounting_lines(const Accounting& a) {
  std::vector<std::string> lines;
  const auto line = [&](const std::string& what, double seconds, const std::string& note = "") {
    std::ostringstream text;
    text << "  " << std::left << std::setw(22) << what << std::right << std::fixed
         << std::setprecision(1) << std::setw(10) << seconds << " s" << std::setw(7)
         << (a.total > 0 ? 100 * seconds / a.total : 0) << " %"
         << (note.empty() ? "" : "   " + note);
    lines.push_back(text.str());
  };
  lines.emplace_back("where the time went (rank 0)");
  line("wait for batches", a.wait);
  line("forward", a.forward);
  line("backward", a.backward);
  line("communicate", a.communicate, "waiting that computation did not hide");
  line("optimise", a.update);
  line("checkpoint", a.checkpoint, "waiting; writing goes on beside the steps");
  line("plan", a.plan);
  line("other", a.other);
  line("total", a.total);
  line("read", a.read, "in the loader");
  line("augment", a.augment, "in the loader");
  return lines;
}

TrainingLoop::TrainingLoop(LoopOptions options, Streams& streams, Trainer& trainer,
                           StateStore& store, const EarlyStop& early_stop,
                           Communicator& communicator, Log& log, DType compute)
    : options_(std::move(options)),
      streams_(streams),
      trainer_(trainer),
      store_(store),
      early_stop_(early_stop),
      communicator_(communicator),
      log_(log),
      compute_(compute) {}

double TrainingLoop::samples_per_second() const {
  const int64_t samples = options_.batches.position(options_.first_step + steps_here_) -
                          options_.batches.position(options_.first_step);
  return accounting_.total > 0 ? static_cast<double>(samples) / accounting_.total : 0;
}

bool TrainingLoop::checkpoint_due(int64_t steps) const {
  if (steps >= options_.steps) return false;  // the last one follows
  if (options_.checkpoint_steps > 0 && steps % options_.checkpoint_steps == 0) return true;
  return now() - last_checkpoint_ > 60 * options_.checkpoint_minutes;
}

// Collective where ranks share State.
void TrainingLoop::save(Output& output, int64_t steps, bool finished) {
  const double start = now();
  const StoredState stored(store_, communicator_, output.checkpoints != nullptr);
  if (output.checkpoints == nullptr) return;
  CheckpointInfo info = output.info;
  info.step = steps;
  info.batches = options_.batches;
  for (size_t i = 1; i < streams_.size(); ++i) info.streams.push_back(streams_.name(i));
  info.position = options_.batches.position(steps);
  info.epoch = info.position / options_.samples;
  info.finished = finished;
  if (loss_count_ > 0) info.score = loss_sum_ / static_cast<double>(loss_count_);
  if (output.metrics != nullptr) {
    info.metrics = output.metrics->table();
    if (finished)
      output.metrics->finish();
    else
      output.metrics->flush();
  }
  output.checkpoints->start(std::move(info), stored.tensors());
  if (finished) output.checkpoints->wait();
  last_checkpoint_ = now();
  loss_sum_ = 0;
  loss_count_ = 0;
  accounting_.checkpoint += now() - start;
}

// Until the step behind the next one has ended and is saved. Where no checkpoint was written yet:
// at 100 MB/s.
double TrainingLoop::seconds_ahead(const Output& output) const {
  double write = 0;
  if (output.checkpoints != nullptr) {
    write = output.checkpoints->seconds();
    if (write == 0)
      for (const State& state : store_.all())
        write += 1e-8 * static_cast<double>(state.shape().count()) *
                 static_cast<double>(size_of(state.dtype()));
  }
  return 2 * slowest_step_ + 1.5 * write + 1;
}

void TrainingLoop::stop(const EarlyStop::Why& why, Output& output, int64_t steps) {
  log_.line("stopping after step ", steps, " for ", why.what);
  agreed(communicator_, [&] {
    save(output, steps, false);
    if (output.checkpoints != nullptr) output.checkpoints->wait();
  });
  if (output.checkpoints != nullptr)
    log_.line("the checkpoint of step ", steps, " was complete ", std::fixed, std::setprecision(2),
              why.seconds(), " s after that");
  EarlyStop::end(why, concat("after step ", steps));
}

void TrainingLoop::append_metrics(const Output& output, int64_t step, const StepResult& result,
                                  double rate) {
  if (output.metrics == nullptr) return;
  const double epoch = static_cast<double>(options_.batches.position(step + 1)) /
                       static_cast<double>(options_.samples);
  std::vector<Scalar> scalars = {{"loss", result.loss}, {"lr", rate}, {"epoch", epoch}};
  if (result.gradient_norm > 0) scalars.push_back({"gradient_norm", result.gradient_norm});
  for (const auto& [name, value] : result.metrics) scalars.push_back({name, value});
  scalars.push_back({"samples_per_s", samples_per_second()});
  output.metrics->append(step, scalars);
}

void TrainingLoop::show_progress(int64_t steps, double loss) {
  const bool last = steps >= options_.steps;
  if (!last && !log_.progress_due()) return;
  const double rate = samples_per_second();
  const double left = static_cast<double>(options_.batches.position(options_.steps) -
                                          options_.batches.position(steps)) /
                      std::max(rate, 1e-9);
  const double epoch =
      static_cast<double>(options_.batches.position(steps)) / static_cast<double>(options_.samples);
  std::ostringstream text;
  if (log_.terminal()) {
    constexpr int64_t width = 24;
    const auto done = static_cast<size_t>(width * steps / std::max<int64_t>(1, options_.steps));
    text << '[' << std::string(done, '=') << std::string(width - done, ' ') << "] ";
  }
  text << std::fixed << "step " << steps << " of " << options_.steps << "  epoch "
       << std::setprecision(2) << epoch << "  loss " << std::setprecision(4) << loss << "  "
       << std::setprecision(0) << rate << " samples/s  " << duration_text(left) << " left";
  if (last) {
    log_.finish_progress(text.str());
  } else {
    log_.progress(text.str());
  }
}

void TrainingLoop::account(double seconds) {
  accounting_.total = seconds;
  const StepTimes& steps = trainer_.executor().times();
  const LoaderTimes loader = streams_.times();
  accounting_.forward = steps.forward;
  accounting_.backward = steps.backward;
  accounting_.communicate = steps.communicate;
  accounting_.update = steps.update;
  accounting_.plan = steps.plan;
  accounting_.read = loader.read;
  accounting_.augment = loader.make;
  accounting_.wait = loader.wait;
  accounting_.other = seconds - steps.forward - steps.backward - steps.communicate - steps.update -
                      steps.plan - loader.wait - accounting_.checkpoint;
}

// A micro-batch is recorded while the one before is computed, where the device computes beside the
// host.
void TrainingLoop::compute(int64_t step, const std::function<void()>& finish) {
  const BatchTable& batches = options_.batches;
  const double progress = static_cast<double>(batches.position(step)) /
                          static_cast<double>(batches.position(options_.steps));
  for (int64_t micro_batch = 0; micro_batch < options_.micro_batches; ++micro_batch) {
    const std::vector<Batch> batch = streams_.next();
    const std::vector<int64_t> rows = streams_.counts(0, batch[0]);
    if (!trainer_.records_ahead()) finish();
    trainer_.record(fields_of(streams_, batch, compute_), rows, step, rate(step), progress);
    finish();
    trainer_.start();
    running_ = true;
  }
}

// The schedule follows samples: where batches were of another size before, their steps count as as
// many of today's as hold their samples.
double TrainingLoop::rate(int64_t step) const {
  const BatchTable& batches = options_.batches;
  return options_.schedule.rate(static_cast<double>(batches.position(step)) /
                                static_cast<double>(batches.rows(options_.steps)[0]));
}

void TrainingLoop::run(Output output, const AfterStep& after_step) {
  started_ = last_checkpoint_ = now();
  int64_t done = options_.first_step;
  // Of the micro-batch that runs, if one does, and with its step's last all that comes after a
  // step.
  const auto finish = [&] {
    if (!std::exchange(running_, false)) return;
    std::vector<double> votes = early_stop_.votes(seconds_ahead(output));
    votes.push_back(communicator_.rank() == 0 && checkpoint_due(done + 1) ? 1 : 0);
    std::optional<StepResult> result = trainer_.finish(std::move(votes));
    if (!result) return;
    const bool due = result->votes.back() > 0;
    result->votes.pop_back();
    const int64_t step = done++;
    check(step, *result);
    ++steps_here_;
    loss_sum_ += result->loss;
    ++loss_count_;
    accounting_.total = now() - started_;
    if (steps_here_ > 1) slowest_step_ = std::max(slowest_step_, now() - last_step_);
    last_step_ = now();
    append_metrics(output, step, *result, rate(step));
    const std::optional<EarlyStop::Why> why =
        step + 1 < options_.steps ? early_stop_.decision(result->votes) : std::nullopt;
    if (!why && due) save(output, step + 1, false);
    if (after_step) after_step(step + 1);
    show_progress(step + 1, result->loss);
    if (why) stop(*why, output, step + 1);
  };
  for (int64_t step = options_.first_step; step < options_.steps; ++step) compute(step, finish);
  finish();
  if (options_.last_checkpoint) save(output, options_.steps, true);
  account(now() - started_);
}

}  // namespace lacuna
