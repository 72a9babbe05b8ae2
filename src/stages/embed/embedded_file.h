// EmbeddedFile: a file of representations or predictions (docs/formats.md) as a source's samples
// fill it; the same for embed, predict and what pretrain writes on its way.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/representations.h"
#include "stages/embed/embedding.h"
#include "stages/setup/source.h"

namespace lacuna {

// A column that is written in place of /z, and how it follows from rows of z (f32 [rows, D]): an
// array [rows, ...].
struct OutputColumn {
  RepresentationsLayout::Column layout;
  std::function<HostTensor(const HostTensor& z)> values;
};

// What is embedded, and by what.
struct EmbeddedWhat {
  std::string run;  // folder
  int64_t step = 0;
  std::string checkpoint = {};  // checksums; "" where its weights are in no checkpoint
  std::string weights = {}, layer = {};
  std::string task = {};                      // whose columns are written
  std::vector<OutputColumn> columns = {};     // in place of /z; none: /z
  std::vector<std::string> class_names = {};  // written as /class_name; none: nothing
  std::string configuration;                  // of the run, as TOML
  std::vector<SampleRange> ranges = {};       // of the source, as Sequential takes them
  std::vector<std::string> copied = {};       // columns of the user's own
  int64_t stride = 0;                         // Output::stride
};

// Kept by one rank. Errors as RepresentationsWriter's.
class EmbeddedFile {
 public:
  // `z`: of one sample, [D] or dense [positions…, D]. The source must outlive the file. Of samples
  // of several lengths, what is dense is written up to each one's end.
  // With an `identity` another process can go on with it; see RepresentationsWriter.
  EmbeddedFile(const std::filesystem::path& path, const Source& source, const Shape& z,
               const EmbeddedWhat& what, bool replace = false,
               std::optional<std::string> identity = std::nullopt);
  RepresentationsWriter& writer() { return *writer_; }
  void write(const EmbeddedBatch& batch);
  void finish() { writer_->finish(); }

 private:
  int64_t place_of(int64_t sample) const;
  void write_output(int64_t place, int64_t rows, const float* z);
  std::vector<int64_t> offsets_of(int64_t stride) const;
  void copy_column(hdf5::Group& root, const std::string& column) const;

  const Source& source_;
  std::vector<SampleRange> ranges_;
  std::vector<OutputColumn> columns_;
  std::vector<int64_t> range_first_;  // place of each range's first sample
  int64_t samples_ = 0;
  int64_t features_ = 0;          // numbers of a sample
  std::vector<int64_t> offsets_;  // RepresentationsLayout::offsets
  int64_t position_ = 0;          // numbers of a position, of these
  std::unique_ptr<RepresentationsWriter> writer_;
};

}  // namespace lacuna
