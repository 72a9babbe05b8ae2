// The keys data.* of where samples are and in which order they are read, and what follows from
// them. What samples mean has keys of its own (modalities/list.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/files/dataset.h"
#include "data/order/order.h"

namespace lacuna {

struct Key;
class Configuration;

// Names of the fields of a data set that open_dataset() opens.
inline constexpr const char* sample_field = "sample";
inline constexpr const char* label_field = "label";

inline constexpr int64_t most_lanes = 1 << 20;

// data.missing.
struct MissingNumbers {
  bool refused = true;
  std::optional<double> value = {};  // that they count as; otherwise the channel's mean
};

struct DataOptions {
  std::vector<std::string> files;  // paths or patterns
  std::string dataset;             // path of the samples in the files
  std::string label;               // path of the labels; empty: none
  std::string valid;               // path of what says which numbers count; empty: none
  MissingNumbers missing;
  // Whether attributes say what numbers mean, and a file of several names is read once; not so for
  // runs of earlier versions.
  bool by_attributes = true;
  SampleLayout layout;
  int64_t buffer = int64_t{1} << 30;
  int64_t lanes = 0, window = 0;  // 0: follows from the data
  int workers = -1;               // -1: the stage decides
};

std::vector<Key> data_keys();
DataOptions data_options(const Configuration& configuration);
MissingNumbers missing_numbers(const Configuration& configuration);

// Keys of samples that may be several rows, for the kinds of data that have them.
std::vector<Key> extent_keys();

// The data set of the options: field "sample", then those of further parts of the samples, "label"
// if data.label is set, and columns of the user's own, all by name and path. Collective.
Dataset open_dataset(const DataOptions& options, Communicator& communicator,
                     const std::vector<FieldSpec>& columns = {},
                     const std::vector<FieldSpec>& parts = {});

// Lanes and window, which a run stores and keeps: otherwise its order would change. `batch` is the
// global batch.
LaneLayout chosen_lanes(const Dataset& dataset, const DataOptions& options, int64_t batch);

// The order of training: all samples, or the ascending indices of `subset`.
OrderSpec order_spec(const Dataset& dataset, const LaneLayout& lanes, uint64_t seed,
                     std::vector<int64_t> subset = {});

}  // namespace lacuna
