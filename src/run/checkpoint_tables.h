// What a checkpoint's manifest and parts say of it, as attributes and tables of HDF5 (layout:
// docs/formats.md). Reading throws std::out_of_range for tables that do not fit together.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/hdf5.h"
#include "run/checkpoint.h"

namespace lacuna {

inline constexpr int64_t checkpoint_format_version = 1;

// "encoder.conv1.weight" -> "/state/encoder/conv1/weight"
std::string dataset_path(std::string_view name);

void write_info(hdf5::Group& root, const CheckpointInfo& info, const std::string& format);
CheckpointInfo read_info(const hdf5::Group& root);

void write_data_identity(hdf5::Group& root, const DataIdentity& data);
DataIdentity read_data_identity(const hdf5::Group& root, const std::string& name);

// What each step takes of each stream; nothing where the table is empty.
void write_batches(hdf5::Group& root, const CheckpointInfo& info);
// Completes `info`. In a checkpoint of an earlier version there is no table, and all batches were
// of one size; in a fine-tuned model none is known.
void read_batches(const hdf5::Group& root, CheckpointInfo& info);

void write_metrics(hdf5::Group& root, const MetricsTable& metrics);
MetricsTable read_metrics(const hdf5::Group& root);

void write_parts_table(hdf5::Group& root, std::span<const StoredPart> parts);
void write_tensors_table(hdf5::Group& root, std::span<const StoredTensor> tensors);
// Both tables, each tensor with its part.
std::vector<StoredPart> read_tables(const hdf5::Group& root);

}  // namespace lacuna
