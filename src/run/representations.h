// Representations: what `embed` leaves for later stages, one HDF5 file (layout: docs/formats.md).
//
//   /z      float32 [N, D]   one row per sample, in data-set order; dense: [N, positions…, D], or,
//                            where samples have several lengths, [positions of all, D]
//   /offsets int64 [N + 1]   of those: sample i is the rows offsets[i] up to offsets[i + 1] of /z
//   /files  text [F]         the data files
//   /file   int32 [N]        index into /files of each sample,
//   /row    int64 [N]        and its row there: so that results join back to the user's rows
//   /at     int64 [N, 2]     where samples may be several rows: first row and number of rows
//   /label  int64 [N]        if known
//   /copied/<name>           the user's own columns (embed.copy)
//
// The same writer lays out predictions, which have a task's own columns in place of /z.
//
// Written under a temporary name and renamed when complete, so that a file with its name is whole:
// NAME.tmp, or NAME.partial where another process shall be able to go on with it after a kill;
// beside that NAME.progress says how far it has come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/host_tensor.h"
#include "base/shape.h"
#include "io/hdf5.h"

namespace lacuna {

// From what representations were made; stored as attributes of the file's root.
struct RepresentationsOrigin {
  std::string run;           // folder
  int64_t step = 0;          // of the checkpoint
  std::string checkpoint;    // checksums of its parts; "" where its weights are in none
  std::string weights = {};  // "student", "teacher"; "" where a task has weights of its own
  std::string layer = {};    // "encoder", "projector"; likewise
  std::string task = {};     // of predictions; "" of representations
  std::string dataset;       // path inside the data files
  std::string data_hash;     // of the data, as in the checkpoint's DataIdentity
  std::string code_version;
  std::string configuration;  // of the run, as TOML
};

struct RepresentationsLayout {
  // A column of numbers, written by rows: [N, ...row].
  struct Column {
    std::string name;  // "label", "copied/energy"
    DType dtype = DType::i64;
    Shape row;                     // sizes after the first
    std::string axes = {};         // "sample, class"; "" where the writer knows the column
    std::string description = {};  // likewise
  };
  int64_t samples = 0;  // N
  // Of one sample: [D], or of a dense output [positions…, D]; no axes: there is no z.
  Shape z = {};
  // [N + 1], of a dense output of samples of several lengths: z [D] is of one position, and sample
  // i is the rows offsets[i] up to offsets[i + 1] of /z.
  std::vector<int64_t> offsets = {};
  std::vector<std::string> files;
  std::vector<Column> columns;  // beside z, file and row
  // Adds what is not written by rows (columns of embed.copy, of any type) when the file is laid
  // out, whole: it lies in memory until the file is complete.
  std::function<void(hdf5::Group& root)> add_texts;
};

// Writes a file row by row, in any order; one process, any thread but one at a time.
class RepresentationsWriter {
 public:
  // bad_input when `path` exists (unless `replace`: then the old one is moved aside as path.1 when
  // the new one is complete) or cannot be written, no_space when the disk is full, here and below.
  //
  // With an `identity`, of everything that the values follow from beside layout and origin, the
  // file goes on where a process before has saved its progress, if identity, layout and origin are
  // the same; otherwise what that one left is overwritten. An existing file of this identity,
  // layout and origin is whole: then nothing is to be written.
  RepresentationsWriter(std::filesystem::path path, const RepresentationsLayout& layout,
                        const RepresentationsOrigin& origin, bool replace = false,
                        std::optional<std::string> identity = std::nullopt);
  // An unfinished file is removed, unless progress was saved.
  ~RepresentationsWriter();

  struct Leftover {
    std::optional<std::string> progress;  // as saved; none where the file begins anew
    bool discarded = false;               // something was left, but of other values
    bool whole = false;                   // the file is there
  };
  const Leftover& leftover() const;
  // That many rows were written by the process whose progress is continued.
  void count_written(int64_t rows);
  // Makes what was written up to now survive a kill, with one line that says how to go on.
  void save_progress(const std::string& progress);

  // Samples [first, first + count) of z (float32), "file" (int32), "row" (int64) or a column, as
  // they are in memory: count x row elements; with offsets, of z the positions of these samples one
  // behind the other.
  void write(const std::string& column, int64_t first, int64_t count, const void* values);

  // Makes the file appear under its name. Every row of every column was written by then.
  void finish();

 private:
  struct Construction;
  std::unique_ptr<Construction> construction_;
};

// The line that save_progress() left beside an unfinished file of this name, whatever that is of;
// none without one.
std::optional<std::string> saved_progress(const std::filesystem::path& path);

// Representations in memory.
struct Representations {
  HostTensor z;                                 // float32 [N, D]
  std::optional<std::vector<int64_t>> label;    // [N]
  std::vector<std::string> files;               // empty when the file does not tell
  std::vector<int32_t> file;                    // [N] or empty
  std::vector<int64_t> row;                     // [N] or empty
  std::optional<RepresentationsOrigin> origin;  // none in a file that another program made
};

// Reads a file with at least /z [N, D]; bad_input names what is wrong with it.
Representations read_representations(const std::filesystem::path& path);

}  // namespace lacuna
