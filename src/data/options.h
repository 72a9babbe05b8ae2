// The keys data.*, and what follows from them and from the data before the first step.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/files/dataset.h"
#include "data/files/interpretation.h"
#include "data/load/statistics.h"
#include "data/order/order.h"

namespace lacuna {

struct Key;
class Configuration;

// Names of the fields of a data set that open_dataset() opens.
inline constexpr const char* sample_field = "sample";
inline constexpr const char* label_field = "label";

inline constexpr int64_t most_lanes = 1 << 20;

struct DataOptions {
  std::vector<std::string> files;    // paths or patterns
  std::string dataset;               // path of the samples in the files
  std::string label;                 // path of the labels; empty: none
  std::optional<Channels> channels;  // none: as usual for the shape
  enum class RangeFrom { type, percentiles, given } range_from = RangeFrom::type;
  Range range;  // if given
  std::array<double, 2> percentiles = {0.1, 99.9};
  enum class StatisticsFrom { sample, all, given } statistics_from = StatisticsFrom::sample;
  std::vector<double> mean, std;  // if given; one value for each channel
  int64_t buffer = int64_t{1} << 30;
  int64_t lanes = 0, window = 0;  // 0: follows from the data
  int workers = -1;               // -1: the stage decides
};

std::vector<Key> data_keys();
DataOptions data_options(const Configuration& configuration);

// The data set of the options: field "sample", and "label" if data.label is set; further fields are
// columns of the user's own, by name and path. Collective.
Dataset open_dataset(const DataOptions& options, Communicator& communicator,
                     const std::vector<FieldSpec>& columns = {});

// What a run finds out from its data once, and must store and use again when it continues or is
// used (embed, finetune): otherwise order or values would change.
struct DataFacts {
  Range range;
  std::vector<double> mean, std;  // one value for each channel
  int64_t lanes = 1, window = 1;
};

// Collective. `batch` is the global batch; `threads` are used for reading.
DataFacts find_facts(const Dataset& dataset, const DataOptions& options, int64_t batch,
                     uint64_t seed, int threads, Communicator& communicator);

// The same, of the index alone: range and statistics that the options do not give are 0, 1 and mean
// nothing. For planning.
DataFacts planned_facts(const Dataset& dataset, const DataOptions& options, int64_t batch);

// How the samples are to be read as floats.
Interpretation interpretation_of(const Dataset& dataset, const DataOptions& options,
                                 const Range& range);

// The order of training: all samples, or the ascending indices of `subset`.
OrderSpec order_spec(const Dataset& dataset, const DataFacts& facts, uint64_t seed,
                     std::vector<int64_t> subset = {});

}  // namespace lacuna
