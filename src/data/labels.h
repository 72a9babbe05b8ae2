// LabelColumn: labels as they stand in the files, of all samples of a data set; what they mean to a
// task is another's business (tasks/label_targets.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/files/dataset.h"

namespace lacuna {

// Where labels are.
struct LabelPlace {
  std::string path;  // in the files
  // Files that hold them beside those of the samples, or patterns of such; empty: the samples' own.
  std::vector<std::string> files = {};
  std::string files_key = "data.label_files";  // that names them, for messages
};

struct LabelColumn {
  enum class Type { integers, numbers, texts };
  Type type = Type::integers;
  std::string path;       // as in LabelPlace
  std::string type_text;  // "int64", "text", as of hdf5::Dataset
  int64_t samples = 0;    // N
  int64_t width = 1;      // of one sample; more than 1: of an axis of its own
  // [N, width], of which one is used.
  std::vector<int64_t> integers = {};
  std::vector<double> numbers = {};  // of floats
  std::vector<std::string> texts = {};
  std::map<int64_t, std::string> names = {};  // of an enumeration's values
  std::vector<double> fill = {};              // the values of _FillValue and missing_value
};

// In data-set order. Not collective. bad_input where a column has a row neither for each sample nor
// for each series, holds what can be no label, or is not alike in all files; and where there are
// neither as many files of labels as of samples, nor one.
LabelColumn read_labels(const Dataset& dataset, const LabelPlace& place);

}  // namespace lacuna
