#include "stages/check/rehearsal.h"

#include <chrono>
#include <cstring>

#include "data/load/block_reader.h"
#include "graph/executor.h"
#include "stages/setup/training.h"
#include "train/loop.h"

namespace lacuna {

Rehearsal::Rehearsal(const Configuration& configuration, const PartModalities& parts, DType compute,
                     int ranks, Device& device)
    : ranks_(absent_ranks(ranks, &traffic_)),
      options_(train_options(configuration)),
      model_(configuration, parts, device),
      recipe_(model_.objective().recipe()),
      halves_(halves_of(parts, recipe_, device)),
      trainer_(make_trainer(configuration, compute, false, trainable(model_, halves_), device,
                            *ranks_)) {
  check_micro_batches(options_, model_.objective().spans_batch(),
                      configuration.text("objective.name"));
  const int64_t count = options_.batch / options_.accumulate;
  for (int rank = 0; rank < ranks; ++rank)
    rows_.push_back(count / ranks + (rank < count % ranks ? 1 : 0));
  for (const OutputField& field : halves_.host->outputs()) {
    HostTensor& host = batch_[field.name] = HostTensor(field.dtype, field.shape.behind(rows_[0]));
    std::memset(host.data(), 0, host.bytes());
    add_field(fields_, field.name, host_leaf(field.name, host), compute);
  }
  keys_.resize(static_cast<size_t>(rows_[0]));
  fields_.set_keys(keys_);
  trainer_.prepare(fields_, rows_);
}

void Rehearsal::step() {
  traffic_ = {};
  for (int64_t part = 1; part < options_.accumulate; ++part)
    trainer_.accumulate(fields_, rows_, 0, 0);
  trainer_.step(fields_, rows_, 0, 0, 0);
}

Needs Rehearsal::needs() const {
  Needs needs;
  needs.rows = rows_[0];
  needs.traffic = traffic_;
  for (const State& state : model_.store().all()) {
    (state.role() == Role::parameter   ? needs.parameters
     : state.role() == Role::optimizer ? needs.optimizer
                                       : needs.buffers) += state.bytes();
    const Shape& whole = state.slice() ? state.slice()->whole : state.shape();
    needs.state += static_cast<size_t>(whole.count()) * size_of(state.dtype());
  }
  for (const State* parameter : trainer_.parameters()) needs.gradients += parameter->bytes();
  needs.arena = trainer_.executor().plan().arena_bytes;
  for (const auto& [name, host] : batch_) needs.upload += host.bytes();
  return needs;
}

double seconds_of_row(const Dataset& dataset, const Recipe& recipe) {
  using Clock = std::chrono::steady_clock;
  BlockReader reader(dataset);
  BlockRows block;
  run_tasks(reader.start(0, block), 1);
  reader.decode(0, block);
  std::vector<HostTensor> row;
  std::vector<void*> to;
  for (const OutputField& output : recipe.outputs())
    to.push_back(row.emplace_back(output.dtype, output.shape.behind(1)).data());
  std::vector<Extent> stored(dataset.fields().size());
  Scratch scratch;
  constexpr double most_seconds = 0.2;
  const auto begin = Clock::now();
  double seconds = 0;
  uint64_t rows = 0;
  while (rows < 10 || seconds < most_seconds) {
    const auto at = static_cast<int64_t>(rows) % dataset.block(0).samples;
    for (size_t f = 0; f < stored.size(); ++f) stored[f] = block.extent(f, at);
    recipe.make(stored, {0, 0, rows++}, to, scratch);
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  return seconds / static_cast<double>(rows);
}

}  // namespace lacuna
