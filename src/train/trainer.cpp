#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "comm/agree.h"
#include "graph/differentiate.h"
#include "kernels/elementwise.h"
#include "ops/collectives.h"
#include "ops/elementwise.h"
#include "ops/scalars.h"
#include "ops/shape.h"
#include "ops/sparse_rows.h"
#include "ops/updates.h"

namespace lacuna {

Trainer::Trainer(Device& device, Communicator& communicator, StateStore& store, Loss loss,
                 std::unique_ptr<Optimizer> optimizer, StepOptions options, OnDevice on_device)
    : device_(device),
      communicator_(communicator),
      store_(store),
      loss_(std::move(loss)),
      on_device_(std::move(on_device)),
      optimizer_(std::move(optimizer)),
      options_(options),
      one_(device.parameter_dtype(), Shape{}),
      sums_(device),
      executor_(device, options.plan) {}

Tensor Trainer::record_loss(const Fields& fields, ForwardContext& forward) const {
  return loss_(on_device_ ? on_device_(fields, forward.compute) : fields, forward);
}

ForwardContext Trainer::context_of(std::span<const SampleKey> keys,
                                   const std::vector<int64_t>& rows, double progress,
                                   const std::map<std::string, StreamRows>& streams) {
  if (loss_scale_ && micro_batches_recorded_ == 0) scale_ = loss_scale_->value();
  return {.communicator = communicator_,
          .training = true,
          .compute = options_.compute,
          .parameters = device_.parameter_dtype(),
          .rows = rows,
          .synchronise_statistics = options_.synchronise_statistics,
          .keys = keys,
          .last_micro_batch = micro_batches_recorded_ + 1 == options_.micro_batches,
          .streams = streams,
          .micro_batches = options_.micro_batches,
          .progress = progress};
}

std::vector<Tensor> Trainer::differentiate_all(const Tensor& loss, const std::vector<State*>& by) {
  // Of a loss that is still to be divided the sum over the micro-batches, else the mean.
  const double share =
      counts_.empty() ? scale_ / static_cast<double>(options_.micro_batches) : scale_;
  if (one_.dtype() == DType::f64) {
    one_.as<double>()[0] = share;
  } else {
    one_.as<float>()[0] = static_cast<float>(share);
  }
  std::vector<Tensor> variables;
  for (const State* state : by) variables.push_back(state->tensor());
  return differentiate(loss, host_leaf("one", one_), variables);
}

void Trainer::prepare(const Fields& example, const std::vector<int64_t>& rows) {
  LACUNA_CHECK(parameters_.empty());
  const std::vector<SampleKey> any(
      static_cast<size_t>(rows[static_cast<size_t>(communicator_.rank())]));
  std::map<std::string, StreamRows> streams = example.streams();
  std::map<std::string, std::vector<SampleKey>> any_of;
  for (auto& [name, of_stream] : streams) {
    const int64_t count = of_stream.counts[static_cast<size_t>(communicator_.rank())];
    of_stream.keys = any_of[name] = std::vector<SampleKey>(static_cast<size_t>(count));
  }
  ForwardContext forward = this->context_of(any, rows, 0, streams);
  const Tensor loss = record_loss(example, forward);
  layers_draw_ = !forward.drawn.empty();
  if (options_.micro_batches > 1) prepare_counts(loss, forward);
  const std::vector<State*> all = store_.select("", Role::parameter);
  const std::vector<Tensor> gradients = differentiate_all(loss, all);
  for (size_t i = 0; i < all.size(); ++i) {
    if (!gradients[i].defined()) continue;
    parameters_.push_back(all[i]);
    (sparse_parts(gradients[i]).empty() ? dense_ : tables_).push_back(all[i]);
  }
  if (!tables_.empty() && options_.micro_batches > 1) {
    bad_input(
        "the gradients of \"", tables_[0]->name(),
        "\" are those of a few of its rows, which are not added up over parts of a batch: set "
        "train.accumulate to 1 and lower train.batch, or use more ranks");
  }
  Communicator* const shared_by = sharded() ? &communicator_ : nullptr;
  optimizer_->attach(store_, dense_, shared_by);
  for (State* table : tables_) optimizer_->attach_table(store_, *table, shared_by);
  if (options_.compute == DType::f16) loss_scale_.emplace(store_);
  if (options_.micro_batches == 1) return;
  for (const State* parameter : parameters_) {
    sum_of_.push_back(
        &sums_.create(parameter->name(), parameter->dtype(), parameter->shape(), Role::buffer));
  }
}

// Of a loss over counts of which each micro-batch has others.
void Trainer::prepare_counts(const Tensor& loss, const ForwardContext& forward) {
  const std::vector<NodePointer> order = in_order({loss});
  const auto is_part_of_loss = [&](const Tensor& share) {
    return std::find(order.begin(), order.end(), share.node()) != order.end();
  };
  const bool is_divided =
      std::any_of(forward.divided.begin(), forward.divided.end(), is_part_of_loss);
  if (is_divided || (forward.undivided.defined() && forward.undivided != loss)) {
    bad_input(
        "the loss is divided by several counts over the whole batch (of masked positions, for "
        "example), which are not known before the last of its train.accumulate = ",
        options_.micro_batches,
        " parts: set train.accumulate to 1 and lower train.batch, or use more ranks");
  }
  if (!forward.undivided.defined()) return;
  for (int64_t micro_batch = 1; micro_batch < options_.micro_batches; ++micro_batch)
    counts_.push_back(
        &sums_.create(concat("counts of part ", micro_batch), DType::f64, Shape{1}, Role::buffer));
}

// Of all micro-batches, f64 [].
Tensor Trainer::record_total_count(ForwardContext& forward) const {
  std::vector<Tensor> all;
  std::vector<Tensor> ones;
  for (const State* counts : counts_) all.push_back(counts->tensor());
  all.push_back(reshape(forward.undivided_count, {1}));
  for (size_t i = 0; i < all.size(); ++i)
    ones.push_back(reshape(forward.value("one_part", 1), {1}));
  return dot(concatenate(all), concatenate(ones), DType::f64);
}

// Gradients are ready from the last parameter to the first: buckets are filled in that order, so
// that each is summed over ranks while the backward pass goes on.
std::vector<Tensor> Trainer::reduced(std::vector<Tensor> gradients, Sum sum) const {
  if (communicator_.size() == 1) return gradients;
  std::vector<Tensor> bucket;
  size_t bytes = 0;
  size_t end = gradients.size();  // one behind the bucket's first member
  for (size_t i = gradients.size(); i-- > 0;) {
    bucket.push_back(gradients[i]);
    bytes += static_cast<size_t>(gradients[i].shape().count()) * size_of(gradients[i].dtype());
    if (bytes < options_.bucket_bytes && i != 0) continue;
    const std::vector<Tensor> sums = sum(bucket, communicator_);
    for (size_t k = 0; k < sums.size(); ++k) gradients[end - 1 - k] = sums[k];
    bucket.clear();
    bytes = 0;
    end = i;
  }
  return gradients;
}

void Trainer::record(const Fields& fields, const std::vector<int64_t>& rows, int64_t step,
                     double rate, double progress) {
  forward_.emplace(context_of(fields.keys(), rows, progress, fields.streams()));
  recorded_ = {};
  recorded_.last = forward_->last_micro_batch;
  const Tensor loss = record_loss(fields, *forward_);
  std::vector<Tensor> outputs = {loss};
  for (const auto& [name, share] : forward_->metrics) {
    outputs.push_back(share);
    recorded_.metrics.push_back(name);
  }
  // In the order in which they become ready: it is the order of execution.
  const std::vector<Tensor> others =
      recorded_.last ? record_updates(loss, rate, step) : record_sums(loss);
  outputs.insert(outputs.end(), others.begin(), others.end());
  if (recorded_.norm > 0) recorded_.norm = outputs.size() - 1;
  if (!counts_.empty()) {
    recorded_.count = outputs.size();
    outputs.push_back(forward_->undivided_count);
  }
  executor_.prepare(outputs, forward_->updates);
  micro_batches_recorded_ = recorded_.last ? 0 : micro_batches_recorded_ + 1;
}

// The gradients are added to those of the micro-batches before; nothing else is an output.
std::vector<Tensor> Trainer::record_sums(const Tensor& loss) {
  const std::vector<Tensor> gradients = differentiate_all(loss, parameters_);
  for (size_t i = 0; i < gradients.size(); ++i) {
    State& sum = *sum_of_[i];
    forward_->updates.push_back(
        micro_batches_recorded_ == 0
            ? Update{&scale_operation, {gradients[i]}, {&sum}, Scale{1}}
            : Update{&accumulate_operation, {sum.tensor(), gradients[i]}, {&sum}, {}});
  }
  if (!counts_.empty()) {
    forward_->updates.push_back(Update{&scale_operation,
                                       {reshape(forward_->undivided_count, {1})},
                                       {counts_[static_cast<size_t>(micro_batches_recorded_)]},
                                       Scale{1}});
  }
  return {};
}

// The gradients, from the last parameter to the first, and their squared norm where it is wanted.
std::vector<Tensor> Trainer::record_updates(const Tensor& loss, double rate, int64_t step) {
  ForwardContext& forward = *forward_;
  std::vector<State*> by = dense_;
  by.insert(by.end(), tables_.begin(), tables_.end());
  std::vector<Tensor> gradients = differentiate_all(loss, by);
  std::vector<SparseGradient> of_tables;
  for (size_t i = dense_.size(); i < gradients.size(); ++i)
    of_tables.push_back(summed(sparse_parts(gradients[i]), communicator_, forward.rows));
  gradients.resize(dense_.size());
  if (micro_batches_recorded_ > 0) {
    for (size_t i = 0; i < gradients.size(); ++i) {
      gradients[i] = lacuna::accumulate({sum_of_[i]->tensor(), gradients[i]});
    }
  }
  gradients = reduced(std::move(gradients), sharded() ? scatter_sums : all_reduce_bucket);
  std::vector<Tensor> outputs(gradients.rbegin(), gradients.rend());
  for (const SparseGradient& gradient : of_tables) outputs.push_back(gradient.values);
  Tensor clip = forward.value("unscale", 1 / scale_);
  if (!counts_.empty()) clip = scale_by(inverse_count(record_total_count(forward)), clip);
  if (options_.clip > 0 || loss_scale_) {
    outputs.push_back(record_norm(gradients, of_tables));
    recorded_.norm = outputs.size();
    const double none = std::numeric_limits<double>::infinity();
    clip = clip_factor(outputs.back(), clip, options_.clip > 0 ? options_.clip : none);
  }

  // What the objective changes (a teacher, running statistics) follows the optimizer's update.
  const std::vector<Update> after = std::move(forward.updates);
  forward.updates.clear();
  const Tensor at_rate = forward.value("learning_rate", rate);
  optimizer_->record(gradients, at_rate, clip, step, forward);
  for (size_t i = 0; i < of_tables.size(); ++i)
    optimizer_->record_table(i, of_tables[i], at_rate, clip, step, forward);
  if (sharded()) record_gather(forward);
  forward.updates.insert(forward.updates.end(), after.begin(), after.end());
  return outputs;
}

// The square of the norm of the whole gradient. Where ranks have slices of the dense ones, each has
// the tables' whole, which counts once.
Tensor Trainer::record_norm(const std::vector<Tensor>& gradients,
                            const std::vector<SparseGradient>& of_tables) const {
  std::vector<Tensor> all = gradients;
  if (!sharded() || communicator_.rank() == 0 || gradients.empty()) {
    for (const SparseGradient& gradient : of_tables) all.push_back(gradient.values);
  }
  const Tensor squares = squared_norm(all);
  return sharded() && !gradients.empty() ? all_reduce_sum(squares, communicator_) : squares;
}

// Every rank's slices of the parameters to all ranks, in messages of the buckets' size.
void Trainer::record_gather(ForwardContext& forward) const {
  std::vector<State*> bucket;
  size_t bytes = 0;
  for (State* parameter : dense_) {
    bucket.push_back(parameter);
    bytes += parameter->bytes();
    if (bytes < options_.bucket_bytes && parameter != dense_.back()) continue;
    forward.updates.push_back(gather_slices(bucket, communicator_));
    bucket.clear();
    bytes = 0;
  }
}

void Trainer::start() {
  executor_.start();
  started_ = std::move(recorded_);
}

std::optional<StepResult> Trainer::finish(std::vector<double> votes) {
  add_results(started_, std::move(votes));
  if (started_.norm > 0) follow(std::sqrt(executor_.scalar(started_.norm)));
  if (!started_.last) return std::nullopt;
  if (!counts_.empty()) divide_results();
  return std::exchange(result_, {});
}

void Trainer::abandon() {
  recorded_ = started_ = {};
  micro_batches_recorded_ = 0;
  result_ = {};
  result_count_ = 0;
}

// Loss and metrics of a micro-batch, over all ranks, as their mean over the micro-batches.
void Trainer::add_results(const MicroBatch& micro_batch, std::vector<double> votes) {
  std::vector<double> shares;
  for (size_t i = 0; i <= micro_batch.metrics.size(); ++i) shares.push_back(executor_.scalar(i));
  const size_t own = shares.size();
  shares.insert(shares.end(), votes.begin(), votes.end());
  communicator_.all_reduce_sum(shares.data(), shares.size(), DType::f64).wait();
  const auto micro_batches = static_cast<double>(options_.micro_batches);
  if (micro_batch.count > 0) {  // the sum over the micro-batches: divide_results()
    result_.loss += shares[0];
    result_count_ += executor_.scalar(micro_batch.count);
  } else {
    result_.loss += shares[0] / micro_batches;
  }
  for (size_t i = 1; i < own; ++i) {
    result_.metrics[micro_batch.metrics[i - 1]] += shares[i] / micro_batches;
  }
  result_.votes.assign(shares.begin() + static_cast<std::ptrdiff_t>(own), shares.end());
}

void Trainer::divide_results() {
  const double count = std::exchange(result_count_, 0);
  const double share = count == 0 ? 0 : 1 / count;
  result_.loss *= share;
  result_.gradient_norm *= share;
}

void Trainer::accumulate(const Fields& fields, const std::vector<int64_t>& rows, int64_t step,
                         double progress) {
  LACUNA_CHECK(micro_batches_recorded_ + 1 < options_.micro_batches);
  record(fields, rows, step, 0, progress);
  start();
  finish();
}

StepResult Trainer::step(const Fields& fields, const std::vector<int64_t>& rows, int64_t step,
                         double rate, double progress) {
  LACUNA_CHECK(micro_batches_recorded_ + 1 == options_.micro_batches);
  record(fields, rows, step, rate, progress);
  start();
  return *finish();
}

// Takes the norm of a step's gradients, as they came out.
void Trainer::follow(double norm) {
  result_.gradient_norm = norm / scale_;
  if (!loss_scale_) return;
  const bool finite = std::isfinite(norm);
  if (!finite) result_.gradient_norm = 0;
  result_.metrics["loss_scale"] = scale_;
  try {
    loss_scale_->follow(finite);
  } catch (const Error& error) {
    agree(communicator_, &error);  // every rank has the same gradients
  }
}

std::map<std::string, HostTensor> Trainer::gradients(const Fields& fields,
                                                     const std::vector<int64_t>& rows) {
  ForwardContext forward = this->context_of(fields.keys(), rows, 0, fields.streams());
  forward.micro_batches = 1;
  const Tensor loss = record_loss(fields, forward);
  const std::vector<Tensor> sums = reduced(differentiate_all(loss, parameters_), all_reduce_bucket);
  std::vector<Tensor> outputs = {loss};
  outputs.insert(outputs.end(), sums.begin(), sums.end());
  executor_.run(outputs);
  std::map<std::string, HostTensor> named;
  for (size_t i = 0; i < sums.size(); ++i) {
    HostTensor& gradient = named[parameters_[i]->name()] = executor_.output(i + 1);
    if (!loss_scale_) continue;
    for (float& x : gradient.as<float>()) x = static_cast<float>(x / scale_);
  }
  return named;
}

}  // namespace lacuna
