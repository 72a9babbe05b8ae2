// Columns beside the samples, such as labels: one number for each sample, however samples lie.
#pragma once

#include <cstdint>
#include <vector>

#include "data/files/dataset.h"

namespace lacuna {

// Of the samples of one file, in their order: a field of the data set that is one number a row, as
// T (int64_t or double). Where it has a row for each series, every sample of a series gets it.
template <typename T>
std::vector<T> column_of(const Dataset& dataset, const DataFile& file, int field);

}  // namespace lacuna
