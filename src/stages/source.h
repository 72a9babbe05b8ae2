// Source: a data set as a configuration describes it — files, meaning of the values, statistics — and
// the row makers and order that the stages ask for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "data/dataset.h"
#include "data/order.h"
#include "data/row_maker.h"
#include "objectives/objective.h"
#include "train/checkpoint.h"

namespace lacuna {

// What differs from the configuration's own training data.
struct SourceOptions {
  std::vector<std::string> files = {};  // instead of data.files
  std::string dataset = {};             // instead of data.dataset
  std::string label = {};               // instead of data.label
  // The run whose range and statistics hold: an encoder is used on what it was trained on.
  const Checkpoint* like = nullptr;
};

std::vector<Key> source_keys();

class Source {
 public:
  // Collective. Indexes the files, finds range and statistics. Errors are the same on every rank.
  Source(const Configuration& configuration, Communicator& communicator, Log& log,
         const SourceOptions& options = {});

  const Dataset& dataset() const { return *dataset_; }
  const ViewOptions& views() const { return views_; }
  bool labelled() const { return dataset_->has_field("label"); }

  // Rows that a recipe makes; with "label" where there are labels.
  std::shared_ptr<const RowMaker> rows(std::shared_ptr<const Recipe> recipe) const;
  // Views without anything random.
  std::shared_ptr<const RowMaker> plain_rows() const;

  OrderSpec order(int64_t batch, uint64_t seed, std::vector<int64_t> subset = {}) const;
  int64_t buffer() const { return buffer_; }
  int workers() const { return workers_; }
  // What a checkpoint stores of the data.
  DataIdentity identity() const;

 private:
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<Interpretation> interpretation_;
  ViewOptions views_;
  std::string path_;
  int64_t buffer_ = 0;
  int64_t lanes_ = 0;
  int workers_ = 0;
};

}  // namespace lacuna
