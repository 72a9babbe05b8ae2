// Source: a data set as a configuration describes it — files, what a sample means, what was found
// in the data — and the recipes and order that the stages ask for. Of samples of several parts it
// reads one, or, for training, all: the further ones are fields beside the first.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "data/load/loader.h"
#include "data/options.h"
#include "graph/state.h"
#include "modalities/modality.h"
#include "run/checkpoint.h"

namespace lacuna {

// What differs from the configuration's own training data.
struct SourceOptions {
  std::vector<std::string> files = {};  // instead of data.files
  std::string dataset = {};             // instead of data.dataset
  std::string label = {};               // instead of data.label
  // The checkpoint whose range, statistics and lanes hold: a run keeps what it once found, and an
  // encoder is used on what it was trained on.
  const Checkpoint* like = nullptr;
  const class Source* as = nullptr;  // the source whose range, statistics and lanes hold
  int threads = 1;                   // for reading
  bool index_only = false;           // only the index is read
  std::string part = {};             // which part of the samples is read; "": the first
  bool all_parts = false;            // and those that the objective asks for beside it
};

class Source {
 public:
  // A part beside the one that is read first: its samples as a data set of their own, which knows
  // their statistics.
  struct Further {
    std::string name;
    DataOptions options;
    std::unique_ptr<Dataset> dataset;
    std::unique_ptr<Modality> modality;
  };
  // Collective. Indexes the files; finds range and statistics, or takes them from the checkpoint;
  // says in one line how a sample is read.
  // Errors are the same on every rank.
  Source(const Configuration& configuration, Communicator& communicator, Log& log,
         const SourceOptions& options = {});

  const Dataset& dataset() const { return dataset_; }
  const Modality& modality() const { return *modality_; }
  // Those of all parts that are read.
  PartModalities parts() const;
  const std::vector<Further>& further() const { return further_; }
  bool labelled() const { return dataset_.has_field(label_field); }

  // All labels as classes, in data-set order; rank 0 reads them, every rank gets them. Collective.
  std::vector<int64_t> labels(Communicator& communicator) const;

  // Collective. bad_input where one of them is no class; only floats need to be read for that.
  void check_labels(Communicator& communicator) const;

  // What a rank loads: the recipe's fields, with "label" where there are labels. Where the device
  // makes a half of them, the other half, and what the device makes of it.
  Halves loaded(const RecipePointer& recipe, const Device& device) const;
  // Views without anything random, with "label" where there are labels.
  RecipePointer plain() const;

  // The order of training: all samples, or the ascending indices of `subset`.
  OrderSpec order(uint64_t seed, std::vector<int64_t> subset = {}) const;
  int64_t buffer() const { return options_.buffer; }
  const DataOptions& options() const { return options_; }
  // How a rank loads: everything but batch, positions and seed. `threads` where there are no
  // workers.
  LoaderOptions loading(const Communicator& communicator, int threads) const;
  // What a checkpoint stores of the data, that of each part read; and bad_input when a run's is
  // another.
  DataIdentity identity() const;
  std::vector<DataIdentity> identities() const;
  void require_same_data(const Checkpoint& checkpoint) const;
  // Adds what was found in the data ("data.range", …) to the State that a checkpoint saves.
  void keep_facts(StateStore& store) const;

 private:
  static std::vector<FieldSpec> fields_of(const std::vector<Further>& parts);
  std::vector<Further> further_parts(const Configuration& configuration, Communicator& communicator,
                                     const SourceOptions& instead) const;
  void tell_reading(Log& log) const;
  const Field& label() const;  // of a source that is labelled

  std::string part_;
  std::optional<Configuration> run_;  // of SourceOptions::like
  DataOptions options_;
  std::vector<Further> further_;
  Dataset dataset_;
  std::unique_ptr<Modality> modality_;
  LaneLayout lanes_;
};

}  // namespace lacuna
