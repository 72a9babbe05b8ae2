// Dataset: what is there. Any number of HDF5 files, read in their stored order, and in each of them
// one dataset per field. Where the samples lie on the rows of the first field is its layout
// (data/files/layout.h); other fields have a row for each sample, or for each series that samples
// are of. Nothing is read but the index, and the offsets of series of several lengths.
//
// Samples that are read together form a block: the rows of one chunk along the first axis of the
// field with the most bytes, or rows of about 1 MiB where that is not chunked. Where samples are
// several rows, a block is a run of samples over at least five chunks and five lengths of a window,
// so that little is read twice at its ends. Blocks never cross files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "comm/communicator.h"
#include "data/files/field.h"
#include "data/files/layout.h"

struct stat;

namespace lacuna {

namespace hdf5 {
class File;
}  // namespace hdf5

// How the numbers of the samples are taken.
struct NumberReading {
  bool by_attributes = false;  // as attributes say (data/files/meaning.h); else as they are stored
  bool may_miss = false;       // NaN and infinity are no fault: numbers that are missing
  bool each_once = false;      // a file of several names is read once
  bool warns = false;          // of attributes that are left aside
};

// Of a file's status: DataFile::modified.
int64_t time_of_change(const struct stat& status);

struct DataFile {
  std::string path;
  int64_t first = 0;  // sample
  SamplePlaces places;
  int64_t samples() const { return places.samples(); }
  int64_t first_block = 0;
  int64_t block_samples = 1;
  uint64_t user_block = 0;
  uint64_t bytes = 0;     // of the file
  int64_t modified = 0;   // when it was written to last: nanoseconds since 1970
  uint64_t contents = 0;  // hash of pieces of its bytes and of small columns
  std::vector<FieldStorage> fields;
};

struct Block {
  int file = 0;
  int64_t in_file = 0;  // number of its first sample in the file
  int64_t samples = 0;
  int64_t first = 0;  // sample
};

class Dataset {
 public:
  // Rank 0 expands the patterns, sorts the paths bytewise and reads the index; every rank gets it.
  // bad_input, on every rank, for: no file, a file that cannot be read, no such dataset, an
  // unsupported type, a missing filter, fields or files that do not go together, no samples.
  Dataset(const std::vector<std::string>& patterns, std::vector<FieldSpec> fields,
          Communicator& communicator, SampleLayout layout = {}, NumberReading numbers = {});

  // A data set without files, of samples that would be stored as `sample`: what a modality is made
  // for where the data are not at hand.
  Dataset(Field sample, SampleLayout layout);

  int64_t samples() const { return samples_; }
  const SampleLayout& layout() const { return layout_; }
  const std::vector<Field>& fields() const { return fields_; }
  // Index of the field of that name; a name that is not there is a broken precondition.
  int field(const std::string& name) const;
  bool has_field(const std::string& name) const;
  const std::vector<DataFile>& files() const { return files_; }
  const DataFile& file_of(int64_t sample) const;

  int64_t blocks() const { return blocks_; }
  Block block(int64_t number) const;
  std::vector<int64_t> block_samples() const;
  // Decoded bytes over all fields: of all of it, of a block, of the largest block. Of a block whose
  // offsets are read with it what it has on the average.
  int64_t bytes() const;
  int64_t block_bytes(int64_t number) const;
  int64_t largest_block_bytes() const;
  // The first field, with the shape of a whole sample: of one of several rows layout().length of
  // them.
  Field sample_field() const;
  // Whether a sample is several rows of this field.
  bool has_extents(int field) const {
    return layout_.has_extents() &&
           (field == 0 || fields_[static_cast<size_t>(field)].name == valid_field);
  }
  // Whether the samples of a file, as they are stored, are not yet what they mean.
  bool decodes(const DataFile& file) const;
  const Validity& validity() const { return validity_; }
  // The rows of a field that a sample of a file (counted from the file's first) is, or that a block
  // needs: from its first sample's first to its last one's last. Not of extents whose offsets are
  // read with their block.
  RowRange rows_of(const DataFile& file, int field, int64_t sample) const;
  RowRange rows_of(const Block& block, int field) const;
  // How many rows each entry of the stored first axis has.
  int64_t rows_per_entry(const DataFile& file, int field) const;
  // Of a column beside the samples, how many of its axes count samples or series.
  int column_axes(const Shape& stored) const;
  // The field with the most bytes a sample, whose chunks are the blocks.
  int main_field() const { return main_field_; }

  // What the user should know, one sentence each; the same on every rank.
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Of names and sizes of the files, counts, shapes and types: equal for equal data, wherever it
  // lies.
  uint64_t fingerprint() const;
  // Of pieces of the files' bytes, and of the first bytes of columns such as labels. A change of a
  // few samples in place can go unnoticed.
  uint64_t contents() const;

 private:
  void index(const std::vector<std::string>& patterns, const std::vector<FieldSpec>& specs);
  void index_file(const std::string& path, const std::vector<FieldSpec>& specs, size_t files);
  void index_field(const hdf5::File& file, const FieldSpec& spec, size_t files, DataFile& entry);
  Shape rows_of_field(const hdf5::Dataset& dataset, size_t field, size_t members,
                      const DataFile& entry, bool valid) const;
  int row_axes_of(const std::string& name, size_t field, const Shape& stored) const;
  void find_places(const hdf5::File& file, DataFile& entry) const;
  std::vector<std::string> distinct(const std::vector<std::string>& paths);
  void warn_of_field(const hdf5::Dataset& dataset, size_t members, const DataFile& entry);
  void settle_series();
  void settle_numbers();
  void find_validity();
  void count_blocks();
  int64_t samples_of_block(const DataFile& file) const;
  std::string packed() const;
  void unpack(const std::string& text);

  SampleLayout layout_;
  NumberReading numbers_;
  Validity validity_;
  std::vector<Field> fields_;
  std::vector<DataFile> files_;
  std::vector<std::string> warnings_;
  int64_t samples_ = 0;
  int64_t blocks_ = 0;
  int main_field_ = 0;
};

}  // namespace lacuna
